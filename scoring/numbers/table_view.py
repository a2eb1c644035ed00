"""A worker's view of the risk table: the mapped file under an overlay of the changes since it was built."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from scoring.numbers.hot_delta import Change, Put, decode_change
from scoring.numbers.hot_files import delta_path
from scoring.numbers.hot_table import NO_ROWS, HotTable
from scoring.numbers.number import KEY_LOCAL, Number, text_key
from scoring.numbers.rows import HotEntry, entry_of, strongest

_VERIFY_SLICE = 4 * 1024 * 1024
_DELTA_SLICE = 1024 * 1024

Place = tuple[str, int, bool]
"""Tenant, key without tenant bits, wildcard."""
Mark = tuple[int, int, int]
"""What tells one file from the next under the same name: inode, size, time of change."""


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


@dataclass(slots=True)
class _Candidate:
    """A new file, checked in slices so that no poll takes long."""

    mark: Mark
    table: HotTable
    done: int = 0
    crc: int = 0


class TableView:
    """The table at `path` and its changes. Before there is a file it is empty, version 0.

    `poll` is called a few times a second, from the thread that looks up; it never waits, and it reads at most
    some megabytes at a time. A file that cannot be used leaves the last good one in place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._table: HotTable | None = None
        self._mark: Mark | None = None
        self._candidate: _Candidate | None = None
        self._changes: list[Change] = []
        self._overlay = Overlay()
        self._delta: BinaryIO | None = None
        self._delta_offset = 0

    @classmethod
    def open(cls, path: Path) -> "TableView":
        """The view with what is on disk now. Raises TableError or OSError for a file that cannot be used."""
        view = cls(path)
        mark = _mark(path)
        if mark is not None:
            view._use(HotTable.open(path), mark)
        view.poll()
        return view

    @property
    def version(self) -> int:
        table = self._table.version if self._table is not None else 0
        return max(table, self._changes[-1].version) if self._changes else table

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        """What counts for a number `at` this moment (UTC, aware), or None."""
        if not self._changes:
            return self._table.lookup(tenant, number, at) if self._table is not None else None
        if self._table is None:
            return self._overlay.strongest(tenant, number, at)
        changed = self._overlay.lookup(tenant, number, at)
        kept = self._table.lookup(tenant, number, at, self._overlay.superseded(tenant))
        return strongest([*changed, kept]) if changed else kept

    def poll(self) -> tuple[str, ...]:
        """Take up what changed on disk. Returns what an operator should know of it, one line each."""
        return (*self._poll_table(), *self._poll_delta())

    def _poll_table(self) -> list[str]:
        candidate = self._candidate
        if candidate is None:
            mark = _mark(self._path)
            if mark is None or mark == self._mark:
                return []
            try:
                self._candidate = _Candidate(mark, HotTable.open(self._path, verify=False))
            except (OSError, ValueError) as error:
                return [self._refused(mark, str(error))]
            return []
        candidate.crc, complete = candidate.table.checksum_part(candidate.done, _VERIFY_SLICE, candidate.crc)
        candidate.done += _VERIFY_SLICE
        if not complete:
            return []
        self._candidate = None
        if candidate.crc != candidate.table.header.body_crc:
            return [self._refused(candidate.mark, f"{self._path}: the checksum is wrong")]
        self._use(candidate.table, candidate.mark)
        return [f"hot table version {self.version} with {len(candidate.table)} entries"]

    def _refused(self, mark: Mark, error: str) -> str:
        self._mark = mark  # said once, not at every poll
        return f"hot table not taken, version {self.version} stays: {error}"

    def _use(self, table: HotTable, mark: Mark) -> None:
        self._table, self._mark = table, mark
        self._changes = [change for change in self._changes if change.version > table.version]
        self._overlay = Overlay(self._changes)

    def _poll_delta(self) -> list[str]:
        problems: list[str] = []
        for line in self._new_lines():
            try:
                change = decode_change(line)
            except (msgspec.MsgspecError, ValueError) as error:
                problems.append(
                    f"{delta_path(self._path)}: a change that cannot be read was left out: {error}"
                )
                continue
            if change.version > self.version:
                self._changes.append(change)
                self._overlay.apply(change)
        return problems

    def _new_lines(self) -> list[bytes]:
        """Whole lines that were appended since, or all of a new file."""
        path = delta_path(self._path)
        try:
            found = path.stat()
            # While the old file is held open its inode cannot be given to another one.
            if self._delta is None or os.fstat(self._delta.fileno()).st_ino != found.st_ino:
                new = path.open("rb")
                self.close()
                self._delta, self._delta_offset = new, 0
        except FileNotFoundError:
            return []
        data = os.pread(self._delta.fileno(), _DELTA_SLICE, self._delta_offset)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == _DELTA_SLICE:
            end = len(data)  # no change is so long
        self._delta_offset += end
        return [line for line in data[:end].split(b"\n") if line]

    def close(self) -> None:
        """Let go of the delta file. The mapping goes with the object."""
        if self._delta is not None:
            self._delta.close()
            self._delta = None


def _mark(path: Path) -> Mark | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)
