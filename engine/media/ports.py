"""The worker's UDP ports: even ones for RTP, the next for RTCP (RFC 3550 §11)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections import deque

from engine.media.failures import NO_PORTS, CommandError

_EXPEDITED_FORWARDING = 46 << 2
"""DSCP EF in the traffic class byte (RFC 3246)."""


class PortPair:
    """A bound RTP socket and its RTCP socket, both non-blocking."""

    __slots__ = ("port", "rtcp", "rtp")

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError where a port is taken."""
        self.port = port
        self.rtp = _bound(host, port)
        try:
            self.rtcp = _bound(host, port + 1)
        except OSError:
            self.rtp.close()
            raise

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """Hands out pairs in a round, so that a closed call's late packets find nobody at home."""

    def __init__(self, host: str, first: int, last: int) -> None:
        """Raises OSError where the host is not this machine's, ValueError where it is no address."""
        _bound(host, 0).close()
        self._host = host
        self._free = deque(range(first + first % 2, last, 2))

    def open(self) -> PortPair:
        """The next pair that can be bound. Raises `CommandError` when there is none."""
        error: OSError | None = None
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                return PortPair(self._host, port)
            except OSError as failure:  # taken by another program: perhaps free the next time round
                self._free.append(port)
                error = failure
        raise CommandError(NO_PORTS, str(error or ""))

    def give_back(self, pair: PortPair) -> None:
        pair.close()
        self._free.append(pair.port)


def _bound(host: str, port: int) -> socket.socket:
    version = ipaddress.ip_address(host).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a mark for routers, not a need
            if version == 4:
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)
            else:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED_FORWARDING)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened
