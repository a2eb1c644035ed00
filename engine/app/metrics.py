"""Metrics of a process as Prometheus text: a registry whose collectors read plain numbers when asked."""

from __future__ import annotations

import hmac
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from engine.app.config import ConfigError
from engine.app.process_metrics import ProcessFigures
from engine.model.address import Address
from engine.model.config import Config

PATH: Final = "/metrics"
PATIENCE_S: Final = 10.0
"""A scraper that says nothing for so long is hung up on."""

WsgiApp = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class Metrics:
    """What one process tells: of itself, and what the given collectors add. `start` on its event loop."""

    def __init__(self, process: str, *collectors: Collector) -> None:
        self.registry = CollectorRegistry()
        self._figures = ProcessFigures(process, version("ringward"))
        ProcessCollector(registry=self.registry)
        for collector in (self._figures, *collectors):
            self.registry.register(collector)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """The loop and the garbage collector are watched meanwhile."""
        self._figures.start()
        try:
            yield
        finally:
            self._figures.stop()


@contextmanager
def served(metrics: Metrics, config: Config) -> Iterator[Address | None]:
    """Metrics at `metrics.listen` meanwhile, from a thread; None where that is off. Raises ConfigError."""
    listen = config.metrics.listen
    if not listen.port:
        with metrics.measured():
            yield None
        return
    app = guarded(make_wsgi_app(metrics.registry), config.metrics.token)
    kind = _Server6 if ":" in listen.host else _Server
    try:
        server = make_server(listen.host, listen.port, app, server_class=kind, handler_class=_Quiet)
    except OSError as error:
        raise ConfigError(f"metrics.listen: {listen} cannot be listened on: {error.strerror}") from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        with metrics.measured():
            yield Address(listen.host, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def authorised(token: str, header: str) -> bool:
    """Whether a request's Authorization header gives the token; without one everybody may ask."""
    return not token or hmac.compare_digest(header.encode(), f"Bearer {token}".encode())


def guarded(app: WsgiApp, token: str) -> WsgiApp:
    """`app` at PATH alone, for GET and for who knows the token."""

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def refused(status: str, *headers: tuple[str, str]) -> Iterable[bytes]:
            start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "0"), *headers])
            return ()

        if environ.get("PATH_INFO") != PATH:
            return refused("404 Not Found")
        if environ.get("REQUEST_METHOD") != "GET":
            return refused("405 Method Not Allowed", ("Allow", "GET"))
        if not authorised(token, environ.get("HTTP_AUTHORIZATION", "")):
            return refused("401 Unauthorized", ("WWW-Authenticate", "Bearer"))
        return app(environ, start_response)

    return checked


class _Server(ThreadingWSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the look-up of our own name, for which a broken DNS takes half a minute."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is no news."""
