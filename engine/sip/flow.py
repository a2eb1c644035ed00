"""Where a message came from or goes to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

DEFAULT_PORT: Final = 5060
DEFAULT_PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
)
"""Where a URI or a Via names none (RFC 3261 §18.2.2, §19.1.2, RFC 7118 §5)."""


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
