"""The files of a hot table: the table itself, `.delta` beside it, and `.lock` for whoever writes either."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Mark = tuple[int, int, int]
"""What tells one file from the next under the same name: inode, size, time of change."""


def file_mark(path: Path) -> Mark | None:
    """None where there is no file. Raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def delta_path(table: Path) -> Path:
    """The delta file of a table file."""
    return table.with_name(table.name + ".delta")


@contextmanager
def locked(table: Path) -> Iterator[None]:
    """Hold the writers' lock of a table; readers need none."""
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.with_name(table.name + ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Replace the file by rename, so that a reader sees the old one or the new one, whole and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o640)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
