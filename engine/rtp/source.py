"""Symmetric RTP (RFC 4961): a leg is one remote socket, and nobody else's packets get in."""

from __future__ import annotations

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As Python gives it for IPv4 or IPv6."""


class SourceLock:
    """Locks to the first valid packet from the host of the SDP, from whatever port.

    Other hosts never lock, whenever they send and whatever SSRC they guess (no RTP bleed). Of one host's
    ports the very address of the SDP takes the lock from any other, and after a new offer the one that had
    it takes it from newcomers: whoever came first cannot keep the phone itself out.
    """

    __slots__ = ("_before", "locked", "signalled")

    def __init__(self, signalled: SocketAddress) -> None:
        self.signalled = signalled
        self.locked: SocketAddress | None = None
        self._before: SocketAddress | None = None
        """Who had the lock before it was opened again."""

    def admit(self, source: SocketAddress) -> bool:
        """Whether a valid packet from `source` belongs to the leg; may set or move the lock."""
        if source == self.locked:
            return True
        if source in (self.signalled, self._before):
            self.locked = source
            return True
        if self.locked is None and source[0] == self.signalled[0]:
            self.locked = source
            return True
        return False

    def reopen(self, signalled: SocketAddress) -> None:
        """A new offer or answer: the leg may send from somewhere else from now on.

        Where it named the same address as before, packets go on to where they went until it is heard.
        """
        if signalled != self.signalled:
            self.signalled, self._before = signalled, None
        elif self.locked is not None:
            self._before = self.locked
        self.locked = None

    @property
    def target(self) -> SocketAddress:
        """Where the leg's packets go."""
        return self.locked or self._before or self.signalled
