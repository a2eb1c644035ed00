"""From a real journal into the store: at least once outside, exactly once inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.journal import Journal, JournalReader
from engine.model.events import Record
from engine.model.ids import TenantId
from engine.store.shipper import Shipper
from engine.store.store import Store

if TYPE_CHECKING:
    from tests.store.conftest import Node

LAB = TenantId("lab")


def write(folder: Path, node: Node, *calls: str, boot: float = 100.0) -> Path:
    """Whole calls, each flushed into the journal; one row or more for each."""
    journal = Journal(folder, "node-1", boot)
    for call in calls:
        journal.extend(LAB, [(record.event, boot) for record in node.call(call)])
        assert journal.flush(60.0)
    journal.close()
    return journal.path


@contextmanager
def shipping(path: Path, store: Store) -> Iterator[Shipper]:
    with closing(JournalReader(path)) as reader:
        yield Shipper(reader, store, LAB)


async def ship_all(shipper: Shipper) -> list[Record]:
    new: list[Record] = []
    while (records := await shipper.ship_next()) is not None:
        new += records
    return new


async def test_goes_on_where_it_stopped(store: Store, node: Node, tmp_path: Path) -> None:
    path = write(tmp_path, node, "c1", "c2")
    with shipping(path, store) as shipper:
        assert len(await ship_all(shipper)) == 12
        write(tmp_path, node, "c3", boot=200.0)
        assert [record.event.call_id for record in await ship_all(shipper)] == ["c3"] * 6  # type: ignore[union-attr]
    with shipping(path, store) as again:
        assert await again.ship_next() is None
    assert len(await store.calls.list_calls(LAB)) == 3


async def test_a_journal_made_anew_starts_from_its_first_row(
    store: Store, node: Node, tmp_path: Path
) -> None:
    with shipping(write(tmp_path / "old", node, "c1", "c2", boot=100.0), store) as old:
        await ship_all(old)
    with shipping(write(tmp_path / "new", node, "c3", boot=200.0), store) as new:
        assert len(await ship_all(new)) == 6
    assert [call.call_id for call in await store.calls.list_calls(LAB)] == ["c3", "c2", "c1"]


async def test_what_failed_is_shipped_again(store: Store, node: Node, tmp_path: Path) -> None:
    path = write(tmp_path, node, "c1")

    class Failing:
        """A journal whose disk fails once."""

        def __init__(self, reader: JournalReader) -> None:
            self._reader = reader
            self.node, self.journal_id = reader.node, reader.journal_id
            self.failing = True

        def after(self, cursor: int, limit: int) -> Sequence[tuple[int, Sequence[Record]]]:
            if self.failing:
                self.failing = False
                raise OSError("unreadable")
            return self._reader.after(cursor, limit)

        def prune(self, cursor: int) -> int:
            return self._reader.prune(cursor)

    with closing(JournalReader(path)) as reader:
        shipper = Shipper(Failing(reader), store, LAB)
        with pytest.raises(OSError, match="unreadable"):
            await shipper.ship_next()
        assert len(await ship_all(shipper)) == 6


async def test_two_shippers_of_one_journal_do_no_harm(store: Store, node: Node, tmp_path: Path) -> None:
    path = write(tmp_path, node, "c1", "c2")
    with shipping(path, store) as first, shipping(path, store) as second:
        assert await second.ship_next() is not None
        assert await ship_all(first) == []
        assert len(await store.calls.list_calls(LAB)) == 2


async def test_old_rows_are_pruned_and_none_is_missed(store: Store, node: Node, tmp_path: Path) -> None:
    journal = Journal(tmp_path, "node-1", 100.0, batch_s=0.0)
    with closing(JournalReader(journal.path)) as reader:
        shipper = Shipper(reader, store, LAB, keep_rows=3)
        for n in range(600):
            journal.extend(LAB, [(node.call(f"c{n}")[0].event, 100.0)])
            assert journal.flush(60.0)
        journal.close()
        assert len(await ship_all(shipper)) == 600
        left = [row for row, _ in reader.after(0)]
        assert len(left) < 200
        assert left[-1] == 600
        write(tmp_path, node, "late", boot=200.0)
        assert len(await ship_all(shipper)) == 6
        assert len(await store.calls.list_calls(LAB, limit=1_000)) == 601
