"""Journals become rows of the store: in order, each event once, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from engine.app.shipping import Shipping
from engine.journal import Journal
from engine.model.events import Alarm, Record
from engine.model.ids import TenantId
from engine.store.entries import LeadRule
from engine.store.store import Store
from tests.store.conftest import file_number

LAB = TenantId("lab")
PATIENCE_S = 20.0
STARTED_AT = 1_700_000_000.0


class World:
    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.shipped: list[str] = []
        self.alarms: list[str] = []
        self.shipping = Shipping(folder, store, LAB, self._new, lambda slug, _: self.alarms.append(slug))
        self._changed = asyncio.Event()
        self._journals: list[Journal] = []
        self._task: asyncio.Task[None] | None = None

    def _new(self, records: Sequence[Record]) -> None:
        self.shipped += [record.event.detail for record in records if isinstance(record.event, Alarm)]
        self._changed.set()

    def node(self, name: str) -> Journal:
        journal = Journal(self.folder, name, STARTED_AT)
        self._journals.append(journal)
        return journal

    def start(self) -> None:
        self._task = asyncio.create_task(self.shipping.run())

    async def until(self, details: list[str]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while sorted(self.shipped) != sorted(details):
                self._changed.clear()
                await self._changed.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        await self.stop()
        self.shipping.close()
        for journal in self._journals:
            await asyncio.to_thread(journal.close)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite'}"
    async with await Store.open(url, file_number=file_number, lead_rule=LeadRule()) as store:
        world = World(tmp_path / "journal", store)
        yield world
        await world.close()


def tell(journal: Journal, *details: str) -> None:
    journal.extend(LAB, [(Alarm(slug="test", detail=detail), STARTED_AT) for detail in details])


async def test_in_order_as_they_grow(world: World) -> None:
    journal = world.node("node-1")
    first = [f"a{count}" for count in range(300)]
    tell(journal, *first)
    world.start()
    await world.until(first)
    assert world.shipped == first
    tell(journal, "b")
    world.shipping.wake()
    await world.until([*first, "b"])


async def test_nodes_that_come_later_are_found(world: World) -> None:
    world.start()
    tell(world.node("node-1"), "one")
    await world.until(["one"])
    tell(world.node("node-2"), "two")
    await world.until(["one", "two"])


async def test_what_was_shipped_is_not_shipped_again(world: World) -> None:
    journal = world.node("node-1")
    tell(journal, "one")
    world.start()
    await world.until(["one"])
    await world.stop()
    tell(journal, "two")
    other = World(world.folder, world.store)
    other.start()
    await other.until(["two"])
    await other.close()


async def test_a_store_that_fails_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.app.shipping.RETRY_S", 0.01)
    ship_from = world.store.ship_from
    failures: list[Exception] = [OperationalError("disk is full", None, Exception())] * 3
    failures += [ConnectionResetError("connection reset by peer"), TimeoutError()]

    async def failing(*arguments: object) -> list[Record]:
        if failures:
            raise failures.pop()
        return await ship_from(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(world.store, "ship_from", failing)
    tell(world.node("node-1"), "one", "two")
    world.start()
    await world.until(["one", "two"])
    assert world.shipped == ["one", "two"]
    assert world.alarms == ["store_failing", "store_recovered"]


async def test_a_damaged_journal_holds_up_no_other(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.folder.mkdir()
    (world.folder / "journal-node-0.sqlite").write_bytes(b"not a database, and not empty either")
    tell(world.node("node-1"), "one")
    world.start()
    await world.until(["one"])
    tell(world.node("node-2"), "two")
    await world.until(["one", "two"])
    assert caplog.text.count("journal-node-0.sqlite is not shipped: file is not a database") == 1


async def test_a_damaged_row_holds_up_its_own_journal_only(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    journal = world.node("node-1")
    tell(journal, "one")
    world.start()
    await world.until(["one"])
    with closing(sqlite3.connect(next(world.folder.glob("journal-*.sqlite")))) as connection:
        connection.execute("INSERT INTO batch VALUES (99, 1, 98, 99, x'ff')")
        connection.commit()
    tell(world.node("node-2"), "two")
    await world.until(["one", "two"])
    assert "row 99" in caplog.text
