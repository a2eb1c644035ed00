"""Nothing that was told as committed is ever lost, and what is lost is counted."""

import queue
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journal import Journal, JournalBusy, JournalDamaged, JournalReader
from engine.journal.file import connect
from engine.model.events import Alarm, AnyEvent, CallEnded, CallStage, Record
from engine.model.ids import CallId, EventId, TenantId
from engine.model.outcome import Blame, Outcome

LAB = TenantId("lab")
LONG_S = 60.0
NOW = 1_000.0


def stage(n: int) -> CallStage:
    return CallStage(call_id=CallId(f"c{n}"), stage="ringing")


def file(journal: Journal, event: AnyEvent, tenant: TenantId = LAB) -> int:
    """File one event of now; its number."""
    return journal.extend(tenant, [(event, NOW)])


def records_of(path: Path) -> list[Record]:
    reader = JournalReader(path)
    found = [record for _, records in reader.after(0, 100_000) for record in records]
    reader.close()
    return found


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6))
def test_events_come_back_in_order_with_their_ids(bursts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        committed: list[Record] = []
        journal = Journal(Path(folder), "n", NOW, committed.extend, batch_s=0.0)
        ids: list[EventId] = []
        for burst in bursts:
            ids += [EventId("n", journal.boot, file(journal, stage(n))) for n in range(burst)]
            assert journal.flush(LONG_S)
            assert [record.id for record in records_of(journal.path)] == ids
        journal.close()
        assert [id.seq for id in ids] == list(range(1, len(ids) + 1))
        assert records_of(journal.path) == committed
        assert [record.id for record in committed] == ids
        with sqlite3.connect(journal.path) as database:
            for first, last, boot in database.execute("SELECT first_seq, last_seq, boot FROM batch"):
                assert 1 <= first <= last <= len(ids)
                assert boot == journal.boot
        database.close()


def test_a_burst_becomes_few_rows(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "n", NOW, batch_s=LONG_S)  # closing ends the wait
    for n in range(3_000):
        file(journal, stage(n))
    journal.close()
    reader = JournalReader(journal.path)
    assert [len(records) for _, records in reader.after(0)] == [2_000, 1_000]
    reader.close()


def test_every_kind_of_value_survives(tmp_path: Path) -> None:
    ended = CallEnded(call_id=CallId("c"), outcome=Outcome(Blame.CALLEE, "busy"), status=486)
    journal = Journal(tmp_path, "node-1", NOW)
    file(journal, ended)
    file(journal, Alarm(slug="x", detail="\udcff 坏 \0"), TenantId("other"))
    journal.close()
    first, second = records_of(journal.path)
    assert first == Record(id=EventId("node-1", 1_000, 1), at=1_000.0, tenant=LAB, event=ended)
    assert second.event == Alarm(slug="x", detail="? 坏 \0")


def test_each_start_is_a_new_boot(tmp_path: Path) -> None:
    boots = []
    for now in (5.0, 5.0, 4.0, 1_000.0):
        journal = Journal(tmp_path, "n", now)
        boots.append(journal.boot)
        file(journal, stage(1))
        journal.close()
    assert boots == [5, 6, 7, 1_000]
    ids = [record.id for record in records_of(journal.path)]
    assert len(set(ids)) == 4
    assert ids == sorted(ids)


def test_told_only_after_commit(tmp_path: Path) -> None:
    readable: list[bool] = []

    def look(records: Sequence[Record]) -> None:
        readable.append(set(records) <= set(records_of(tmp_path / "journal-n.sqlite")))
        raise RuntimeError("a caller's mistake does not stop the journal")

    journal = Journal(tmp_path, "n", NOW, look, batch_s=0.0)
    for n in range(3):
        file(journal, stage(n))
        assert journal.flush(LONG_S)
    journal.close()
    assert readable == [True] * 3


_WRITER = """
import os, sys, time
from pathlib import Path
from engine.journal import Journal
from engine.model.events import CallStage
def tell(records):
    os.write(1, "".join(f"{r.id.seq}\\n" for r in records).encode())
journal = Journal(Path(sys.argv[1]), "n", time.time(), tell, batch_s=0.001)
n = 0
while True:
    journal.extend("lab", [(CallStage(call_id=f"c{n}", stage="x" * 100), time.time())])
    n += 1
    if n % 20 == 0:
        time.sleep(0.001)
"""


@pytest.mark.parametrize("enough", [1, 500, 5_000])
def test_what_was_told_survives_kill_9(tmp_path: Path, enough: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(enough)]
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    told += writer.stdout.readlines()
    writer.stdout.close()
    seqs = [int(line) for line in told if line.endswith(b"\n")]
    stored = [record.id.seq for record in records_of(tmp_path / "journal-n.sqlite")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert stored[: len(seqs)] == seqs
    assert stored == list(range(1, len(stored) + 1))
    before = JournalReader(tmp_path / "journal-n.sqlite")
    last_row, records = before.after(0, 100_000)[-1]
    journal = Journal(tmp_path, "n", NOW)
    assert journal.boot > records[-1].id.boot
    file(journal, stage(1))
    journal.close()
    ((row, (after,)),) = before.after(last_row)
    assert row > last_row
    assert after.id == EventId("n", journal.boot, 1)
    before.close()


class SmallDisk:
    """A disk that SQLite finds full, for real: the database may not grow while it is."""

    def __init__(self) -> None:
        self.alarms: queue.Queue[tuple[str, str]] = queue.Queue()
        self._full = False

    def connect(self, path: Path) -> sqlite3.Connection:
        self._connection = connect(path)
        if self._full:
            self._limit()
        return self._connection

    def fill_up(self) -> None:
        self._full = True
        self._limit()

    def make_room(self) -> None:
        self._full = False

    def _limit(self) -> None:
        self._connection.execute("PRAGMA max_page_count = 1")

    def alarm(self, slug: str, detail: str) -> None:
        self.alarms.put((slug, detail))


def fill(journal: Journal, disk: SmallDisk, memory: int) -> tuple[list[int], list[int]]:
    """Append until events are lost; the seqs kept in memory, and those lost."""
    disk.fill_up()
    first = file(journal, CallStage(call_id=CallId("c"), stage="x" * 100_000))
    assert disk.alarms.get(timeout=LONG_S)[0] == "journal_failing"
    kept = [first, *(file(journal, stage(n)) for n in range(memory))]
    lost = [file(journal, stage(n)) for n in range(7)]
    return kept, lost


def test_a_disk_that_is_still_full_is_not_taken_for_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before can be synced all the while."""
    monkeypatch.setattr("engine.journal.writer.SYNC_S", 0.01)
    disk, tries = SmallDisk(), threading.Semaphore(0)

    def connect(path: Path) -> sqlite3.Connection:
        tries.release()
        return disk.connect(path)

    written = threading.Event()

    def committed(records: Sequence[Record]) -> None:
        if not written.is_set():
            disk.fill_up()
            written.set()

    journal = Journal(tmp_path, "n", NOW, committed, disk.alarm, retry_s=0.01, connect=connect)
    file(journal, stage(0))
    assert written.wait(LONG_S)
    fill(journal, disk, 10)
    for _ in range(20):
        assert tries.acquire(timeout=LONG_S)
    assert disk.alarms.empty()
    disk.make_room()
    assert disk.alarms.get(timeout=LONG_S)[0] == "journal_recovered"
    journal.close()
    assert disk.alarms.empty()


def test_a_full_disk_stops_nothing_and_losses_are_counted(tmp_path: Path) -> None:
    disk = SmallDisk()
    committed: list[Record] = []
    journal = Journal(
        tmp_path,
        "n",
        NOW,
        committed.extend,
        disk.alarm,
        memory_events=50,
        retry_s=0.01,
        connect=disk.connect,
    )
    file(journal, stage(0))
    assert journal.flush(LONG_S)
    kept, lost = fill(journal, disk, 50)
    assert not journal.flush(0.05)
    told: list[str] = []
    while sum(int(detail.split()[0]) for detail in told) < len(lost):
        slug, detail = disk.alarms.get(timeout=LONG_S)
        assert slug == "events_lost"
        told.append(detail)
    assert told[0].endswith(f", n.1000.{lost[0]} to {told[0].rpartition(' ')[2]}")
    assert [record.id.seq for record in committed] == [1]
    disk.make_room()
    assert disk.alarms.get(timeout=LONG_S)[0] == "journal_recovered"
    file(journal, stage(99))
    assert journal.flush(LONG_S)
    journal.close()
    assert [record.id.seq for record in records_of(journal.path)] == [1, *kept, lost[-1] + 1]
    assert records_of(journal.path) == committed
    reader = JournalReader(journal.path)
    assert [seq for _, (first, last) in reader.losses() for seq in range(first, last + 1)] == lost
    reader.close()
    assert disk.alarms.empty()


def test_closing_on_a_full_disk_tells_what_is_lost(tmp_path: Path) -> None:
    disk = SmallDisk()
    journal = Journal(
        tmp_path, "n", NOW, None, disk.alarm, memory_events=50, retry_s=LONG_S, connect=disk.connect
    )
    kept, lost = fill(journal, disk, 50)
    journal.close()
    told = [disk.alarms.get_nowait() for _ in range(disk.alarms.qsize())]
    assert told == [
        ("events_lost", f"{len(lost)} events, n.1000.{lost[0]} to {lost[-1]}"),
        ("events_lost", f"{len(kept)} events, n.1000.{kept[0]} to {kept[-1]}"),
    ]
    assert records_of(journal.path) == []


def test_threads_may_append(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "n", NOW)
    threads = [
        threading.Thread(target=lambda: [file(journal, stage(n)) for n in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert [record.id.seq for record in records_of(journal.path)] == list(range(1, 2_001))


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "n", NOW)
    with pytest.raises(JournalBusy):
        Journal(tmp_path, "n", NOW)
    Journal(tmp_path, "another", NOW).close()
    journal.close()
    Journal(tmp_path, "n", NOW).close()
    with pytest.raises(RuntimeError, match="closed"):
        file(journal, stage(1))


@pytest.mark.parametrize("node", ["", "a/b", "..", ".hidden", "a" * 65, "naïve"])
def test_the_node_must_be_a_file_name(tmp_path: Path, node: str) -> None:
    with pytest.raises(ValueError, match="node"):
        Journal(tmp_path, node, NOW)


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Journal(tmp_path / "file" / "journal", "n", NOW)


def test_a_reader_pages_and_prunes_while_the_writer_writes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JournalReader(tmp_path / "journal-n.sqlite")
    journal = Journal(tmp_path, "n", NOW, batch_s=0.0)
    reader = JournalReader(journal.path)
    assert (reader.node, reader.after(0)) == ("n", [])
    for n in range(5):
        file(journal, stage(n))
        assert journal.flush(LONG_S)
    rows = [row for row, _ in reader.after(0)]
    assert rows == [1, 2, 3, 4, 5]
    assert [row for row, _ in reader.after(2, 2)] == [3, 4]
    assert reader.prune(5) == 5
    assert reader.prune(5) == 0
    file(journal, stage(5))
    journal.close()
    assert [row for row, _ in reader.after(0)] == [6]  # rows are never numbered twice
    reader.close()
    again = JournalReader(journal.path)
    assert again.journal_id == reader.journal_id
    again.close()


def test_a_journal_made_anew_is_another_and_repeats_no_id(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a", "n", 100.0)
    second = Journal(tmp_path / "b", "n", 101.0)
    first.close()
    second.close()
    readers = [JournalReader(journal.path) for journal in (first, second)]
    assert readers[0].journal_id != readers[1].journal_id
    assert first.boot < second.boot
    for reader in readers:
        reader.close()


def test_a_damaged_batch_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "n", NOW)
    file(journal, stage(1))
    journal.close()
    database = sqlite3.connect(journal.path)
    with database:
        database.execute("UPDATE batch SET records = x'93ff'")
    database.close()
    reader = JournalReader(journal.path)
    with pytest.raises(JournalDamaged, match="row 1"):
        reader.after(0)
    reader.close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "n", NOW)
    journal.close()
    assert journal.path.stat().st_mode & 0o077 == 0
