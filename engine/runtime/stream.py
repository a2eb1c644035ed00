"""SIP over TCP and TLS: one listener and its connections (RFC 3261 §18, RFC 5923, RFC 5626 §3.5.1).

Knows nothing of calls: messages go to a callback with the flow they came by, `send` takes them with the
flow they go to. No task lives longer than it takes to open a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Container, Coroutine
from ipaddress import ip_address
from typing import Final

from engine.model.address import Address
from engine.model.moments import next_moment
from engine.runtime.bpf import Source
from engine.runtime.connection import Connection, StreamLimits
from engine.runtime.listener import listening, reset
from engine.runtime.tls import Tls
from engine.sip.flow import DEFAULT_PORT, DEFAULT_PORTS, Flow
from engine.sip.framing import Broken
from engine.sip.glance import is_response, top_via_of
from engine.sip.via import Via

ACCEPTS: Final = 32
"""Connections accepted at one go before the loop gets to do something else."""
SWEEP_S: Final = 1.0
CLOSING_S: Final = 2.0
"""How long a peer has to read the last that was written to it."""
_OUT_OF_FILES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_log = logging.getLogger(__name__)

OnMessage = Callable[[bytes, Flow], None]
OnFailed = Callable[[Flow, str, str], None]
"""Told of a request by flow, branch and reason that it could not be sent, or was lost with its connection."""
OnOpened = Callable[[Flow], None]
OnClosed = Callable[[Flow, str], None]


def _ignore(*_: object) -> None:
    pass


class StreamTransport:
    """Bound and listening from the first; `start` begins to accept.

    `trusted` addresses do not count among `limits.connections`, so that no stranger keeps them out; each may
    have that many of its own. `welcome(host)` is asked before anything is spent on a new connection.
    """

    def __init__(
        self,
        name: str,
        listen: Address,
        on_message: OnMessage,
        on_failed: OnFailed,
        *,
        tls: Tls | None = None,
        limits: StreamLimits | None = None,
        trusted: Container[str] = (),
        welcome: Callable[[str], bool] = lambda host: True,
        on_opened: OnOpened = _ignore,
        on_closed: OnClosed = _ignore,
        connection: type[Connection] = Connection,
    ) -> None:
        """`name` is the transport of its flows: "tcp", "tls", or what `connection` speaks. Raises OSError."""
        self.name = name
        self.limits = limits or StreamLimits()
        self._tls = tls
        self._trusted = trusted
        self._welcome = welcome
        self._on_message = on_message
        self._on_failed = on_failed
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._connection = connection
        self._family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        self._listener = listening(self._family, listen)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._by_remote: dict[tuple[str, int], Connection] = {}
        self._by_alias: dict[tuple[str, int], Connection] = {}
        self._all: set[Connection] = set()
        self._of_source: Counter[str] = Counter()
        self._strangers = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: Counter[bool] = Counter()
        """Connections of ours on their way up, to trusted addresses and to others."""
        self._counts: Counter[str] = Counter()
        self._told_at = 0.0
        self._last_gone: asyncio.Event | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listener.fileno(), self._acceptable)
        self._sweeper = self._loop.call_at(next_moment(self._loop.time(), SWEEP_S), self._sweep)

    def count(self, what: str) -> None:
        self._counts[what] += 1

    def counts(self) -> dict[str, int]:
        """What has happened since the start, and `open` connections now."""
        return {"open": len(self._all), **self._counts}

    def connected(self, remote: tuple[str, int]) -> bool:
        """Whether a message to there would use a connection that is there already."""
        return remote in self._by_remote or remote in self._by_alias

    def carries(self, remote: tuple[str, int], branch: str) -> bool:
        """Whether a request with that branch is on its way over a connection, and nothing has answered it."""
        connection = self._to(remote)
        return connection is not None and connection.carries(branch)

    # --- sending ---

    def send(self, flow: Flow, data: bytes, branch: str) -> None:
        """Send over the connection to `flow.remote`, or open one. Raises OSError for what cannot even wait.

        What waits and fails later is told to `on_failed`, if it has a branch. A response whose connection is
        gone goes to the address it came from and the port of its top Via (RFC 3261 §18.2.2).
        """
        connection = self._to(flow.remote)
        if connection is None:
            target = flow.remote
            if is_response(data):
                target = flow.remote[0], _reply_port(data, self.name)
                connection = self._to(target)
            connection = connection or self._open(Flow(self.name, self.address, target))
        connection.send(flow, data, branch)

    def _to(self, remote: tuple[str, int]) -> Connection | None:
        return self._by_remote.get(remote) or self._by_alias.get(remote)

    def _open(self, flow: Flow) -> Connection:
        if self._loop is None:
            raise OSError("not open")
        is_trusted = flow.remote[0] in self._trusted
        most = self.limits.opening if is_trusted else self.limits.opening_elsewhere
        if self._opening[is_trusted] >= most:
            raise OSError(f"{most} connections are being opened already")
        self._opening[is_trusted] += 1
        connection = self._connection(self, flow, accepted=False)
        self._by_remote[flow.remote] = connection
        self._all.add(connection)
        self._spawn(self._connect(self._loop, connection, flow.remote))
        return connection

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, remote: tuple[str, int]
    ) -> None:
        # Peers know us by our address, so a connection leaves from the one we listen on.
        local = (self.address[0], 0) if (":" in remote[0]) == (self._family == socket.AF_INET6) else None
        context = self._tls.client if self._tls is not None else None
        name = self._tls.name_of(remote) if self._tls is not None else None
        try:
            async with asyncio.timeout(self.limits.connect_s):
                await loop.create_connection(
                    lambda: connection, *remote, ssl=context, server_hostname=name, local_addr=local
                )
        except TimeoutError:
            self._failed(connection, "connect_failed", f"no connection within {self.limits.connect_s:g} s")
        except OSError as error:
            self._failed(connection, "connect_failed", _plain(error))
        except asyncio.CancelledError:
            connection.end("closed")
            raise
        finally:
            self._opening[remote[0] in self._trusted] -= 1

    # --- accepting ---

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS):
            try:
                accepted, (host, port, *_) = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_FILES and self._loop is not None:
                    self._tell("no connection can be accepted: %s", error.strerror)
                    self._loop.remove_reader(self._listener.fileno())  # it would be readable all the time
                    self._loop.call_later(SWEEP_S, self._accept_again)
                return
            refusal = self._refusal(host)
            if refusal:
                self.count(refusal)
                reset(accepted)
            else:
                self._take(accepted, (host, port))

    def _accept_again(self) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._listener.fileno(), self._acceptable)

    def _refusal(self, host: str) -> str:
        if host in self._trusted:
            return "refused_source" if self._of_source[host] >= self.limits.connections else ""
        if not self._welcome(host):
            return "refused_banned"
        if self._of_source[host] >= self.limits.per_source:
            return "refused_source"
        return "refused_full" if self._strangers >= self.limits.connections else ""

    def _take(self, accepted: socket.socket, remote: tuple[str, int]) -> None:
        accepted.setblocking(False)
        local: tuple[str, int] = accepted.getsockname()[:2]
        connection = self._connection(self, Flow(self.name, local, remote), accepted=True)
        self._of_source[remote[0]] += 1
        self._strangers += remote[0] not in self._trusted
        self._by_remote[remote] = connection
        self._all.add(connection)
        self.count("accepted")
        assert self._loop is not None
        self._spawn(self._adopt(self._loop, connection, accepted))

    async def _adopt(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, accepted: socket.socket
    ) -> None:
        try:
            if self._tls is None:
                await loop.connect_accepted_socket(lambda: connection, accepted)
            else:
                await loop.connect_accepted_socket(
                    lambda: connection,
                    accepted,
                    ssl=self._tls.server,
                    ssl_handshake_timeout=self.limits.connect_s,
                )
        except OSError as error:
            accepted.close()
            self._failed(connection, "handshake_failed", _plain(error))
        except asyncio.CancelledError:
            accepted.close()
            connection.end("closed")
            raise

    def _failed(self, connection: Connection, what: str, error: str) -> None:
        self.count(what)
        host, port = connection.flow.remote
        way = "from" if connection.accepted else "to"
        self._tell("%s %s %s failed: %s", self.name, way, Address(host, port), error)
        connection.end(error)

    def _tell(self, text: str, *values: object) -> None:
        """At most one line a second: strangers must not fill the disk."""
        now = time.monotonic()
        if now - self._told_at >= 1.0:
            self._told_at = now
            _log.warning(text, *values)

    # --- told by connections ---

    def opened(self, connection: Connection) -> None:
        if not connection.accepted:
            self.count("connected")
        self._on_opened(connection.flow)

    def received(self, data: bytes, connection: Connection) -> None:
        self._on_message(data, connection.flow)

    def broken(self, connection: Connection, frame: Broken) -> None:
        self.count("broken")
        answer = frame.answer(connection.flow.remote)
        if answer:
            connection.answer(answer)
        connection.close(frame.reason)

    def named(self, connection: Connection, via: Via) -> None:
        """What the first request says of where its sender listens (RFC 5923 §5, §8.2).

        Only the port is taken from it; the address is the connection's own. Over TLS its certificate must
        have been verified: else whoever shares an address with a trunk would get what is meant for it.
        """
        host = connection.flow.remote[0]
        if via.host != host and "alias" not in via.params:
            return
        if self._tls is not None and not connection.peer_certificate():
            return
        port = via.port or DEFAULT_PORTS.get(self.name, DEFAULT_PORT)
        connection.alias = host, port
        self._by_alias[host, port] = connection

    def leaving(self, connection: Connection) -> None:
        """Nothing more is sent over it."""
        remote, alias = connection.flow.remote, connection.alias
        if self._by_remote.get(remote) is connection:
            del self._by_remote[remote]
        if alias is not None and self._by_alias.get(alias) is connection:
            del self._by_alias[alias]

    def ended(self, connection: Connection, error: str, failed: list[tuple[Flow, str]]) -> None:
        self._all.discard(connection)
        if self._last_gone is not None and not self._all:
            self._last_gone.set()
        host = connection.flow.remote[0]
        if connection.accepted:
            self._strangers -= host not in self._trusted
            self._of_source[host] -= 1
            if not self._of_source[host]:
                del self._of_source[host]
        self._on_closed(connection.flow, error)
        for flow, branch in failed:
            if branch:
                self._on_failed(flow, branch, error)
            else:
                self.count("undelivered")

    # --- the clock ---

    def _sweep(self) -> None:
        now = time.monotonic()
        limits = self.limits
        for connection in list(self._all):
            if connection.closing_at is not None:
                if now - connection.closing_at > CLOSING_S:
                    connection.abort("the peer does not read")
            elif connection.begun_at is not None:
                if now - connection.begun_at > limits.message_s:
                    self.count("closed_slow")
                    connection.abort(f"a message took longer than {limits.message_s:g} s")
            elif connection.accepted and not connection.spoke:
                if now - connection.active_at > limits.message_s:
                    self.count("closed_silent")
                    connection.abort(f"no message within {limits.message_s:g} s")
            elif now - connection.active_at > limits.idle_s:
                self.count("closed_idle")
                connection.close("idle")
        if self._loop is not None:
            self._sweeper = self._loop.call_at(next_moment(self._loop.time(), SWEEP_S), self._sweep)

    # --- the end ---

    def drop(self, sources: list[Source]) -> None:
        """Close whatever has been opened from there."""
        hosts = {host for host in self._of_source if any(ip_address(host) in source for source in sources)}
        for connection in list(self._all) if hosts else ():
            if connection.accepted and connection.flow.remote[0] in hosts:
                connection.abort("banned")

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        assert self._loop is not None
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Accept nothing more."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.remove_reader(self._listener.fileno())
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._listener.close()

    async def close(self) -> None:
        """Stop, give the peers `CLOSING_S` to read what is written, and close."""
        self.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._all):
            connection.close("closed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none_open(), CLOSING_S)
        for connection in list(self._all):
            connection.abort("closed")
        await self._none_open()

    async def _none_open(self) -> None:
        if self._all:
            self._last_gone = asyncio.Event()
            await self._last_gone.wait()


def _reply_port(response: bytes, transport: str) -> int:
    via = top_via_of(response)
    return (via.port if via is not None else None) or DEFAULT_PORTS.get(transport, DEFAULT_PORT)


def _plain(error: OSError) -> str:
    """What a person can use of it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__
