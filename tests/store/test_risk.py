"""The risk table: what is held against a number, why, and who changed it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from engine.model.ids import TenantId
from engine.store.entries import NewRisk, Replaced
from engine.store.store import Store
from scoring.numbers import Action, Level, RiskRow, Source

if TYPE_CHECKING:
    from tests.store.conftest import Contents

LAB = TenantId("lab")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NUMBER = "+8617000000001"


def risk(number: str = NUMBER, level: Level = Level.RED, source: Source = Source.IMPORT) -> NewRisk:
    return NewRisk(
        number=number,
        level=level,
        action=Action.REJECT if level is Level.RED else None,
        reason="police_list",
        source=source,
        expires=NOW + timedelta(days=30),
        evidence=f"letter about {number}",
        confirmed_by="li",
    )


async def load(store: Store, *rows: NewRisk) -> Replaced:
    return await store.risk.replace_source(LAB, Source.IMPORT, rows, by="li", now=NOW)


async def rows_of(store: Store, tenant: TenantId = LAB) -> tuple[int, list[RiskRow]]:
    async with store.risk.snapshot(tenant) as (version, rows):
        return version, [row async for row in rows]


async def test_a_load_changes_only_what_differs(store: Store) -> None:
    one, two, three = risk("+861700001"), risk("+861700002"), risk("+86170*", Level.YELLOW)
    assert await load(store, one, two) == Replaced(2, 0, 0, 0, version=1)
    assert await load(store, one, two) == Replaced(0, 0, 0, 2, version=1)
    two_yellow = risk("+861700002", Level.YELLOW)
    assert await load(store, one, two_yellow, three) == Replaced(1, 1, 0, 1, version=2)
    assert await load(store, three) == Replaced(0, 0, 2, 1, version=3)
    version, rows = await rows_of(store)
    assert version == await store.risk.version(LAB) == 3
    assert rows == [
        RiskRow(LAB, "+86170*", Level.YELLOW, None, "police_list", three.expires, Source.IMPORT, 3, True)
    ]


async def test_a_load_leaves_other_sources_and_tenants(store: Store) -> None:
    await store.risk.put(LAB, risk(source=Source.PERSON), by="wang", now=NOW)
    await store.risk.put(TenantId("other"), risk(), by="wang", now=NOW)
    await load(store, risk())
    assert await load(store) == Replaced(0, 0, 1, 0, version=3)
    assert [row.source for row in (await rows_of(store))[1]] == [Source.PERSON]
    assert len((await rows_of(store, TenantId("other")))[1]) == 1
    with pytest.raises(ValueError, match="source"):
        await load(store, risk(source=Source.PERSON))


async def test_of_two_rows_for_a_number_the_last_counts(store: Store) -> None:
    assert (await load(store, risk(), risk(level=Level.YELLOW))).added == 1
    assert [row.level for row in (await rows_of(store))[1]] == [Level.YELLOW]


async def test_row_ids_are_never_used_again(store: Store) -> None:
    first = await store.risk.put(LAB, risk(), by="li", now=NOW)
    await store.risk.remove(LAB, NUMBER, by="li", now=NOW)
    second = await store.risk.put(LAB, risk(), by="li", now=NOW)
    other = await store.risk.put(TenantId("other"), risk(), by="li", now=NOW)
    assert first.row.row < second.row.row < other.row.row


async def test_put_changes_the_row_of_its_source(store: Store) -> None:
    first = await store.risk.put(LAB, risk(), by="li", now=NOW)
    second = await store.risk.put(LAB, risk(level=Level.YELLOW), by="wang", now=LATER)
    assert second.row.row == first.row.row
    assert (second.created_at, second.updated_at) == (NOW, LATER)
    assert (second.row.level, second.row.action, second.confirmed_by) == (Level.YELLOW, None, "li")


async def test_remove_one_source_or_all(store: Store) -> None:
    for source in (Source.POLICE, Source.PERSON, Source.MODEL):
        await store.risk.put(LAB, risk(source=source), by="li", now=NOW)
    assert await store.risk.remove(LAB, NUMBER, by="li", now=NOW, source=Source.IMPORT) == []
    assert await store.risk.version(LAB) == 3
    (gone,) = await store.risk.remove(LAB, NUMBER, by="li", now=NOW, source=Source.PERSON)
    assert gone.row.source is Source.PERSON
    rest = await store.risk.remove(LAB, NUMBER, by="li", now=NOW)
    assert {entry.row.source for entry in rest} == {Source.POLICE, Source.MODEL}
    assert await rows_of(store) == (5, [])


async def test_why(store: Store) -> None:
    await load(store, risk(), risk("+86170*", Level.YELLOW), risk("+8*", Level.YELLOW), risk("+8618*"))
    await store.risk.put(LAB, risk(source=Source.PERSON), by="wang", now=LATER)
    await store.risk.remove(LAB, NUMBER, by="wang", now=LATER, source=Source.PERSON)
    why = await store.risk.why(LAB, NUMBER)
    assert [entry.row.number for entry in why.entries] == [NUMBER, "+86170*", "+8*"]
    assert why.entries[0].evidence == f"letter about {NUMBER}"
    assert [(change.what, change.by, change.version) for change in why.changes] == [
        ("remove", "wang", 3),
        ("add", "wang", 2),
        ("add", "li", 1),
        ("add", "li", 1),
        ("add", "li", 1),
    ]
    removed = why.changes[0]
    assert removed.after is None
    assert removed.before is not None
    assert (removed.before["source"], removed.before["expires"]) == ("person", "2026-01-31T00:00:00+00:00")
    assert [entry.row.number for entry in (await store.risk.why(LAB, "+86170*")).entries] == ["+86170*"]
    assert (await store.risk.why(LAB, "110")).entries == ()


async def test_the_audit_names_no_number(store: Store, contents: Contents) -> None:
    await load(store, risk())
    await store.risk.put(LAB, risk(level=Level.YELLOW), by="li", now=NOW)
    await store.risk.remove(LAB, NUMBER, by="li", now=NOW)
    rows = await contents.rows("lab")
    assert [row["what"] for row in sorted(rows["risk_change"], key=lambda row: row["version"])] == [
        "add",
        "change",
        "remove",
    ]
    assert "17000000001" not in repr(rows)


async def test_search(store: Store) -> None:
    await load(store, *(risk(f"+86170000000{n:02}") for n in range(30)), risk("95588", Level.GREEN))
    page = await store.risk.search_numbers(LAB, "170 0000", limit=10, offset=25)
    assert (page.total, len(page.entries)) == (30, 5)
    assert (await store.risk.search_numbers(LAB, level="green")).total == 1
    assert (await store.risk.search_numbers(LAB, "police")).total == 31
    assert (await store.risk.search_numbers(LAB, "import", "red")).total == 30
    assert (await store.risk.search_numbers(LAB, "_%")).total == 0
    assert (await store.risk.search_numbers(TenantId("other"))).total == 0


async def test_changes_at_once_each_have_a_version(store: Store) -> None:
    await asyncio.gather(*(store.risk.put(LAB, risk(f"+8617000{n}"), by="li", now=NOW) for n in range(8)))
    version, rows = await rows_of(store)
    assert (version, len(rows)) == (8, 8)
    changes = [(await store.risk.why(LAB, row.number)).changes for row in rows]
    assert sorted(change.version for (change,) in changes) == list(range(1, 9))
