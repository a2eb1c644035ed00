"""Journals become rows of the store: in order, each event once, whatever fails meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy.exc import OperationalError

from engine.model.events import Record
from tests.app.shipping import World, tell


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
