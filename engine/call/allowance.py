"""How much may be sent to each of many receivers: a bucket of tokens for each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

REMEMBERED: Final = 10_000
"""Receivers; beyond it the one that was asked for least recently is forgotten, and begins anew."""
_MINUTE_S: Final = 60.0


class Allowance:
    """So many a minute for each receiver; after a quiet minute as many at once."""

    __slots__ = ("_buckets", "_per_minute")

    def __init__(self, per_minute: int) -> None:
        self._per_minute = float(per_minute)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Receiver → tokens, and when there were so many."""

    def take(self, receiver: str, now: float) -> bool:
        """Count one; whether it may be sent."""
        most = self._per_minute
        tokens, then = self._buckets.pop(receiver, (most, now))
        tokens = min(most, tokens + (now - then) * most / _MINUTE_S)
        allowed = tokens >= 1.0
        self._buckets[receiver] = (tokens - allowed, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return allowed
