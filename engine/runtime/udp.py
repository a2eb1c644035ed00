"""A UDP socket on the event loop: readable callbacks drain it, sends never wait.

The standard datagram transport costs several times the parsing of a SIP message; a plain socket with
`add_reader` does not.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

MAX_DATAGRAM = 65_535
DRAIN = 64
"""Datagrams taken at one go before the loop gets to do something else."""

OnDatagram = Callable[[bytes, tuple[str, int]], None]


class UdpSocket:
    """One bound socket. `on_datagram(data, (host, port))` is called on the loop."""

    def __init__(
        self, host: str, port: int, on_datagram: OnDatagram, *, receive_buffer_bytes: int | None = None
    ) -> None:
        """Binds at once. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if receive_buffer_bytes is not None:
                _grow(self._socket, receive_buffer_bytes)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._on_datagram = on_datagram
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def _readable(self) -> None:
        receive = self._socket.recvfrom
        for _ in range(DRAIN):
            try:
                data, source = receive(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of an earlier send: the transaction's timers deal with it
            self._on_datagram(data, (source[0], source[1]))

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Raises OSError for a destination that cannot be sent to; a full buffer drops, as networks do."""
        try:
            self._socket.sendto(data, to)
        except (BlockingIOError, InterruptedError):
            return

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop = None
        self._socket.close()


def _grow(sock: socket.socket, size: int) -> None:
    """As large as the kernel allows: SO_RCVBUFFORCE needs a privilege, SO_RCVBUF is capped silently."""
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
