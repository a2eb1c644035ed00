"""Puts a newly built hot table in the place of the old one, under the eyes of its readers."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from scoring.numbers.hot_build import build, columns
from scoring.numbers.hot_delta import encode_change, read_changes, version_with
from scoring.numbers.hot_files import delta_path, locked, write_atomically
from scoring.numbers.hot_table import HotTable
from scoring.numbers.rows import RiskRow


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
    table. Without it the rows include every change so far. `origin` names the configured file that the rows
    take in; None keeps the name that the old table has. With `keep` a table of the same origin stays as it
    is. Raises ValueError for rows that cannot be listed.
    """
    cols = columns(rows)
    with locked(path):
        changes = read_changes(path)
        if keep and origin_of(path) == origin:
            return version_with(path, changes)
        version = version_with(path, changes) + 1
        later = [] if seen is None else [change for change in changes if change.version > seen]
        kept = [
            msgspec.structs.replace(change, version=number)
            for number, change in enumerate(later, start=version + 1)
        ]
        data = build(cols, version, at, origin_of(path) if origin is None else origin)
        # Whatever step a crash leaves it at, table and changes together say all they should.
        write_atomically(delta_path(path), b"".join(map(encode_change, [*changes, *kept])))
        write_atomically(path, data)
        write_atomically(delta_path(path), b"".join(map(encode_change, kept)))
    return version


def origin_of(path: Path) -> str:
    """The origin that the table file names; empty where there is no usable file."""
    try:
        return HotTable.open(path, verify=False).origin
    except (OSError, ValueError):
        return ""
