"""Symmetric RTP (RFC 4961): a leg is one remote socket, and nobody else's packets get in."""

from __future__ import annotations

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As Python gives it for IPv4 or IPv6."""


class SourceLock:
    """Locks to the first valid packet from the host of the SDP, from whatever port.

    The very address of the SDP takes the lock from any other port: whoever came first cannot keep the phone
    itself out.
    """

    __slots__ = ("locked", "signalled")

    def __init__(self, signalled: SocketAddress) -> None:
        self.signalled = signalled
        self.locked: SocketAddress | None = None

    def admit(self, source: SocketAddress) -> bool:
        """Whether a valid packet from `source` belongs to the leg; may set or move the lock."""
        if source == self.locked:
            return True
        if source == self.signalled or (self.locked is None and source[0] == self.signalled[0]):
            self.locked = source
            return True
        return False

    @property
    def target(self) -> SocketAddress:
        """Where the leg's packets go."""
        return self.locked or self.signalled
