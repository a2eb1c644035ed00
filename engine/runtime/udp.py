"""A UDP socket on the event loop: readable callbacks drain it, sends never wait.

The standard datagram transport costs several times the parsing of a SIP message; a plain socket with
`add_reader` does not.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from engine.runtime.bpf import Source, set_filter

MAX_DATAGRAM = 65_535
DRAIN = 64
"""Datagrams taken at one go before the loop gets to do something else."""
SEND_ATTEMPTS: Final = 3
CLOSE_S: Final = 0.0005
"""A datagram that comes so soon after the last one was handled is seldom alone."""

OnDatagram = Callable[[bytes, tuple[str, int]], None]
OnUnreachable = Callable[[bytes, tuple[str, int], str], None]
"""Told of a datagram of ours, perhaps cut short, where it went and why it did not arrive."""

# linux/errqueue.h and linux/in.h, in6.h: Python's socket module has no names for these.
_MSG_ERRQUEUE: Final = 0x2000
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_EXTENDED_ERROR: Final = struct.Struct("=IBBBxII")
_ORIGIN_ICMP: Final = 2
_ORIGIN_ICMP6: Final = 3


class UdpSocket:
    """One bound socket. `on_datagram(data, (host, port))` is called on the loop."""

    def __init__(
        self,
        host: str,
        port: int,
        on_datagram: OnDatagram,
        *,
        receive_buffer_bytes: int | None = None,
        on_unreachable: OnUnreachable | None = None,
    ) -> None:
        """Binds at once. Raises OSError."""
        family = self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if receive_buffer_bytes is not None:
                _grow(self._socket, receive_buffer_bytes)
            if family == socket.AF_INET6:  # an IPv4 peer would else be known by another name
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if on_unreachable is not None:
                _ask_for_errors(self._socket)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._on_datagram = on_datagram
        self._on_unreachable = on_unreachable
        self._attempts = 1 if on_unreachable is None else SEND_ATTEMPTS
        self._left_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poll: select.epoll | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._on_unreachable is None:
            self._loop.add_reader(self._socket.fileno(), self._readable)
            return
        # uvloop stops watching a socket that reports an error; it sees none through a second epoll.
        self._poll = select.epoll(1)
        self._poll.register(self._socket.fileno(), select.EPOLLIN)
        self._loop.add_reader(self._poll.fileno(), self._readable)

    def _readable(self) -> None:
        receive, on_datagram, short = self._socket.recvfrom, self._on_datagram, self._family == socket.AF_INET
        # A datagram alone is the commonest where few come: asking whether there is another costs more than to
        # be woken for it. Where they come close upon another, all that are there are taken.
        close = time.monotonic() - self._left_at < CLOSE_S
        for count in range(DRAIN if close else 1):
            try:
                data, source = receive(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                if not count:
                    self._read_errors()  # it was not a datagram that woke us
                break
            except OSError:
                continue  # an ICMP error of an earlier send, which the error queue tells more of
            on_datagram(data, source if short else (source[0], source[1]))
        self._left_at = time.monotonic()

    def _read_errors(self) -> None:
        tell = self._on_unreachable
        if tell is None:
            return
        for _ in range(DRAIN):
            try:
                data, ancillary, _, target = self._socket.recvmsg(MAX_DATAGRAM, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            for _, _, found in ancillary:
                error, origin, kind, code, _, _ = _EXTENDED_ERROR.unpack_from(found)
                if is_unreachable(origin, kind, code):
                    tell(data, (target[0], target[1]), os.strerror(error))

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Raises OSError for a destination that cannot be sent to; a full buffer drops, as networks do."""
        for attempt in range(1, self._attempts + 1):
            try:
                self._socket.sendto(data, to)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # With errors asked for, this may be one that an earlier datagram met, to another target.
                if attempt == self._attempts:
                    raise
            else:
                return

    def refuse(self, sources: list[Source]) -> bool:
        """Let the kernel drop what comes from there; False where it will not."""
        return set_filter(self._socket, sources)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader((self._poll or self._socket).fileno())
            self._loop = None
        if self._poll is not None:
            self._poll.close()
            self._poll = None
        self._socket.close()


def is_unreachable(origin: int, kind: int, code: int) -> bool:
    """Whether an ICMP message means that what was sent has not arrived and will not (RFC 3261 §18.4).

    Host, network, port and protocol unreachable, and parameter problem; not "fragmentation needed", after
    which the next attempt is fragmented, nor source quench and time exceeded.
    """
    if origin == _ORIGIN_ICMP:
        return (kind == 3 and code != 4) or kind == 12  # RFC 792
    return origin == _ORIGIN_ICMP6 and kind in (1, 4)  # RFC 4443 §3.1, §3.4


def _ask_for_errors(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def _grow(sock: socket.socket, size: int) -> None:
    """As large as the kernel allows: SO_RCVBUFFORCE needs a privilege, SO_RCVBUF is capped silently."""
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
