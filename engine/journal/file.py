"""The journal's file: one SQLite database per node, one row per batch of events."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from engine.model.events import Record

BUSY_TIMEOUT_S: Final = 5.0
_NODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS journal (id TEXT NOT NULL, node TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS boot (number INTEGER PRIMARY KEY, started_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    boot INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    records BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS loss (
    boot INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL
);
"""

_decoder: Final = msgspec.msgpack.Decoder(list[Record])
_encoder: Final = msgspec.msgpack.Encoder()


class JournalBusy(Exception):
    """Another process writes this journal."""


class JournalDamaged(Exception):
    """A batch cannot be read; the text names file and row."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a journal's database, created where it is missing. Raises sqlite3.Error, OSError."""
    if not path.exists():
        path.touch(mode=0o600)  # it holds clear numbers
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


Connect = Callable[[Path], sqlite3.Connection]
Range = tuple[int, int]
"""First and last sequence number of events, both included."""


class JournalFile:
    """The one writer of a journal's file. After an error the connection is made anew by the next call.

    Methods raise sqlite3.Error or OSError where the disk refuses; then nothing of the call was stored.
    """

    def __init__(self, folder: Path, node: str, started_at: float, connect: Connect = connect) -> None:
        """Start a boot at `started_at`, seconds since the epoch.

        Raises JournalBusy, ValueError for a node name that is no file name, sqlite3.Error, OSError.
        """
        if _NODE.fullmatch(node) is None:
            raise ValueError(f"node {node!r}: letters, digits, dot, dash and underscore only, at most 64")
        folder.mkdir(parents=True, exist_ok=True)
        self.path: Final = folder / f"journal-{node}.sqlite"
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._wal: int | None = None
        self._lock = _lock(self.path.with_suffix(".lock"))
        try:
            self.boot: Final = self._start_boot(node, started_at)
        except BaseException:
            self.close()
            raise

    def write(self, records: list[Record], losses: list[Range]) -> None:
        """Commit one batch, not empty, and what was lost before it."""
        blob = encode(records)
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO loss VALUES (?, ?, ?)", [(self.boot, first, last) for first, last in losses]
            )
            connection.execute(
                "INSERT INTO batch (boot, first_seq, last_seq, records) VALUES (?, ?, ?, ?)",
                (self.boot, records[0].id.seq, records[-1].id.seq, blob),
            )

    def sync(self) -> None:
        """Have the disk keep what was committed, through a power loss too."""
        if self._connection is None:
            return
        if self._wal is None:
            # SQLite holds no POSIX lock on this file, so closing it again gives none away.
            self._wal = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(self._wal)

    def close(self) -> None:
        self._disconnect()
        os.close(self._lock)

    def _start_boot(self, node: str, started_at: float) -> int:
        """The next boot number. It is at least the time, so that a journal made anew repeats no event id."""
        with self._transaction() as connection:
            if connection.execute("SELECT count(*) FROM journal").fetchone() == (0,):
                connection.execute("INSERT INTO journal VALUES (?, ?)", (secrets.token_hex(16), node))
            (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM boot").fetchone()
            boot: int = max(last + 1, int(started_at))
            connection.execute("INSERT INTO boot VALUES (?, ?)", (boot, started_at))
        self.sync()
        return boot

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = self._connect(self.path)
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._wal is not None:
            os.close(self._wal)
            self._wal = None
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalBusy(f"{path}: another process writes this journal") from None
    return descriptor


def encode(records: list[Record]) -> bytes:
    """One blob. Text that is no Unicode (lone surrogates from the wire) is replaced, not refused."""
    try:
        return _encoder.encode(records)
    except UnicodeEncodeError:
        return _encoder.encode(_scrubbed(msgspec.to_builtins(records)))


def decode(blob: bytes) -> list[Record]:
    """Raises msgspec.DecodeError."""
    return _decoder.decode(blob)


def _scrubbed(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_scrubbed(key): _scrubbed(item) for key, item in value.items()}
        case list() | tuple():
            return [_scrubbed(item) for item in value]
        case _:
            return value
