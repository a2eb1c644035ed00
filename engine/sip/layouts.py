"""Orders of header names that come again and again, each with a pattern that reads a whole header section.

A sender has a handful of layouts. A pattern costs about 1 ms to make and saves some hundredths of one each
time, so only what has come often enough gets one: made-up layouts must not keep us busy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

MAX_ROWS: Final = 64
"""A message of more rows is read with care, each time."""
SIGHTINGS: Final = 32
"""How often a layout must have come before it is learnt."""
MAX_SPELT: Final = 2_048
"""Letters in all names."""
MAX_SEEN: Final = 512
MAX_KINDS: Final = 64
MAX_KNOWN: Final = 16
"""Of one kind: the one learnt first gives way."""
VALUE: Final = "([ -~]*+)(?<! )"
"""Whatever can be printed, without spaces at its ends."""

T = TypeVar("T")
Names = tuple[str, ...]
"""Header names as they are spelt, without the start line."""


class Layouts(Generic[T]):
    """Those known, by kind of message: the fewer of a kind, the fewer are tried.

    `make` gives what reads a layout, None for one that is not to be learnt.
    """

    def __init__(self, make: Callable[[Names], T | None]) -> None:
        self._make = make
        self._known: dict[bytes, dict[Names, T]] = {}
        self._seen: dict[tuple[bytes, Names], int] = {}
        self._of: dict[bytes, Iterable[T]] = {}
        self.of = self._of.get
        """What has been learnt of a kind."""

    def learn(self, kind: bytes, head: str) -> T | None:
        """Note the layout of a message that none of those known could read; what is learnt now."""
        rows = head.split("\r\n")
        names = tuple([row.partition(":")[0] for row in rows[1:]])
        spelt = "".join(names)
        if len(names) > MAX_ROWS or len(spelt) > MAX_SPELT or not (spelt.isascii() and spelt.isprintable()):
            return None
        if names in self._known.get(kind, ()):  # it is something else that is unusual
            return None
        count = self._seen.pop((kind, names), 0) + 1
        if count < SIGHTINGS:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen[kind, names] = count
            return None
        layout = self._make(names)
        if layout is not None:
            self._add(kind, names, layout)
        return layout

    def _add(self, kind: bytes, names: Names, layout: T) -> None:
        if kind not in self._known:
            if len(self._known) >= MAX_KINDS:
                oldest = next(iter(self._known))
                del self._known[oldest], self._of[oldest]
            self._known[kind] = {}
            self._of[kind] = self._known[kind].values()
        known = self._known[kind]
        if len(known) >= MAX_KNOWN:
            del known[next(iter(known))]
        known[names] = layout


def row(name: str, value: str) -> str:
    """The pattern of a row of that name, spelt so."""
    return f"{re.escape(name)}: ++{value}"  # given back, spaces of all rows multiply
