"""Where branches, tags and Call-IDs come from: a counter hashed with a secret seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import chain, count
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

    branch: Callable[[], str]
    tag: Callable[[], str]
    call_id: Callable[[], str]
    token: Callable[[], str]

    def __init__(self, seed: bytes) -> None:
        self.branch = _ids(seed, b"branch", 24, MAGIC_COOKIE).__next__
        self.tag = _ids(seed, b"tag", 16).__next__
        self.call_id = _ids(seed, b"call-id", 32).__next__
        self.token = _ids(seed, b"token", 24).__next__


def _ids(seed: bytes, kind: bytes, digits: int, prefix: str = "") -> Iterator[str]:
    """Ids of one kind, `digits` hexadecimal digits each, without end: no two share a digit of a digest."""

    def of_digest(number: int) -> list[str]:
        digest = blake2b(number.to_bytes(8), key=seed[:64], person=kind).hexdigest()
        begins = range(0, _DIGITS - digits + 1, digits)
        return [prefix + digest[begin : begin + digits] for begin in begins]

    return chain.from_iterable(map(of_digest, count(1)))
