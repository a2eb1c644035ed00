"""A worker's view of the risk table: the mapped file under an overlay of the changes since it was built."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from scoring.numbers.hot_delta import Change, Put, decode_change
from scoring.numbers.hot_files import Mark, delta_path, file_mark
from scoring.numbers.hot_table import NO_ROWS, HotTable
from scoring.numbers.number import KEY_LOCAL, Number, text_key
from scoring.numbers.rows import HotEntry, entry_of, strongest

_DELTA_SLICE = 32 * 1024
"""As much as is decoded in about a millisecond."""

Place = tuple[str, int, bool]
"""Tenant, key without tenant bits, wildcard."""


class Overlay:
    """Changed rows in memory; small, since a new build takes them up."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._entries: dict[Place, dict[int, HotEntry]] = {}
        self._places: dict[tuple[str, int], Place] = {}
        self._superseded: dict[str, set[int]] = {}
        for change in changes:
            self.apply(change)

    def apply(self, change: Change) -> None:
        """Take a change; a later one on the same row replaces an earlier one."""
        if isinstance(change, Put):
            tenant, row = change.row.tenant, change.row.row
        else:
            tenant, row = change.tenant, change.row
        self._superseded.setdefault(tenant, set()).add(row)
        old = self._places.pop((tenant, row), None)
        if old is not None:
            del self._entries[old][row]
        if isinstance(change, Put):
            place = (tenant, text_key(change.row.number), change.row.wildcard)
            self._places[tenant, row] = place
            self._entries.setdefault(place, {})[row] = entry_of(change.row)

    def superseded(self, tenant: str) -> set[int] | frozenset[int]:
        """Rows of the file that no longer count."""
        return self._superseded.get(tenant, NO_ROWS)

    def lookup(self, tenant: str, number: Number, at: datetime) -> list[HotEntry]:
        """Every entry in force that matches the number."""
        if not self._places or not number.key:
            return []
        found = list(self._entries.get((tenant, number.key, False), {}).values())
        local = number.key & KEY_LOCAL
        value = number.key ^ local
        for _ in number.digits:
            found += self._entries.get((tenant, value | local, True), {}).values()
            value //= 10
        return [entry for entry in found if entry.expires is None or entry.expires > at]

    def strongest(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        """What counts where there is no file below."""
        return strongest(self.lookup(tenant, number, at))


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at the disk found: for `TableView.take`, and lines for an operator."""

    table: HotTable | None = None
    lost: bool = False
    """The table in use is damaged, and there is no other."""
    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    behind: bool = False
    """There are more changes to read at once."""


@dataclass(slots=True)
class _Disk:
    """What the looks at the disk have to remember; beside them only `take` touches it, between two looks."""

    mark: Mark | None = None
    read: tuple[Mark | None, Mark | None] | None = None
    """The marks of table and changes of which there was no more to read."""
    unverified: HotTable | None = None
    retired: HotTable | None = None
    """Let go of by the next look: giving back a large mapping takes tens of milliseconds."""
    delta: BinaryIO | None = None
    delta_offset: int = 0


class TableView:
    """The table at `path` and its changes. Before there is a file it is empty, version 0.

    Where there is something `new`, which is cheap to ask, `look` reads it, in a thread, and `take` makes it
    count, in the thread that looks up. Neither is long: a large file is checked without the GIL and mapped,
    never read into memory, and changes come some at a time. A file that cannot be used leaves the last good
    one in place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._delta_path = delta_path(path)
        self._table: HotTable | None = None
        self._changes: list[Change] = []
        self._overlay = Overlay()
        self._disk = _Disk()
        self.lookups = 0
        """Since the view was made."""
        self.generation = 0
        """Another one after whatever was taken. The version may stay: an older file under newer changes."""

    @classmethod
    def open(cls, path: Path) -> "TableView":
        """The view with what is on disk now. Raises TableError or OSError for a file that cannot be used.

        The table's size and header are checked at once, its checksum at the first `look`: a large table would
        hold up the start.
        """
        view = cls(path)
        mark = file_mark(path)
        if mark is not None:
            view._table = view._disk.unverified = HotTable.open(path, verify=False)
            view._disk.mark = mark
        behind = True
        while behind:
            found = view._look_at_changes()
            view.take(found)
            behind = found.behind
        return view

    @property
    def version(self) -> int:
        table = self._table.header.version if self._table is not None else 0
        return max(table, self._changes[-1].version) if self._changes else table

    def __len__(self) -> int:
        """Entries in the mapped file."""
        return len(self._table) if self._table is not None else 0

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        """What counts for a number `at` this moment (UTC, aware), or None."""
        self.lookups += 1
        if not self._changes:
            return self._table.lookup(tenant, number, at) if self._table is not None else None
        if self._table is None:
            return self._overlay.strongest(tenant, number, at)
        changed = self._overlay.lookup(tenant, number, at)
        kept = self._table.lookup(tenant, number, at, self._overlay.superseded(tenant))
        return strongest([*changed, kept]) if changed else kept

    def new(self) -> bool:
        """Whether there may be something for `look`. Raises OSError."""
        return self._marks() != self._disk.read

    def _marks(self) -> tuple[Mark | None, Mark | None]:
        return file_mark(self._path), file_mark(self._delta_path)

    def look(self) -> Found:
        """Read what changed on disk. One look at a time, in any thread; `take` what it returns."""
        disk = self._disk
        disk.retired = None
        if disk.unverified is not None:
            table, disk.unverified = disk.unverified, None
            if not table.sound():
                return Found(
                    lost=True, problems=(f"{self._path}: the checksum is wrong: no hot table is in use",)
                )
        marks = self._marks()
        mark = marks[0]
        if mark is None or mark == disk.mark:
            found = self._look_at_changes()
            disk.read = marks if not found.behind else None
            return found
        disk.mark, disk.read = mark, None  # a refusal is said once, not at every look
        try:
            return Found(table=HotTable.open(self._path))
        except (OSError, ValueError) as error:
            return Found(problems=(f"hot table not taken, version {self.version} stays: {error}",))

    def take(self, found: Found) -> None:
        """Make what was found count."""
        if found.lost or found.table is not None or found.changes:
            self.generation += 1
        if found.lost or found.table is not None:
            self._table, self._disk.retired = found.table, self._table
        if found.table is not None:
            newer = [change for change in self._changes if change.version > found.table.version]
            if len(newer) < len(self._changes):
                self._changes, self._overlay = newer, Overlay(newer)
        for change in found.changes:
            if change.version > self.version:
                self._changes.append(change)
                self._overlay.apply(change)

    def _look_at_changes(self) -> Found:
        changes: list[Change] = []
        problems: list[str] = []
        lines, behind = self._new_lines()
        for line in lines:
            try:
                changes.append(decode_change(line))
            except (msgspec.MsgspecError, ValueError) as error:
                problems.append(f"{self._delta_path}: a change that cannot be read was left out: {error}")
        return Found(changes=tuple(changes), problems=tuple(problems), behind=behind)

    def _new_lines(self) -> tuple[list[bytes], bool]:
        """Whole lines that were appended since, or from the start of a new file; whether there are more."""
        path, disk = self._delta_path, self._disk
        try:
            found = path.stat()
            # While the old file is held open its inode cannot be given to another one.
            if disk.delta is None or os.fstat(disk.delta.fileno()).st_ino != found.st_ino:
                new = path.open("rb")
                self.close()
                disk.delta, disk.delta_offset = new, 0
        except FileNotFoundError:
            return [], False
        data = os.pread(disk.delta.fileno(), _DELTA_SLICE, disk.delta_offset)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == _DELTA_SLICE:
            end = len(data)  # no change is so long
        disk.delta_offset += end
        return [line for line in data[:end].split(b"\n") if line], len(data) == _DELTA_SLICE

    def close(self) -> None:
        """Let go of the delta file. The mapping goes with the object."""
        if self._disk.delta is not None:
            self._disk.delta.close()
            self._disk.delta = None
