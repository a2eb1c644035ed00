"""Wrong passwords counted per source and per user, and what follows from too many."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

USER_PATIENCE: Final = 5
"""A user is shut after so many times the guesses of one source: a single one must not be able to do it."""
USER_CHARS: Final = 64
"""Of a user's name that are told apart: strangers choose the names, and all are remembered."""
MOST_ENTRIES: Final = 20_000
"""Of sources and of users; beyond it the one that failed least recently is forgotten."""


class _Failures:
    """Sliding windows by key."""

    def __init__(self, most: int, window_s: float, ban_s: float, entries: int) -> None:
        self._most = most
        self._window_s = window_s
        self._ban_s = ban_s
        self._entries = entries
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._banned: OrderedDict[str, float] = OrderedDict()

    def failed(self, key: str, now: float) -> bool:
        """Count one; True when it is the one too many."""
        if self.banned(key, now):
            return False
        times = self._times.pop(key, None) or deque()
        while times and times[0] <= now - self._window_s:
            times.popleft()
        times.append(now)
        if len(times) >= self._most:
            self._banned[key] = now + self._ban_s
            _bound(self._banned, self._entries)
            return True
        self._times[key] = times
        _bound(self._times, self._entries)
        return False

    def banned(self, key: str, now: float) -> bool:
        until = self._banned.get(key)
        if until is None:
            return False
        if until <= now:
            del self._banned[key]
            return False
        return True

    def __len__(self) -> int:
        return len(self._times) + len(self._banned)


class Throttle:
    """Bans a source that guesses, and shuts a user that is guessed at to sources it was not seen at.

    Users are counted whether they exist or not. Success forgives nothing: who guesses may own an account too.
    """

    def __init__(self, guesses: int, window_s: float, ban_s: float, most_entries: int = MOST_ENTRIES) -> None:
        self._sources = _Failures(guesses, window_s, ban_s, most_entries)
        self._users = _Failures(USER_PATIENCE * guesses, window_s, ban_s, most_entries)

    def failed(self, host: str, user: str, now: float) -> bool:
        """Note a wrong password; True when it bans the source."""
        self._users.failed(user[:USER_CHARS], now)
        return self._sources.failed(source_of(host), now)

    def banned(self, host: str, now: float) -> bool:
        """Whether nothing from there is to be heard now."""
        return self._sources.banned(source_of(host), now)

    def shut(self, user: str, now: float, is_known: Callable[[], bool]) -> bool:
        """Whether the user may not log in from a source that is not known to be its own."""
        return self._users.banned(user[:USER_CHARS], now) and not is_known()

    def __len__(self) -> int:
        return len(self._sources) + len(self._users)


def source_of(host: str) -> str:
    """Whom an address is counted for: of IPv6 the /64, which one customer has to itself."""
    if ":" not in host:
        return host
    return str(IPv6Address(int(IPv6Address(host)) >> 64 << 64))


def _bound(table: OrderedDict[str, float] | OrderedDict[str, deque[float]], most: int) -> None:
    while len(table) > most:
        table.popitem(last=False)
