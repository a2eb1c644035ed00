"""Changes between two builds of the hot table: an append-only file of JSON lines beside it.

One writer at a time holds the lock file; readers need none. Every change has the next version after the
table's and the earlier changes', and versions never go back, so a reader takes from the file what is newer
than the table it has mapped. A line is a change only once its newline is there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from scoring.numbers.hot_files import delta_path, locked
from scoring.numbers.hot_format import expiry_seconds
from scoring.numbers.hot_table import HotTable
from scoring.numbers.number import text_key
from scoring.numbers.rows import RiskRow


class Put(msgspec.Struct, frozen=True, tag="put"):
    """A row was added or changed."""

    version: int
    row: RiskRow


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """A row was removed."""

    version: int
    tenant: str
    row: int


Change = Put | Drop

_decode: Callable[[bytes], Change] = msgspec.json.Decoder(Change).decode


def decode_change(line: bytes) -> Change:
    """Raises msgspec.MsgspecError for what is no change, ValueError for one that cannot be listed."""
    change = _decode(line)
    if isinstance(change, Put):
        _check(change.row)
    return change


def append(path: Path, puts: Sequence[RiskRow] = (), drops: Sequence[tuple[str, int]] = ()) -> int:
    """Tell every reader of changed rows, and of removed ones as (tenant, row id). Returns the new version.

    Raises ValueError, before anything is written, for a row that cannot be listed.
    """
    for row in puts:
        _check(row)
    with locked(path):
        version = version_with(path, read_changes(path))
        lines: list[bytes] = []
        for row in puts:
            version += 1
            lines.append(encode_change(Put(version, row)))
        for tenant, dropped in drops:
            version += 1
            lines.append(encode_change(Drop(version, tenant, dropped)))
        with delta_path(path).open("ab") as file:
            if file.tell() and not _ends_with_newline(path):
                file.write(b"\n")  # a writer died in the middle of a line: it stays unreadable, on its own
            file.write(b"".join(lines))
    return version


def current_version(path: Path) -> int:
    """The version of table and delta file together; 0 where there is neither."""
    return version_with(path, read_changes(path))


def _check(row: RiskRow) -> None:
    text_key(row.number)
    expiry_seconds(row.expires)


def encode_change(change: Change) -> bytes:
    """One line of the delta file."""
    return msgspec.json.encode(change) + b"\n"


def read_changes(path: Path) -> list[Change]:
    """All readable changes in the delta file."""
    try:
        data = delta_path(path).read_bytes()
    except FileNotFoundError:
        return []
    found: list[Change] = []
    for line in data.split(b"\n"):
        try:
            found.append(decode_change(line))
        except (msgspec.MsgspecError, ValueError):
            continue
    return found


def version_with(path: Path, changes: Sequence[Change]) -> int:
    """The version of the table file with these changes."""
    try:
        table = HotTable.open(path, verify=False).version
    except (FileNotFoundError, ValueError):
        table = 0
    return max([table, *(change.version for change in changes)])


def _ends_with_newline(path: Path) -> bool:
    with delta_path(path).open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
