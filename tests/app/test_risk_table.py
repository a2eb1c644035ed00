"""The risk table as the console and the command line change it: store and hot table say the same."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from engine.app.risk_table import RiskTable
from engine.app.table import publish_csv
from engine.console.services import RiskRefused
from engine.model.config import Config, DataSection, ScreeningSection
from engine.model.ids import NumberId, TenantId
from engine.store.entries import NewRisk
from engine.store.store import Store
from scoring.numbers import Action, HotEntry, Level, Numbering, Source
from scoring.numbers.number import canonical_id
from scoring.numbers.table_view import TableView

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAB = TenantId("lab")
CN = Numbering()


def risk(number: str, level: Level = Level.RED, source: Source = Source.PERSON) -> NewRisk:
    return NewRisk(number, level, Action.REJECT, "reported_fraud", source, confirmed_by="li.na")


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(
        f"sqlite+aiosqlite:///{tmp_path}/ringward.sqlite",
        file_number=lambda tenant, text: NumberId(canonical_id(b"key", tenant, text)),
    )
    yield store
    await store.close()


class Bench:
    """A table and a worker's view of it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.folder = folder
        self.table = RiskTable(store.risk, LAB, folder / "risk.hot", CN, lambda: AT)
        self.view = TableView.open(folder / "risk.hot")

    def csv(self, *lines: str) -> Path:
        path = self.folder / "numbers.csv"
        path.write_text("number,level,action,reason,expires\n" + "".join(f"{line}\n" for line in lines))
        return path

    def found(self, number: str) -> HotEntry | None:
        for _ in range(4):
            self.view.take(self.view.look())
        return self.view.lookup(LAB, CN.normalise(number), AT)


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Bench:
    return Bench(store, tmp_path)


async def test_a_file_is_loaded_and_loaded_again(bench: Bench) -> None:
    loaded = await bench.table.load(
        bench.csv("+8613900000001,red,reject,,", "+8617*,yellow,,,", "bob,red,,,"), "li.na"
    )
    assert (loaded.replaced.added, [problem.line for problem in loaded.problems]) == (2, [4])
    entry = bench.found("13900000001")
    assert entry is not None
    assert (entry.level, entry.confirmed, bench.view.version) == (Level.RED, True, loaded.version)
    again = await bench.table.load(bench.csv("+8617*,yellow,,,", "+8613900000002,red,,,"), "li.na")
    assert (again.replaced.added, again.replaced.removed, again.replaced.unchanged) == (1, 1, 1)
    assert bench.found("13900000001") is None
    assert bench.found("13900000002") is not None


async def test_a_file_without_header_changes_nothing(bench: Bench) -> None:
    await bench.table.load(bench.csv("+8613900000001,red,,,"), "li.na")
    (bench.folder / "other.csv").write_text("phone\n1\n")
    with pytest.raises(RiskRefused, match=r"other\.csv:1: unknown column 'phone'"):
        await bench.table.load(bench.folder / "other.csv", "li.na")
    assert bench.found("13900000001") is not None


async def test_single_changes_reach_the_workers_and_stay_through_a_build(bench: Bench) -> None:
    await bench.table.load(bench.csv("+8613900000001,red,,,"), "li.na")
    await bench.table.add(risk("+8613900000002"), "li.na")
    await bench.table.add(risk("+8613900000001", Level.GREEN), "li.na")
    for _ in range(2):
        one, two = bench.found("13900000001"), bench.found("13900000002")
        assert one and one.level is Level.GREEN  # the operator's allow outranks the import
        assert two and two.level is Level.RED
        await bench.table.rebuild()
    await bench.table.remove("+8613900000001", Source.PERSON, "li.na", "a mistake")
    one = bench.found("13900000001")
    assert one and one.level is Level.RED


async def test_removing_what_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(RiskRefused, match="no row"):
        await bench.table.remove("+8613900000001", Source.PERSON, "li.na", "why")
    assert await bench.table.remove_all("+8613900000001", "li.na", "why") == []


async def test_what_cannot_be_listed_never_reaches_the_store(bench: Bench, store: Store) -> None:
    with pytest.raises(RiskRefused, match="listed"):
        await bench.table.add(risk("bob"), "li.na")
    assert (await store.risk.search_numbers(LAB)).total == 0


async def test_many_changes_are_taken_up_into_the_table(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.numbers.hot_publish._DELTA_BYTES_MAX", 2000)
    for last in range(12):
        await bench.table.add(risk(f"+86139000000{last:02}"), "li.na")
    assert (bench.folder / "risk.hot").exists()
    assert all(bench.found(f"+86139000000{last:02}") for last in range(12))


async def test_an_engine_that_starts_later_keeps_the_table_of_the_same_file(bench: Bench) -> None:
    csv = bench.csv("+8613900000001,red,,,")
    config = Config(
        tenant="lab", data=DataSection(folder=bench.folder), screening=ScreeningSection(table=csv)
    )
    await bench.table.load(csv, "li.na", configured=True)
    await bench.table.add(risk("+8613900000002"), "li.na")
    await bench.table.rebuild()
    assert publish_csv(config, CN) == ()
    assert bench.found("13900000002") is not None  # the store's own row is still there
    bench.csv("+8613900000003,red,,,", "bob,red,,,")
    assert [problem.line for problem in publish_csv(config, CN)] == [3]
    assert bench.found("13900000003") is not None
    assert bench.found("13900000001") is None
    publish_csv(structs.replace(config, tenant="other"), CN)
    assert bench.found("13900000003") is None
