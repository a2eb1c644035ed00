"""Where a user's phones can be reached (RFC 3261 §10): the value, its repository, and the table in use."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Final, Protocol, TypeVar

import msgspec

from engine.sip.flow import Flow
from engine.sip.uri import Uri

K = TypeVar("K")

SPARE: Final = 1_000
"""Expiries that may lie about for nothing, beside the necessary ones."""

# Present in one of two URIs only, these make them differ; other parameters do not (RFC 3261 §19.1.4).
_TELLING: Final = ("user", "ttl", "method", "maddr", "transport")


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """One contact of a user. `expires` is monotonic seconds."""

    user: str
    contact: str
    """The Contact URI as text."""
    flow: Flow
    """Where the REGISTER came from; requests to the contact go back that way (RFC 5626 §5.3)."""
    call_id: str
    cseq: int
    expires: float
    q: str = ""
    instance: str = ""
    """The value of +sip.instance, empty without."""
    reg_id: int = 0
    """0 without RFC 5626."""
    path: tuple[str, ...] = ()

    @property
    def uri(self) -> Uri:
        return Uri.parse(self.contact)

    def is_same(self, other: Binding) -> bool:
        """Whether one replaces the other: the same flow of the same instance, or the same contact."""
        if self.user != other.user:
            return False
        if self.reg_id and other.reg_id:
            return (self.instance, self.reg_id) == (other.instance, other.reg_id)
        return not self.reg_id and not other.reg_id and same_uri(self.uri, other.uri)


class BindingRepository(Protocol):
    """Keeps bindings for the next start. Times are monotonic seconds; a repository turns them into others."""

    def load(self, now: float) -> list[Binding]:
        """Those that have not expired."""
        ...

    def save(self, binding: Binding, now: float) -> None:
        """Keep it instead of the one that is the same, if there is one."""
        ...

    def remove(self, binding: Binding, now: float) -> None: ...

    def close(self) -> None: ...


class Bindings:
    """The bindings in force, by user and by flow, dropped when they expire."""

    def __init__(self, bindings: Iterable[Binding] = ()) -> None:
        self._users: dict[str, list[Binding]] = {}
        self._flows: dict[Flow, list[Binding]] = {}
        self._expiries: list[tuple[float, int, Binding]] = []
        self._serial = 0
        self._count = 0
        for binding in bindings:
            self.put(binding)

    def of(self, user: str) -> list[Binding]:
        """The user's bindings, the most recently refreshed first."""
        return self._users.get(user, [])[::-1]

    def on(self, flow: Flow) -> list[Binding]:
        return list(self._flows.get(flow, ()))

    def find(self, binding: Binding) -> Binding | None:
        """The binding in force that this one replaces."""
        return next((other for other in self._users.get(binding.user, ()) if other.is_same(binding)), None)

    def put(self, binding: Binding) -> None:
        earlier = self.find(binding)
        if earlier is not None:
            self.drop(earlier)
        self._count += 1
        self._users.setdefault(binding.user, []).append(binding)
        self._flows.setdefault(binding.flow, []).append(binding)
        self._serial += 1
        heapq.heappush(self._expiries, (binding.expires, self._serial, binding))
        if len(self._expiries) > 4 * len(self._flows) + SPARE:  # refreshed ones leave theirs behind
            self._expiries = [entry for entry in self._expiries if self._holds(entry[2])]
            heapq.heapify(self._expiries)

    def drop(self, binding: Binding) -> None:
        """Of one in force."""
        self._count -= 1
        _take(self._users, binding.user, binding)
        _take(self._flows, binding.flow, binding)

    def expire(self, now: float) -> list[Binding]:
        """Drop those that are over, and say which."""
        over: list[Binding] = []
        while self._expiries and self._expiries[0][0] <= now:
            _, _, binding = heapq.heappop(self._expiries)
            if self._holds(binding):
                self.drop(binding)
                over.append(binding)
        return over

    def next(self) -> float | None:
        """When `expire` has something to do next."""
        while self._expiries and not self._holds(self._expiries[0][2]):
            heapq.heappop(self._expiries)
        return self._expiries[0][0] if self._expiries else None

    def _holds(self, binding: Binding) -> bool:
        return any(other is binding for other in self._users.get(binding.user, ()))

    def __iter__(self) -> Iterator[Binding]:
        return (binding for bindings in self._users.values() for binding in bindings)

    def __len__(self) -> int:
        return self._count


def _take(table: dict[K, list[Binding]], key: K, binding: Binding) -> None:
    kept = [other for other in table.get(key, ()) if other is not binding]
    if kept:
        table[key] = kept
    else:
        table.pop(key, None)


def same_uri(one: Uri, other: Uri) -> bool:
    """Whether two SIP URIs are equivalent (RFC 3261 §19.1.4)."""
    if (one.scheme, one.user, one.password, one.host, one.port) != (
        other.scheme,
        other.user,
        other.password,
        other.host,
        other.port,
    ):
        return False
    if sorted(one.headers) != sorted(other.headers):
        return False
    for name in {*one.params, *other.params}:
        if name in one.params and name in other.params:
            if (one.params[name] or "").lower() != (other.params[name] or "").lower():
                return False
        elif name in _TELLING:
            return False
    return True
