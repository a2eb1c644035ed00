"""Sockets that connections come in by."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final

from engine.model.address import Address

BACKLOG: Final = 512


def listening(family: socket.AddressFamily, address: Address) -> socket.socket:
    """A TCP listener that does not block. Raises OSError."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # an IPv4 peer would else be known by another name
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def reset(accepted: socket.socket) -> None:
    """Close without the goodbye that would keep the kernel busy with it."""
    with contextlib.suppress(OSError):
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()
