"""The edge's process: what the configuration says, as sockets, secrets and settings."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Final

from engine.app.config import ConfigError
from engine.app.edge_metrics import EdgeCollector
from engine.app.edge_users import load_users
from engine.app.keys import load_edge_key
from engine.app.metrics import Metrics, served
from engine.app.numbering import numbering_of
from engine.call.sources import Source
from engine.edge.core import EdgeCore
from engine.edge.settings import EdgeSettings
from engine.model.address import Address
from engine.model.config import Config
from engine.model.edge_section import EdgeSection
from engine.runtime.binding_file import BindingFile
from engine.runtime.edge import EdgeTransports, EdgeWorker, Listening
from engine.runtime.flood import emergency_calls
from engine.runtime.tls import TlsError, load_tls
from engine.runtime.transports import flood_limits, stream_limits
from engine.sip.ids import HashedIds
from engine.sip.uri import Uri, is_address
from scoring.numbers import Numbering

KEEP_ALIVE_SHARE: Final = 0.8
"""Of the idle time after which a connection is closed: how often phones are asked to send something."""


async def run_edge(config: Config, stop: asyncio.Event, say: Callable[[str], None]) -> int:
    """Run until `stop`. Raises ConfigError when it cannot start."""
    numbering = numbering_of(config)
    edge = config.edge
    users = load_users(edge)
    accounts = users.accounts(numbering)
    async with contextlib.AsyncExitStack() as stack:
        try:
            bindings = BindingFile(config.data.folder / "edge" / "bindings.jsonl")
        except OSError as error:
            raise ConfigError(f"data.folder: {error.filename} cannot be written: {error.strerror}") from None
        stack.callback(bindings.close)
        engine = _engine(config)
        hosts = {engine.host, *(host for host, _ in _engines(edge, engine.port))}
        try:
            transports = EdgeTransports(
                listening(config), lambda host: host in hosts, emergency_calls(numbering)
            )
        except OSError as error:
            raise ConfigError(f"edge: {error.filename} cannot be listened on: {error.strerror}") from None
        stack.push_async_callback(transports.close)
        now = time.monotonic()
        core = EdgeCore(
            settings(config, transports.bound),
            users.secrets,
            HashedIds(secrets.token_bytes(32)),
            accounts=accounts,
            is_emergency=lambda uri: is_emergency(numbering, uri),
            bindings=bindings.load(now),
            now=now,
        )
        worker = EdgeWorker(core, transports, bindings)
        stack.callback(worker.close)
        worker.start()
        with served(Metrics("edge", EdgeCollector(worker, transports)), config):
            say(f"listening on {edge.listen} ({', '.join(transports.bound)}), {len(users.secrets)} users")
            await stop.wait()
    return 0


def listening(config: Config) -> Listening:
    """Raises ConfigError."""
    edge = config.edge
    if edge.listen is None:
        raise ConfigError("edge.listen: the edge needs an address, such as 127.0.30.1:5060")
    wanted = {
        "udp": edge.listen,
        "tcp": edge.listen if edge.tcp else None,
        "tls": edge.tls,
        "ws": edge.ws,
        "wss": edge.wss,
    }
    tls = None
    if edge.certificate is not None and edge.key is not None:
        try:
            tls = load_tls(edge.certificate, edge.key)
        except TlsError as error:
            raise ConfigError(f"edge.certificate: {error}") from None
    return Listening(
        addresses={name: address for name, address in wanted.items() if address is not None},
        tls=tls,
        limits=stream_limits(config.limits),
        flood=flood_limits(config.limits),
        receive_buffer_bytes=config.sip.receive_buffer_bytes,
    )


def settings(config: Config, bound: dict[str, tuple[str, int]]) -> EdgeSettings:
    """Raises ConfigError."""
    edge, engine = config.edge, _engine(config)
    return EdgeSettings(
        realm=edge.realm,
        addresses={name: (_host(edge, host), port) for name, (host, port) in bound.items()},
        bound=bound,
        engine=(engine.host, engine.port),
        engines=frozenset(_engines(edge, engine.port)),
        key=load_edge_key(config.data.folder),
        boot=time.time_ns() // 1_000_000,
        min_expires_s=edge.min_expires_s,
        default_expires_s=edge.default_expires_s,
        max_expires_s=edge.max_expires_s,
        flow_timer_s=int(config.limits.idle_s * KEEP_ALIVE_SHARE),
        registered_pass=edge.registered_pass,
        algorithms=edge.algorithms,
        without_qop=edge.without_qop,
        guesses=edge.guesses,
        guess_window_s=edge.guess_window_s,
        ban_s=edge.ban_s,
    )


def _engine(config: Config) -> Address:
    return config.edge.engine or config.sip.listen


def _engines(edge: EdgeSection, usual: int) -> list[tuple[str, int]]:
    """Host and port of each; `usual` is the port of one that names none. Raises ConfigError."""
    found = []
    for text in edge.engine_hosts:
        try:
            (source,) = Source.parse(text)
            if source.network.num_addresses > 1:
                raise ValueError(text)
        except ValueError:
            raise ConfigError(f"edge.engine_hosts: {text} is no address, nor address:port") from None
        found.append((str(source.network.network_address), source.port or usual))
    return found


def _host(edge: EdgeSection, bound: str) -> str:
    """What stands in Via and Record-Route: an address, since the engine looks no route's name up."""
    host = edge.host or bound
    if not is_address(host) or host in ("0.0.0.0", "::"):  # noqa: S104 (it is refused here)
        raise ConfigError(f"edge.host: the address is needed under which phones and engine reach {bound}")
    return host


def is_emergency(numbering: Numbering, uri: Uri) -> bool:
    """Whether a call to there is one for help, however the number is spelt."""
    if uri.scheme in ("sip", "sips", "tel"):
        return numbering.of_user(uri.user or "").protected
    return numbering.normalise(str(uri)).protected
