"""The edge on the event loop: its sockets around an `EdgeCore`.

Nothing here opens a connection: phones come to us, and the engine is reached by UDP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from engine.edge.bindings import BindingRepository
from engine.edge.core import EdgeCore
from engine.edge.settings import BindingRemoved, BindingSaved, EdgeEffect, SourceBanned
from engine.model.address import Address
from engine.model.moments import next_moment
from engine.runtime.connection import Connection, StreamLimits
from engine.runtime.stream import StreamTransport
from engine.runtime.tls import Tls
from engine.runtime.udp import UdpSocket
from engine.runtime.websocket import WebSocketConnection
from engine.sip.effects import Discarded, Send
from engine.sip.flood import Flood, FloodLimits
from engine.sip.flow import Flow
from engine.sip.glance import branch_of, is_response

TICK_S: Final = 1.0
EMERGENCY_MESSAGES_PER_S: Final = 10.0
"""Of emergency calls, from a source that is above its limit otherwise."""
_NEVER: Final = 10**9
_CONNECTIONS: Final = {"ws": WebSocketConnection, "wss": WebSocketConnection}
S = TypeVar("S")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """Transport → address, and what is spent on strangers."""

    addresses: Mapping[str, Address]
    tls: Tls | None
    limits: StreamLimits
    flood: FloodLimits
    receive_buffer_bytes: int


class EdgeTransports:
    """The edge's sockets, bound from the first; `start` begins to listen."""

    def __init__(
        self,
        listening: Listening,
        is_trusted: Callable[[str], bool],
        is_emergency: Callable[[bytes], bool],
    ) -> None:
        """Raises OSError; the address that cannot be had is in its `filename`."""
        self._is_emergency = is_emergency
        self._flood = Flood(listening.flood, is_trusted)
        spared = FloodLimits(
            messages_per_s=EMERGENCY_MESSAGES_PER_S, sources=listening.flood.sources, ban_after=_NEVER
        )
        self._spared = Flood(spared, lambda host: False)
        self._worker: EdgeWorker | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._streams: dict[str, StreamTransport] = {}
        self.flooded = 0
        """Messages above a source's limit."""
        self._udp = _bind(listening.addresses["udp"], lambda address: self._datagrams(address, listening))
        for name, address in listening.addresses.items():
            if name != "udp":
                make = partial(self._stream, name, listening)
                try:
                    self._streams[name] = _bind(address, make)
                except OSError:
                    self._unbind()
                    raise

    def _datagrams(self, address: Address, listening: Listening) -> UdpSocket:
        return UdpSocket(
            address.host,
            address.port,
            lambda data, source: self._message(data, Flow("udp", self._udp.address, source)),
            receive_buffer_bytes=listening.receive_buffer_bytes,
            on_unreachable=self._unreachable,
        )

    def _stream(self, name: str, listening: Listening, address: Address) -> StreamTransport:
        return StreamTransport(
            name,
            address,
            self._message,
            self._failed,
            tls=listening.tls if name in ("tls", "wss") else None,
            limits=listening.limits,
            on_opened=lambda flow: self._to(lambda worker: worker.opened(flow)),
            on_closed=lambda flow, error: self._to(lambda worker: worker.closed(flow)),
            connection=_CONNECTIONS.get(name, Connection),
        )

    @property
    def bound(self) -> dict[str, tuple[str, int]]:
        return {"udp": self._udp.address, **{name: each.address for name, each in self._streams.items()}}

    def start(self, worker: EdgeWorker) -> None:
        self._worker = worker
        self._udp.start()
        for stream in self._streams.values():
            stream.start()
        self._tick()

    def send(self, flow: Flow, data: bytes, branch: str) -> None:
        """Raises OSError; a connection that is gone is not opened again."""
        if flow.transport == "udp":
            self._udp.send(data, flow.remote)
            return
        stream = self._streams.get(flow.transport)
        if stream is None or not stream.connected(flow.remote):
            raise OSError("the connection is gone")
        stream.send(flow, data, branch)

    def counts(self) -> dict[str, int]:
        found = {"flooded": self.flooded}
        for name, stream in self._streams.items():
            found |= {f"{name}_{what}": count for what, count in stream.counts().items()}
        return found

    def _message(self, data: bytes, flow: Flow) -> None:
        host, now = flow.remote[0], time.monotonic()
        if not self._flood.admits(host, now):
            self.flooded += 1
            # No filter in the kernel here: it could not tell a call for help.
            if not (self._is_emergency(data) and self._spared.admits(host, now)):
                return
        self._to(lambda worker: worker.message(data, flow))

    def _unreachable(self, data: bytes, target: tuple[str, int], error: str) -> None:
        branch = "" if is_response(data) else branch_of(data)
        if branch:
            self._failed(Flow("udp", self._udp.address, target), branch, error)

    def _failed(self, flow: Flow, branch: str, error: str) -> None:
        self._to(lambda worker: worker.failed(flow, branch, error))

    def _to(self, tell: Callable[[EdgeWorker], None]) -> None:
        if self._worker is not None:
            tell(self._worker)

    def _tick(self) -> None:
        now = time.monotonic()
        self._flood.expire(now)
        self._spared.expire(now)
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_at(next_moment(loop.time(), TICK_S), self._tick)

    def _unbind(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        self._udp.close()
        for stream in self._streams.values():
            stream.stop()

    async def close(self) -> None:
        self._worker = None
        self._unbind()
        for stream in self._streams.values():
            await stream.close()


def _bind(address: Address, make: Callable[[Address], S]) -> S:
    try:
        return make(address)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(address)) from None


class EdgeWorker:
    """Carries out what the core asks for."""

    def __init__(self, core: EdgeCore, transports: EdgeTransports, repository: BindingRepository) -> None:
        self._core = core
        self._transports = transports
        self._repository = repository
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._loop = asyncio.get_running_loop()
        self.happened = dict.fromkeys(("registered", "unregistered", "sources_banned", "discarded"), 0)
        """Since the start; refreshed registrations count too."""

    def start(self) -> None:
        self._transports.start(self)
        self._schedule()

    def counts(self) -> dict[str, int]:
        return self._core.counts()

    # --- inputs ---

    def message(self, data: bytes, flow: Flow) -> None:
        self._tell(lambda now: self._core.receive(data, flow, now))

    def opened(self, flow: Flow) -> None:
        self._core.opened(flow)

    def closed(self, flow: Flow) -> None:
        self._tell(lambda now: self._core.closed(flow, now))

    def failed(self, flow: Flow, branch: str, error: str) -> None:
        self._tell(lambda now: self._core.send_failed(flow, branch, error, now))

    def _tick(self) -> None:
        self._timer = None
        self._tell(self._core.timer)

    def _tell(self, tell: Callable[[float], list[EdgeEffect]]) -> None:
        try:
            self._do(tell(time.monotonic()))
        except Exception:  # one bad message must not stop the others; the trace names the fault
            _log.exception("something the core was told could not be handled")
            self._schedule()

    # --- effects ---

    def _do(self, effects: list[EdgeEffect]) -> None:
        queue = list(effects)
        while queue:
            following: list[EdgeEffect] = []
            for effect in queue:
                try:
                    following += self._carry_out(effect, time.monotonic())
                except Exception:  # those behind it are other calls' answers
                    _log.exception("a %s could not be carried out", type(effect).__name__)
            queue = following
        self._schedule()

    def _carry_out(self, effect: EdgeEffect, now: float) -> list[EdgeEffect]:
        match effect:
            case Send(flow, data, branch):
                try:
                    self._transports.send(flow, data, branch)
                except OSError as error:
                    return self._core.send_failed(flow, branch, str(error), now)
            case BindingSaved(binding):
                self.happened["registered"] += 1
                self._repository.save(binding, now)
            case BindingRemoved(binding):
                self.happened["unregistered"] += 1
                self._repository.remove(binding, now)
            case SourceBanned(source, seconds):
                self.happened["sources_banned"] += 1
                _log.warning("%s is not listened to for %.0f s: too many wrong passwords", source, seconds)
            case Discarded():
                self.happened["discarded"] += 1
        return []

    def _schedule(self) -> None:
        at = self._core.next_timer()
        if at is None:
            return
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._tick)

    def close(self) -> None:
        """No more timers; sockets and repository are their owner's to close."""
        if self._timer is not None:
            self._timer.cancel()
