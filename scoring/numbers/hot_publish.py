"""Puts a newly built hot table in the place of the old one, under the eyes of its readers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from scoring.numbers import hot_format as form
from scoring.numbers.hot_build import Columns, Words, build, columns
from scoring.numbers.hot_delta import Change, Drop, Put, append, encode_change, read_changes, version_with
from scoring.numbers.hot_files import delta_path, locked, write_atomically
from scoring.numbers.hot_table import HotTable, origin_of
from scoring.numbers.number import KEY_TENANT_SHIFT
from scoring.numbers.rows import RiskRow


class OutdatedError(Exception):
    """The table was built anew since the rows were read: read them again."""


CHANGES_MAX: Final = 2_000
"""More changes than readers should hold in memory: they are taken up into a new table instead."""
_DELTA_BYTES_MAX: Final = 256 * CHANGES_MAX


def change(
    path: Path, at: datetime, puts: Sequence[RiskRow] = (), drops: Sequence[tuple[str, int]] = ()
) -> int:
    """Tell every reader of changed rows, and of removed ones as (tenant, row id). Returns the new version.

    Some go into the delta file and count at once; many are folded into a new table, in seconds where it is
    large. Raises ValueError, before anything is written, for a row that cannot be listed; TableError for a
    table file that is damaged.
    """
    if len(puts) + len(drops) <= CHANGES_MAX:
        version = append(path, puts, drops)
        if delta_path(path).stat().st_size <= _DELTA_BYTES_MAX:
            return version
        puts, drops = (), ()
    return fold(path, at, puts, drops)


def fold(
    path: Path, at: datetime, puts: Sequence[RiskRow] = (), drops: Sequence[tuple[str, int]] = ()
) -> int:
    """Build a new table of the old one, the changes told since, and these. Returns its version.

    All on arrays, mostly without the GIL: some seconds for ten million rows. Raises as `change` does.
    """
    with locked(path):
        told = read_changes(path)
        version = version_with(path, told) + 1
        changes = [*told, *(Put(version, row) for row in puts), *(Drop(version, *drop) for drop in drops)]
        old = HotTable.open(path) if path.exists() else None
        parts = build(_changed(old, changes), version, at, old.origin if old is not None else "")
        write_atomically(path, *parts)
        write_atomically(delta_path(path), b"")  # what a crash leaves in it is older than the table
    return version


def _changed(old: HotTable | None, changes: Sequence[Change]) -> Columns:
    """The rows of the table with the changes, of which the last one on a row counts."""
    last: dict[tuple[str, int], Change] = {}
    for each in changes:
        last[(each.row.tenant, each.row.row) if isinstance(each, Put) else (each.tenant, each.row)] = each
    rows = [each.row for each in last.values() if isinstance(each, Put)]
    if old is None:
        return columns(rows)
    added = columns(rows, old.texts.tenants, old.texts.reasons)
    exact, prefixes = (
        np.frombuffer(words, dtype=np.uint64).reshape(-1, form.ENTRY_WORDS) for words in old.words()
    )
    kept_exact, kept_prefixes = (_kept(words, old.texts.tenants, last) for words in (exact, prefixes))
    keys, values, details = (
        np.concatenate((exact[kept_exact, word], prefixes[kept_prefixes, word], new))
        for word, new in enumerate((added.keys, added.values, added.details))
    )
    wildcards = np.repeat((False, True), (np.count_nonzero(kept_exact), np.count_nonzero(kept_prefixes)))
    wildcards = np.concatenate((wildcards, added.wildcards))
    return Columns(added.tenants, added.reasons, keys, values, details, wildcards)


def _kept(
    words: Words, tenants: Sequence[str], changed: Iterable[tuple[str, int]]
) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Which entries no change concerns."""
    places = {name: place for place, name in enumerate(tenants)}
    names = np.array(
        [places[tenant] << 48 | row for tenant, row in changed if tenant in places], dtype=np.uint64
    )
    owners = words[:, 0] >> np.uint64(KEY_TENANT_SHIFT) << np.uint64(48)
    return np.isin(owners | words[:, 2] >> np.uint64(form.ROW_SHIFT), names, invert=True)


def publish(
    rows: Iterable[RiskRow],
    path: Path,
    at: datetime,
    seen: int | None = None,
    origin: str | None = None,
    keep: bool = False,
) -> int:
    """Build the table of these rows, swap it in by rename, and return its version.

    `seen` is the version of which the rows were read: changes after it stay in the delta file, above the new
    table; OutdatedError where another build has taken such changes up already. Without it the rows include
    every change so far. `origin` names the configured file that the rows
    take in; None keeps the name that the old table has. With `keep` a table of the same origin stays as it
    is. Raises ValueError for rows that cannot be listed.
    """
    cols = columns(rows)
    with locked(path):
        changes = read_changes(path)
        if keep and origin_of(path) == origin:
            return version_with(path, changes)
        version = version_with(path, changes) + 1
        if seen is not None and version_with(path, ()) > seen:
            raise OutdatedError(f"{path} is newer than version {seen}")
        later = [] if seen is None else [change for change in changes if change.version > seen]
        kept = [
            msgspec.structs.replace(change, version=number)
            for number, change in enumerate(later, start=version + 1)
        ]
        parts = build(cols, version, at, origin_of(path) if origin is None else origin)
        # Whatever step a crash leaves it at, table and changes together say all they should.
        write_atomically(delta_path(path), b"".join(map(encode_change, [*changes, *kept])))
        write_atomically(path, *parts)
        write_atomically(delta_path(path), b"".join(map(encode_change, kept)))
    return version
