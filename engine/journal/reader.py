"""Reading a journal while its node writes it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from engine.journal.file import BUSY_TIMEOUT_S, JournalDamaged, Range, decode
from engine.model.events import Record

_PRUNE: Final = "DELETE FROM batch WHERE row IN (SELECT row FROM batch WHERE row <= ? LIMIT ?)"
_PRUNE_ROWS: Final = 500
"""Rows deleted in one transaction, so that the writer never waits long."""


_log = logging.getLogger(__name__)


class JournalReader:
    """A journal file, read-only. Raises FileNotFoundError while the node has not made one.

    Methods may be called from any thread; `close` waits for what another one is reading, since SQLite would
    pull the page from under it.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no journal yet")
        self.path: Final = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            named = self._connection.execute("SELECT id, node FROM journal").fetchone()
        except sqlite3.OperationalError:  # the node is just making its tables
            named = None
        if named is None:
            self.close()
            raise FileNotFoundError(f"{path}: no journal yet")
        self.journal_id: Final[str] = named[0]
        """Names this very file: a journal made anew counts its rows from 1 again."""
        self.node: Final[str] = named[1]

    def after(self, cursor: int, limit: int = 200) -> list[tuple[int, list[Record]]]:
        """The next batches beyond row `cursor` (0: from the beginning), as (row, records), oldest first.

        Raises JournalDamaged.
        """
        try:
            with self._lock:
                rows = self._connection.execute(
                    "SELECT row, records FROM batch WHERE row > ? ORDER BY row LIMIT ?", (cursor, limit)
                ).fetchall()
        except sqlite3.Error as error:
            raise JournalDamaged(f"{self.path}: {error}") from None
        batches = []
        for row, blob in rows:
            try:
                batches.append((row, decode(blob)))
            except msgspec.DecodeError as error:
                raise JournalDamaged(f"{self.path}: row {row}: {error}") from None
        return batches

    def newest(self) -> int:
        """The last row; 0 in an empty journal. Raises JournalDamaged."""
        try:
            with self._lock:
                (row,) = self._connection.execute("SELECT coalesce(max(row), 0) FROM batch").fetchone()
        except sqlite3.Error as error:
            raise JournalDamaged(f"{self.path}: {error}") from None
        return int(row)

    def losses(self) -> list[tuple[int, Range]]:
        """What the node could not keep, as (boot, (first seq, last seq))."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT boot, first_seq, last_seq FROM loss ORDER BY boot, first_seq"
            ).fetchall()
        return [(boot, (first, last)) for boot, first, last in rows]

    def prune(self, cursor: int) -> int:
        """Delete the batches up to row `cursor`, which must have been shipped; returns how many.

        Where the file cannot be written they stay for the next time.
        """
        deleted = 0
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as file:
                while count := file.execute(_PRUNE, (cursor, _PRUNE_ROWS)).rowcount:
                    deleted += count
        except sqlite3.Error as error:
            _log.warning("journal %s was not pruned: %s", self.path, error)
        return deleted

    def close(self) -> None:
        with self._lock:
            self._connection.close()
