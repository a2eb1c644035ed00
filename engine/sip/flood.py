"""How much a source address may send: token buckets, and bans for those that go on.

Counted before anything is parsed. Addresses can be forged over UDP; this is about sources that are real.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

EXAMINED: Final = 8
"""How many of the oldest sources are looked at when one has to make room."""
IPV6_PREFIX: Final = 64
"""Whoever has one IPv6 address has a network of so many bits (RFC 6177)."""


@dataclass(frozen=True, slots=True)
class FloodLimits:
    messages_per_s: float = 100.0
    """From one address that no trunk has; bursts of twice as many pass."""
    trunk_messages_per_s: float = 20_000.0
    """The same of a trunk's address."""
    sources: int = 10_000
    """Addresses remembered. One more takes the place of the oldest that has been quiet; see `Flood`."""
    ban_after: int = 1_000
    """Messages dropped, without a pause in between, before the source is banned."""
    ban_s: float = 10.0
    """The first ban; each further one is twice as long."""
    longest_ban_s: float = 3_600.0
    """After so long without a new ban the first one is short again."""


class _Bucket:
    __slots__ = ("at", "ban_ends", "bans", "burst", "dropped", "known", "rate", "tokens")

    def __init__(self, rate: float, now: float, *, known: bool) -> None:
        self.known = known
        self.rate = rate
        self.tokens = self.burst = max(1.0, 2.0 * rate)
        self.at = now
        self.dropped = 0
        """Since the bucket was last full."""
        self.bans = 0
        self.ban_ends = 0.0


class Flood:
    """All sources of one worker. `now` is monotonic seconds.

    A trunk's address (`is_known`) is throttled but never banned. Unknown IPv6 addresses share the bucket of
    their /64. When the table is full, the oldest of `EXAMINED` sources that is quiet (its bucket is full
    again) makes room, without one the oldest that is not banned, without one the oldest: so a flood from
    many addresses pushes out neither bans nor their memory for long.
    """

    def __init__(self, limits: FloodLimits, is_known: Callable[[str], bool]) -> None:
        self._limits = limits
        self._is_known = is_known
        self._buckets: dict[str, _Bucket] = {}
        self._order: deque[str] = deque()
        self._bans: dict[str, float] = {}
        self.dropped = 0
        self.banned = 0
        """Bans since the start."""
        self.changed = False
        """The bans in force are others than when this was last set to False."""

    def admits(self, host: str, now: float) -> bool:
        """Count one message from there; whether it may be read."""
        bucket = self._buckets.get(host)
        if bucket is None:
            bucket = self._bucket(host, now)
        tokens = bucket.tokens + (now - bucket.at) * bucket.rate
        bucket.at = now
        if tokens >= bucket.burst:
            tokens = bucket.burst
            bucket.dropped = 0
        if tokens >= 1.0:
            bucket.tokens = tokens - 1.0
            return True
        bucket.tokens = tokens
        self._over(bucket, host, now)
        return False

    def is_banned(self, host: str, now: float) -> bool:
        """Asked before a connection is accepted; counts nothing."""
        return bool(self._bans) and self._bans.get(source_of(host), 0.0) > now

    def expire(self, now: float) -> None:
        """Let bans end that are over; call it about once a second."""
        over = [source for source, until in self._bans.items() if until <= now]
        for source in over:
            del self._bans[source]
        self.changed = self.changed or bool(over)

    def bans(self) -> list[IPv4Network | IPv6Network]:
        """What is banned now, the latest first."""
        return [ip_network(source) for source in reversed(self._bans)]

    def counts(self) -> dict[str, int]:
        return {
            "dropped": self.dropped,
            "bans": self.banned,
            "banned_now": len(self._bans),
            "sources": len(self._buckets),
        }

    def _over(self, bucket: _Bucket, host: str, now: float) -> None:
        self.dropped += 1
        if bucket.known or bucket.tokens < 0.0:  # a debt is a ban that has begun
            return
        limits = self._limits
        bucket.dropped += 1
        if bucket.dropped < limits.ban_after:
            return
        if now > bucket.ban_ends + limits.longest_ban_s:
            bucket.bans = 0
        ban_s = min(limits.ban_s * 2.0**bucket.bans, limits.longest_ban_s)
        bucket.bans += 1
        bucket.dropped = 0
        bucket.tokens = -ban_s * bucket.rate
        bucket.ban_ends = now + ban_s
        source = source_of(host)
        self._bans.pop(source, None)
        self._bans[source] = bucket.ban_ends
        self.banned += 1
        self.changed = True

    def _bucket(self, host: str, now: float) -> _Bucket:
        known = self._is_known(host)
        key = host if known else source_of(host)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._limits.sources:
                self._make_room(now)
            limits = self._limits
            rate = limits.trunk_messages_per_s if known else limits.messages_per_s
            bucket = self._buckets[key] = _Bucket(rate, now, known=known)
            self._order.append(key)
        return bucket

    def _make_room(self, now: float) -> None:
        oldest = [self._order.popleft() for _ in range(min(EXAMINED, len(self._order)))]
        buckets = [self._buckets[key] for key in oldest]
        quiet = (p for p, b in enumerate(buckets) if b.tokens + (now - b.at) * b.rate >= b.burst)
        free = (p for p, b in enumerate(buckets) if b.ban_ends <= now)
        place = next(quiet, next(free, 0))
        del self._buckets[oldest.pop(place)]
        self._order.extend(oldest)


def source_of(host: str) -> str:
    """The address itself, or the /64 of an IPv6 one."""
    if ":" not in host:
        return host
    return str(IPv6Network((host.partition("%")[0], IPV6_PREFIX), strict=False))
