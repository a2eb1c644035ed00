"""How many calls a trunk carries: at once, and new ones a second, in each direction."""

from __future__ import annotations

from enum import StrEnum

from engine.model.trunk_sections import TrunkSection


class Way(StrEnum):
    IN = "in"
    """From the trunk to us."""
    OUT = "out"


class Limit:
    """One trunk in one direction: a count, and a bucket of tokens that fills at the permitted rate."""

    __slots__ = ("_at", "_most", "_rate", "_tokens", "bounded", "calls")

    def __init__(self, section: TrunkSection) -> None:
        self._most = section.max_calls
        self._rate = section.max_calls_per_s
        self._tokens = max(1.0, self._rate)
        self._at = 0.0
        self.calls = 0
        """That are up, or being set up."""
        self.bounded = bool(self._most or self._rate)
        """Whether there is a limit at all; otherwise `calls` may be counted without `take`."""

    def wait_s(self, now: float) -> float:
        """Seconds until one more call may be tried; 0: now. Where only an end makes room, a second."""
        if self._most and self.calls >= self._most:
            return 1.0
        if not self._rate:
            return 0.0
        self._fill(now)
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate

    def take(self, now: float) -> None:
        """One more call; beyond the limit too, since an emergency call asks for no room."""
        self.calls += 1
        if self._rate:
            self._fill(now)
            self._tokens = max(0.0, self._tokens - 1.0)

    def _fill(self, now: float) -> None:
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
