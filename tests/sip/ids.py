"""An `IdSource` for ladders: nothing of it is random."""

from __future__ import annotations

from engine.sip.via import MAGIC_COOKIE


class SeededIds:
    """Short ids that read well in a test's ladder: `z9hG4bK-a-1`, `a-tag-2`, …"""

    def __init__(self, seed: str = "a") -> None:
        self._seed = seed
        self._count = 0

    def _next(self, kind: str) -> str:
        self._count += 1
        return f"{self._seed}-{kind}-{self._count}"

    def branch(self) -> str:
        self._count += 1
        return f"{MAGIC_COOKIE}-{self._seed}-{self._count}"

    def tag(self) -> str:
        return self._next("tag")

    def call_id(self) -> str:
        return self._next("call")

    def token(self) -> str:
        return self._next("token")
