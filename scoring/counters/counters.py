"""The counters of an engine's worker: fed with what happens to calls, read by name. Time is an argument."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from scoring.counters.ledger import Ledger
from scoring.counters.names import NAMES, TICK_S, Field
from scoring.numbers import Number
from scoring.numbers.number import KEY_LOCAL

_MIX: Final = 0xBF58476D1CE4E5B9
_WORD: Final = (1 << 64) - 1

Key = int | str | None
"""None stands for nobody: calls without a number are not counted together."""


Subject = tuple[Key, Key, Key]
"""Whose calls a call is counted with: caller, range of numbers, route, in the order of `Kind`."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many callers, ranges and routes are known at a time, and how well distinct called numbers are told.

    Memory is about 1 kB and 4 bytes a cell for each; 32 MB in all as it is here, once all rows are in use.
    """

    callers: int = 10_000
    prefixes: int = 2_000
    routes: int = 64
    prefix_digits: int = 9
    """Of E.164: country code and what follows; 9 is a number segment (+86 138 0013) in mainland China."""
    caller_cells: int = 256
    prefix_cells: int = 1024
    route_cells: int = 4096


class Counters:
    """Attempts, answers, short calls, rejects and cancels of callers, their ranges and routes.

    `seed` (64 bits) makes it unpredictable which numbers fall on the same cell.
    """

    def __init__(self, sizes: Sizes, seed: int) -> None:
        self._ledgers = (
            Ledger(sizes.callers, sizes.caller_cells),
            Ledger(sizes.prefixes, sizes.prefix_cells),
            Ledger(sizes.routes, sizes.route_cells),
        )
        self._prefix_digits = sizes.prefix_digits
        self._seed = seed & _WORD
        self._next_tick = 0.0

    @property
    def nbytes(self) -> int:
        """Of all arrays; the same for good."""
        return sum(ledger.nbytes for ledger in self._ledgers)

    def subject(self, calling: Number, route: str) -> Subject:
        """Whose counters a call counts for. A number that is no E.164 has no range."""
        key = calling.key
        if not key or key & KEY_LOCAL:
            return (key or None, None, route)
        return (key, calling.digits[: self._prefix_digits], route)

    def attempt(self, subject: Subject, called: Number, now: float, *, rejected: bool = False) -> None:
        """A call to that number was screened, and perhaps rejected."""
        if now >= self._next_tick:
            self._advance(now)
        # Neighbouring numbers must fall on cells as if by chance: one multiplication would spread them.
        mixed = (called.key ^ self._seed) * _MIX & _WORD
        mixed = (mixed ^ mixed >> 32) * _MIX >> 40
        callers, prefixes, routes = self._ledgers
        caller, prefix, route = subject
        if caller is not None:
            callers.attempt(caller, mixed, rejected)
        if prefix is not None:
            prefixes.attempt(prefix, mixed, rejected)
        if route is not None:
            routes.attempt(route, mixed, rejected)

    def add(self, subject: Subject, field: Field, now: float) -> None:
        """Something happened to a call that was attempted before."""
        if now >= self._next_tick:
            self._advance(now)
        callers, prefixes, routes = self._ledgers
        caller, prefix, route = subject
        if caller is not None:
            callers.add(caller, field)
        if prefix is not None:
            prefixes.add(prefix, field)
        if route is not None:
            routes.add(route, field)

    def read(self, subject: Subject, now: float) -> Mapping[str, int]:
        """The counters as they are now, by name; each is worked out when it is asked for, and not kept."""
        if now >= self._next_tick:
            self._advance(now)
        return _Reading(self._ledgers, subject)

    def _advance(self, now: float) -> None:
        for ledger in self._ledgers:
            ledger.advance(now)
        self._next_tick = (now // TICK_S + 1) * TICK_S


class _Reading(Mapping[str, int]):
    """The counters of one call's subject. Names are those of `NAMES`."""

    __slots__ = ("_ledgers", "_subject")

    def __init__(self, ledgers: tuple[Ledger, ...], subject: Subject) -> None:
        self._ledgers = ledgers
        self._subject = subject

    def __getitem__(self, name: str) -> int:
        kind, field, ring = NAMES[name]
        key = self._subject[kind]
        if key is None:
            return 0
        ledger = self._ledgers[kind]
        return ledger.distinct(key, ring) if field is None else ledger.count(key, field, ring)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)
