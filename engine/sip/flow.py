"""Where a message came from or goes to."""

from __future__ import annotations

import msgspec


class Flow(msgspec.Struct, frozen=True):
    """A transport ("udp", "tcp", "tls", "ws", "wss") and both ends as (host, port).

    IPv6 hosts stand without brackets. Hashable: a runtime finds its socket by it.
    """

    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]

    @property
    def reliable(self) -> bool:
        """Whether the transport itself retransmits (RFC 3261 §17)."""
        return self.transport != "udp"
