"""Writing the journal: a queue that never blocks, and a thread that commits it in batches.

A row per event starves the thread under the interpreter lock, so a batch is one row with one blob. Commits
survive the death of the process; an fsync each second bounds what a power loss can take.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from engine.journal.file import Connect, JournalFile, Range, connect
from engine.model.events import AnyEvent, Record
from engine.model.ids import EventId, TenantId

BATCH_S: Final = 0.09
"""How long events gather before they are committed together."""
BATCH_EVENTS: Final = 2_000
SYNC_S: Final = 1.0
RETRY_S: Final = 0.5
MEMORY_EVENTS: Final = 200_000
"""How many events wait in memory for a disk that does not take them."""

_log = logging.getLogger(__name__)

OnCommitted = Callable[[Sequence[Record]], None]
OnAlarm = Callable[[str, str], None]


class Journal:
    """The events of one node. One process writes a node's journal at a time.

    `now`, in seconds of the wall clock like the times of events, tells one start from another.
    `on_committed(records)` and `on_alarm(slug, detail)` are called **from the writer thread** and should only
    hand over to a thread of their own: the first for each batch once it is committed, in order; the second
    with `journal_failing`, `journal_recovered` or `events_lost`.

    While the disk refuses, events wait in memory, `memory_events` at most; the newest beyond that are lost,
    counted by id, told as `events_lost` and noted in the journal once it works again.

    Raises JournalBusy, ValueError (node name), sqlite3.Error or OSError when it cannot be opened at all.
    """

    def __init__(
        self,
        folder: Path,
        node: str,
        now: float,
        on_committed: OnCommitted | None = None,
        on_alarm: OnAlarm | None = None,
        *,
        memory_events: int = MEMORY_EVENTS,
        batch_s: float = BATCH_S,
        retry_s: float = RETRY_S,
        connect: Connect = connect,
    ) -> None:
        self._file = JournalFile(folder, node, now, connect)
        self.path: Final = self._file.path
        self.node: Final = node
        self.boot: Final = self._file.boot
        self._on_committed = on_committed
        self._on_alarm = on_alarm
        self._memory_events = memory_events
        self._batch_s = batch_s
        self._retry_s = retry_s
        self._seq = 0
        self.batches = 0
        """Commits since the start, and in `committed` the events in them."""
        self.committed = 0
        self.lost = 0
        """Events that are neither in the file nor waiting for it."""
        self._queue: deque[Record | threading.Event] = deque()
        self._append = threading.Lock()
        self._overflow: list[Range] = []
        self._wake = threading.Event()
        self._closing = threading.Event()
        # The same for whoever appends, without the price of asking an Event.
        self._closed = False
        self._woken = False
        # What follows belongs to the writer thread.
        self._batch: list[Record] = []
        self._losses: list[Range] = []
        self._failing: set[str] = set()
        """What the disk refuses: a commit may fail where an fsync of what was there before does not."""
        self._unsynced_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"journal-{node}", daemon=True)
        self._thread.start()

    def extend(self, tenant: TenantId, events: Iterable[tuple[AnyEvent, float]]) -> int:
        """File events in their order, each with the time when it happened; the last one's number.

        They are committed, or counted as lost, later: it never waits for the disk.
        """
        queue, most = self._queue, self._memory_events
        with self._append:
            if self._closed:
                raise RuntimeError("the journal is closed")
            for event, at in events:
                self._seq = seq = self._seq + 1
                if len(queue) < most:
                    record = Record(id=EventId(self.node, self.boot, seq), at=at, tenant=tenant, event=event)
                    queue.append(record)
                else:
                    _extend(self._overflow, seq)
            last = self._seq
        if not self._woken:
            self._woken = True
            self._wake.set()
        return last

    @property
    def waiting(self) -> int:
        """Events that are not committed yet, about; from any thread."""
        return len(self._queue) + len(self._batch)

    @property
    def failing(self) -> bool:
        """The disk has refused the last commit."""
        return bool(self._failing)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything appended so far is committed and on the disk.

        False when that took longer than `timeout_s`. Blocks: not for an event loop.
        """
        done = threading.Event()
        self._queue.append(done)
        self._wake.set()
        return done.wait(timeout_s)

    def close(self) -> None:
        """Commit what is left and end the thread. What the disk does not take now is lost, and told."""
        with self._append:
            self._closed = True
            self._closing.set()
        self._wake.set()
        self._thread.join()

    # --- the writer thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._failing:
                self._closing.wait(self._retry_s)
            else:
                self._wake.wait(self._until_sync())
                self._wake.clear()
                self._woken = False  # what is appended from now on wakes again
                if self._queue:
                    self._closing.wait(self._batch_s)
            self._write_all()
            if self._until_sync() == 0.0:
                self._sync()
        self._write_all()
        self._sync()
        self._give_up()
        self._file.close()

    def _write_all(self) -> None:
        """Commit batches until the queue is empty or the disk refuses."""
        while True:
            self._take_overflow()
            self._fill_batch()
            if self._batch:
                if not self._attempt(self._commit):
                    return
                committed, self._batch = self._batch, []
                self._tell_committed(committed)
            elif self._queue:
                if not self._sync():
                    return
                flushed = self._queue.popleft()
                assert isinstance(flushed, threading.Event)
                flushed.set()
            else:
                return

    def _fill_batch(self) -> None:
        """Take events up to the next flush; a batch that could not be committed yet is filled up."""
        while len(self._batch) < BATCH_EVENTS and self._queue:
            item = self._queue[0]
            if isinstance(item, threading.Event):
                return
            self._batch.append(item)
            self._queue.popleft()

    def _commit(self) -> None:
        self._file.write(self._batch, self._losses)
        self._losses = []
        if self._unsynced_since is None:
            self._unsynced_since = time.monotonic()

    def _sync(self) -> bool:
        return self._unsynced_since is None or self._attempt(self._fsync)

    def _fsync(self) -> None:
        self._file.sync()
        self._unsynced_since = None

    def _until_sync(self) -> float | None:
        """Seconds until committed events must be on the disk; None when they are."""
        if self._unsynced_since is None:
            return None
        return max(0.0, self._unsynced_since + SYNC_S - time.monotonic())

    def _attempt(self, step: Callable[[], None]) -> bool:
        """Do what the disk may refuse. Whatever is wrong, this thread goes on and tries again."""
        try:
            step()
        except Exception as error:
            told = bool(self._failing)
            self._failing.add(step.__name__)
            if not told:
                _log.exception("journal %s cannot be written", self.path)
                self._alarm("journal_failing", f"{self.path}: {error}; events wait in memory")
            return False
        if step.__name__ in self._failing:
            self._failing.discard(step.__name__)
            if not self._failing:
                self._alarm("journal_recovered", f"{self.path} is written again")
        return True

    def _take_overflow(self) -> None:
        with self._append:
            overflow, self._overflow = self._overflow, []
        for first, last in overflow:
            self._losses.append((first, last))
            self._tell_lost(first, last)

    def _give_up(self) -> None:
        """At the end: what could not be committed is lost."""
        left: list[Range] = []
        for item in (*self._batch, *self._queue):
            if isinstance(item, Record):
                _extend(left, item.id.seq)
        for first, last in left:
            self._tell_lost(first, last)

    def _tell_committed(self, records: list[Record]) -> None:
        self.batches += 1
        self.committed += len(records)
        if self._on_committed is not None:
            try:
                self._on_committed(records)
            except Exception:
                _log.exception("on_committed failed; the events are committed all the same")

    def _tell_lost(self, first: int, last: int) -> None:
        self.lost += last - first + 1
        what = f"{last - first + 1} events, {EventId(self.node, self.boot, first)} to {last}"
        _log.error("journal %s lost %s", self.path, what)
        self._alarm("events_lost", what)

    def _alarm(self, slug: str, detail: str) -> None:
        if self._on_alarm is not None:
            try:
                self._on_alarm(slug, detail)
            except Exception:
                _log.exception("on_alarm failed for %s", slug)


def _extend(ranges: list[Range], seq: int) -> None:
    """Add one sequence number, greater than all in the ranges."""
    if ranges and ranges[-1][1] == seq - 1:
        ranges[-1] = (ranges[-1][0], seq)
    else:
        ranges.append((seq, seq))
