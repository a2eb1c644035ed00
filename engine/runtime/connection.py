"""One connection of a stream transport: bytes in, messages out, and what waits to be sent."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from engine.sip.flow import Flow
from engine.sip.framing import PONG, Broken, Framer, KeepAlive
from engine.sip.glance import branch_of, is_response, top_via_of

if TYPE_CHECKING:
    from engine.runtime.stream import StreamTransport

MAX_UNANSWERED: Final = 1_000
"""Requests remembered per connection until something answers them; beyond it the oldest is forgotten."""

UNREAD_PONGS_BYTES: Final = 4_096
"""More than the session tickets that uvloop keeps, after a TLS handshake, until something is written."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one transport spends on its peers."""

    message_s: float = 10.0
    """From a message's first byte to its last, and from a connection's beginning to its first message."""
    idle_s: float = 600.0
    """Nothing sent or received for so long closes a connection."""
    connect_s: float = 4.0
    """For opening a connection, TLS handshake included."""
    queue: int = 64
    """Messages that wait for one connection to open; one more is refused."""
    write_buffer_bytes: int = 512 * 1024
    """Unread by the peer; with more the connection is cut."""
    per_source: int = 64
    """Connections from one address."""
    connections: int = 2_000
    """Accepted from all addresses that are not trusted; trusted ones have a share of their own."""
    opening: int = 256
    """Connections of ours on their way up to trusted addresses."""
    opening_elsewhere: int = 32
    """The same to all others: who sends a request, hangs up and waits for the answer can cause them."""


class Connection(asyncio.Protocol):
    """Accepted, or opened for a message that waits in it. Its owner closes it and is told when it ends."""

    def __init__(self, owner: StreamTransport, flow: Flow, *, accepted: bool) -> None:
        self._owner = owner
        self.flow = flow
        self.accepted = accepted
        self.alias: tuple[str, int] | None = None
        """Where the peer says it listens: requests to there use this connection (RFC 5923)."""
        self.active_at = time.monotonic()
        self.begun_at: float | None = None
        """When the first byte of the message that is not complete came."""
        self.closing_at: float | None = None
        self.spoke = False
        """A whole message has come."""
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[Flow, bytes, str]] = deque()
        self._unanswered: dict[str, Flow] = {}
        self._error: str | None = None
        self._ended = False

    # --- from the loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)
        if self.closing_at is not None:
            made.abort()
            return
        made.set_write_buffer_limits(high=self._owner.limits.write_buffer_bytes)
        self._owner.opened(self)
        while self._waiting:
            self._write(*self._waiting.popleft())

    def data_received(self, data: bytes) -> None:
        self.active_at = now = time.monotonic()
        frames = self._framer.feed(data)
        for frame in frames:
            if self.closing_at is not None:
                return
            if isinstance(frame, bytes):
                self._heard(frame)
            elif isinstance(frame, Broken):
                self._owner.broken(self, frame)
            elif frame is KeepAlive.PING:
                self._pong()
        if not self._framer.partial:
            self.begun_at = None
        elif frames or self.begun_at is None:
            self.begun_at = now

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(self._error or (str(exc) if exc is not None else "the peer closed the connection"))

    # --- towards the peer ---

    def send(self, flow: Flow, data: bytes, branch: str) -> None:
        """Send, or keep until the connection is up.

        Raises OSError where too much waits already: nothing of the message has been sent then. A peer that
        does not read is cut off, for a stream with a hole in it is of no use.
        """
        transport = self._transport
        limits = self._owner.limits
        if transport is None:
            if len(self._waiting) >= limits.queue:
                raise OSError(f"{limits.queue} messages wait for the connection already")
            self._waiting.append((flow, data, branch))
            return
        if transport.get_write_buffer_size() > limits.write_buffer_bytes:
            self._owner.count("stalled")
            self.abort("the peer does not read")
            raise OSError("the peer does not read")
        self._write(flow, data, branch)

    def _write(self, flow: Flow, data: bytes, branch: str) -> None:
        assert self._transport is not None
        self._transport.write(data)
        self.active_at = time.monotonic()
        if branch and not data.startswith(b"ACK "):  # to an ACK there is no answer
            self._unanswered[branch] = flow
            if len(self._unanswered) > MAX_UNANSWERED:
                del self._unanswered[next(iter(self._unanswered))]

    def carries(self, branch: str) -> bool:
        return branch in self._unanswered or any(branch == each for _, _, each in self._waiting)

    def answer(self, data: bytes) -> None:
        """The last message on this connection."""
        if self._transport is not None:
            self._transport.write(data)

    def _pong(self) -> None:
        """RFC 5626 §4.4.1; a peer that pings and does not read gets no more of them."""
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size() < UNREAD_PONGS_BYTES:
            transport.write(PONG)

    def peer_certificate(self) -> bool:
        """Whether the peer has shown a certificate that was verified."""
        return self._transport is not None and bool(self._transport.get_extra_info("peercert"))

    # --- from the peer ---

    def _heard(self, data: bytes) -> None:
        if is_response(data):
            if self._unanswered:
                self._unanswered.pop(branch_of(data), None)
        elif not self.spoke and self.accepted:
            via = top_via_of(data)
            if via is not None:
                self._owner.named(self, via)
        self.spoke = True
        self._owner.received(data, self)

    # --- the end ---

    def close(self, error: str | None = None) -> None:
        """Send what is written, then close."""
        if self.closing_at is None:
            self.closing_at = time.monotonic()
            self._error = error
            self._owner.leaving(self)
        if self._transport is not None:
            self._transport.close()

    def abort(self, error: str) -> None:
        """Close at once."""
        self.close(error)
        if self._transport is not None:
            self._transport.abort()

    def end(self, error: str) -> None:
        """It is over, or never came up. A request that nothing has answered yet has failed (RFC 3261 §18.4);
        one that has is left to its transaction, for the peer may go on over a new connection.
        """
        if self._ended:
            return
        self._ended = True
        if self.closing_at is None:
            self.closing_at = time.monotonic()
            self._owner.leaving(self)
        failed = [*((flow, branch) for branch, flow in self._unanswered.items())]
        failed += [(flow, branch) for flow, _, branch in self._waiting]
        self._unanswered.clear()
        self._waiting.clear()
        self._owner.ended(self, error, failed)
