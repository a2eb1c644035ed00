"""Counts of many callers (or ranges, or routes) in a table of fixed size.

A row has a ring of buckets for each window. What happens goes into the newest bucket of the finest ring only;
when its tick is over and the row is touched again, that bucket is added to the coarser rings and the buckets
that time has passed over are emptied. Beside them a row has cells that hold the tick in which a number that
falls on the cell was last called: the share of cells used within a window tells how many distinct numbers
there were (linear counting: Whang et al., ACM TODS 15(2), 1990), for every window from the same cells.

A full table gives the row of somebody else to a newcomer, who starts from zero: counts are never too high.
Rows are in two lists, newcomers and proven, both in the order of their last activity. The longest idle
newcomer is looked at: with `PROVEN` attempts in the longest window it is moved to the proven, otherwise its
row is taken. The proven have at most three quarters of the rows; one more, and the longest idle of them goes.
So a flood of callers who are seen once or twice pushes out each other and nobody else: to lose a caller with
`PROVEN` attempts takes as many others as the proven have room, each with `PROVEN` attempts of its own.
"""

import mmap
from collections import OrderedDict
from collections.abc import Hashable
from math import log
from typing import Final

from scoring.counters.names import FIELDS, RINGS, TICK_S, Field

PROVEN: Final = 8
"""Attempts in the longest window that make a row worth keeping."""

_REJECTED: Final = int(Field.REJECTED)
_FIRST: Final = RINGS[-1].ticks * RINGS[-1].size + 1
"""The tick at time 0: every window then reaches back to ticks that no cell holds, and 0 is none."""
_STARTS: Final = tuple(sum(ring.size for ring in RINGS[:place]) * FIELDS for place in range(len(RINGS)))
_ROW: Final = sum(ring.size for ring in RINGS) * FIELDS


class Ledger:
    """A table of `rows` rows with `cells` cells each (a power of two). Keys are any hashable values."""

    def __init__(self, rows: int, cells: int) -> None:
        if rows < 4 or cells < 1 or cells & (cells - 1):
            raise ValueError(f"a ledger has at least 4 rows and a power of two of cells, not {rows}, {cells}")
        self._rows, self._cells = rows, cells
        self._counts, self._seen = _words(rows * _ROW), _words(rows * cells)
        self._no_counts, self._no_cells = _words(_ROW), _words(cells)
        self._used: dict[Hashable, dict[int, int]] = {}
        """Of whom distinct numbers were asked for in this tick: cells used within each window asked for."""
        self._mask = cells - 1
        self._slots: dict[Hashable, int] = {}
        self._active: dict[Hashable, tuple[int, int]] = {}
        """Of whom something happened in this tick: where the newest bucket and the cells begin."""
        self._ticks = [0] * rows
        """Of each row: to which tick its rings are up to date."""
        self._newcomers: OrderedDict[Hashable, None] = OrderedDict()
        self._proven: OrderedDict[Hashable, None] = OrderedDict()
        self._proven_max = rows * 3 // 4
        self.tick = _FIRST
        self._newest = 0
        """Where the newest bucket of the finest ring is in a row."""

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._slots

    @property
    def nbytes(self) -> int:
        """Of the arrays; the same for good."""
        return self._counts.nbytes + self._seen.nbytes

    def advance(self, now: float) -> None:
        """Time has come to `now` (monotonic seconds from 0); it never goes back."""
        self.tick = max(self.tick, _FIRST + int(now // TICK_S))
        self._active.clear()
        self._used.clear()
        self._newest = self.tick % RINGS[0].size * FIELDS

    def attempt(self, key: Hashable, mixed: int, rejected: bool = False) -> None:
        """A call was attempted, to a number with this hash, and perhaps rejected."""
        bucket, cells = self._active.get(key) or self._activate(key)
        self._counts[bucket] += 1
        if rejected:
            self._counts[bucket + _REJECTED] += 1
        cell = cells + (mixed & self._mask)
        last = self._seen[cell]
        if last != self.tick:
            self._seen[cell] = self.tick
            used = self._used.get(key)
            if used is not None:
                for ring in used:
                    used[ring] += last <= self.tick - RINGS[ring].ticks * RINGS[ring].size

    def add(self, key: Hashable, field: Field) -> None:
        """Something happened to a call that was attempted; nothing is kept of a key that has lost its row."""
        if key in self._slots:
            bucket, _ = self._active.get(key) or self._activate(key)
            self._counts[bucket + field] += 1

    def count(self, key: Hashable, field: Field, ring: int) -> int:
        """How often within the window of `RINGS[ring]`."""
        slot = self._slots.get(key)
        if slot is None:
            return 0
        self._roll(slot)
        return self._sum(slot, field, ring)

    def distinct(self, key: Hashable, ring: int) -> int:
        """About how many distinct numbers were called within the window.

        The standard error is 5 % or less as long as they are no more than there are cells (two or three at
        few), 14 % at four times as many. With every cell used the answer is `cells` · ln `cells`, and there
        may have been more.
        """
        slot = self._slots.get(key)
        if slot is None:
            return 0
        used = self._used.setdefault(key, {})
        if ring not in used:
            before = self.tick - RINGS[ring].ticks * RINGS[ring].size
            row = self._seen[slot * self._cells : (slot + 1) * self._cells].tolist()
            used[ring] = sum([1 for last in row if last > before])
        return round(self._cells * log(self._cells / max(self._cells - used[ring], 1)))

    def _sum(self, slot: int, field: Field, ring: int) -> int:
        first = slot * _ROW + _STARTS[ring] + field
        found = sum(self._counts[first : first + RINGS[ring].size * FIELDS : FIELDS])
        # The coarser rings have not got the newest bucket of the finest yet.
        return found + self._counts[slot * _ROW + self._newest + field] if ring else found

    def _activate(self, key: Hashable) -> tuple[int, int]:
        """Something happens for the first time in this tick."""
        slot = self._slots.get(key)
        if slot is None:
            slot = self._insert(key)
        else:
            self._roll(slot)
            (self._proven if key in self._proven else self._newcomers).move_to_end(key)
        self._active[key] = found = (slot * _ROW + self._newest, slot * self._cells)
        return found

    def _roll(self, slot: int) -> None:
        """Bring the row's rings up to the present tick."""
        then, now = self._ticks[slot], self.tick
        if then == now:
            return
        self._ticks[slot] = now
        counts, row = self._counts, slot * _ROW
        newest = row + then % RINGS[0].size * FIELDS
        done = counts[newest : newest + FIELDS].tolist()
        for (_, ticks, size), start in zip(RINGS, _STARTS, strict=True):
            bucket, present = then // ticks, now // ticks
            if start and any(done):
                place = row + start + bucket % size * FIELDS
                for field, count in enumerate(done):
                    counts[place + field] += count
            if present - bucket >= size:
                counts[row + start : row + start + size * FIELDS] = self._no_counts[: size * FIELDS]
                continue
            for passed in range(bucket + 1, present + 1):
                place = row + start + passed % size * FIELDS
                counts[place : place + FIELDS] = self._no_counts[:FIELDS]

    def _insert(self, key: Hashable) -> int:
        slot = len(self._slots)
        if slot >= self._rows:
            slot = self._evict()
            self._counts[slot * _ROW : (slot + 1) * _ROW] = self._no_counts
            self._seen[slot * self._cells : (slot + 1) * self._cells] = self._no_cells
        self._slots[key] = slot
        self._ticks[slot] = self.tick
        self._newcomers[key] = None
        return slot

    def _evict(self) -> int:
        """The row that is taken. Each caller is moved to the proven once, so this is short on the whole."""
        longest = len(RINGS) - 1
        while True:
            key, _ = self._newcomers.popitem(last=False)
            slot = self._slots[key]
            self._roll(slot)
            if self._sum(slot, Field.ATTEMPTS, longest) >= PROVEN:
                self._proven[key] = None
                if len(self._proven) <= self._proven_max:
                    continue
                key, _ = self._proven.popitem(last=False)
            self._active.pop(key, None)
            self._used.pop(key, None)
            return self._slots.pop(key)


def _words(count: int) -> "memoryview[int]":
    """So many 32-bit zeros. A page of them is in memory once it has been written to."""
    return memoryview(mmap.mmap(-1, 4 * count)).cast("I")
