"""Where branches, tags and Call-IDs come from: a counter hashed with a secret seed."""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

from engine.sip.via import MAGIC_COOKIE

_DIGITS = 128
"""Hexadecimal digits of one digest."""


class IdSource(Protocol):
    """Unique identifiers, each a SIP token."""

    def branch(self) -> str:
        """A Via branch with RFC 3261's magic cookie."""
        ...

    def tag(self) -> str:
        """A From or To tag: at least 32 bits that cannot be guessed (RFC 3261 §19.3)."""
        ...

    def call_id(self) -> str:
        """A Call-ID without host part."""
        ...

    def token(self) -> str:
        """Any other identifier: a cnonce, a Content-ID."""
        ...


class HashedIds:
    """Ids that nobody without the seed can guess; the caller draws 16 bytes or more once a process."""

    def __init__(self, seed: bytes) -> None:
        self._key = seed[:64]
        self._count = 0
        # A digest is cut into several ids: no two share a digit of it.
        self._digits = ""
        self._place = _DIGITS

    def _next(self, digits: int) -> str:
        begin = self._place
        if begin + digits > _DIGITS:
            self._count += 1
            self._digits = blake2b(self._count.to_bytes(8), key=self._key).hexdigest()
            begin = 0
        self._place = end = begin + digits
        return self._digits[begin:end]

    def branch(self) -> str:
        return MAGIC_COOKIE + self._next(24)

    def tag(self) -> str:
        return self._next(16)

    def call_id(self) -> str:
        return self._next(32)

    def token(self) -> str:
        return self._next(24)
