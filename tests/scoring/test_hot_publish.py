"""Changes, however they come, leave the table that the rows they add up to would make."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring.numbers import Level, Number, NumberKind, RiskRow, Source, strongest
from scoring.numbers import hot_publish as publishing
from scoring.numbers.hot_delta import append, current_version
from scoring.numbers.hot_files import delta_path, write_atomically
from scoring.numbers.hot_format import HEADER_SIZE, TableError
from scoring.numbers.hot_publish import OutdatedError, change, fold, publish
from scoring.numbers.hot_table import HotTable
from scoring.numbers.rows import entry_of
from scoring.numbers.table_view import TableView

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBERS = st.text(alphabet="12", min_size=7, max_size=8).map("+".__add__)
PATTERNS = st.text(alphabet="12", min_size=1, max_size=4).map("+{}*".format)
ROWS = st.builds(
    RiskRow,
    tenant=st.sampled_from(["a", "b"]),
    number=NUMBERS | PATTERNS,
    level=st.sampled_from(Level),
    action=st.none(),
    reason=st.sampled_from(["fraud", "被举报诈骗", "nuisance"]),
    expires=st.none(),
    source=st.sampled_from(Source),
    row=st.integers(1, 12),
    confirmed=st.booleans(),
)
DROPS = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 12))
CHANGES = st.lists(st.tuples(st.lists(ROWS, max_size=5), st.lists(DROPS, max_size=3)), max_size=6)
_folders = itertools.count()


def expected(rows: dict[tuple[str, int], RiskRow], tenant: str, number: str) -> object:
    named = [
        row
        for row in rows.values()
        if row.tenant == tenant
        and (number.startswith(row.number[:-1]) if row.wildcard else row.number == number)
    ]
    found = strongest(map(entry_of, named))
    return found.weight if found is not None else None


@ONE_FOLDER
@given(st.lists(ROWS, max_size=10), CHANGES, st.sets(st.integers(0, 5)))
def test_changes_add_up(
    tmp_path: Path,
    first: list[RiskRow],
    changes: list[tuple[list[RiskRow], list[tuple[str, int]]]],
    folded: set[int],
) -> None:
    """By appending and by folding, seen by one who was there all the time and by one who comes late."""
    path = tmp_path / str(next(_folders)) / "risk.hot"
    rows = {(row.tenant, row.row): row for row in first}
    publish(rows.values(), path, AT)
    view = TableView.open(path)
    versions = [view.version]
    for place, (puts, drops) in enumerate(changes):
        versions.append((fold if place in folded else change)(path, AT, puts, drops))
        rows |= {(row.tenant, row.row): row for row in puts}
        for drop in drops:
            rows.pop(drop, None)
        for _ in range(2):
            view.take(view.look())
        for reader in (view, TableView.open(path)):
            for number in sorted({row.number.strip("+*").ljust(7, "1") for row in rows.values()}):
                for tenant in ("a", "b"):
                    found = reader.lookup(tenant, Number(NumberKind.E164, number), AT)
                    assert (found.weight if found is not None else None) == expected(
                        rows, tenant, f"+{number}"
                    )
    assert versions == sorted(versions)


def row(last: int, row_id: int, level: Level = Level.RED) -> RiskRow:
    return RiskRow(
        "lab", f"+86139{last:08}", level, None, "fraud", None, Source.PERSON, row_id, confirmed=True
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "risk.hot"


def test_few_changes_are_told_and_many_make_a_new_table(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "CHANGES_MAX", 3)
    publish([row(1, 1)], path, AT, origin="a.csv")
    change(path, AT, [row(2, 2)], [("lab", 1)])
    assert (len(HotTable.open(path)), delta_path(path).stat().st_size > 0) == (1, True)
    change(path, AT, [row(place, place) for place in range(3, 7)])
    table = HotTable.open(path)
    assert (len(table), table.origin, delta_path(path).read_bytes()) == (5, "a.csv", b"")
    assert current_version(path) == table.version


def test_a_delta_file_that_has_grown_is_taken_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_DELTA_BYTES_MAX", 500)
    for last in range(1, 4):
        change(path, AT, [row(last, last)])
    assert len(HotTable.open(path)) == 3
    assert delta_path(path).read_bytes() == b""


@pytest.mark.parametrize("step", [1, 2])
def test_a_crash_while_folding_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    publish([row(1, 1)], path, AT)
    append(path, [row(2, 2)])
    written: list[Path] = []

    def write(path: Path, *parts: bytes | memoryview) -> None:
        written.append(path)
        if len(written) == step:
            raise OSError("killed")
        write_atomically(path, *parts)

    monkeypatch.setattr(publishing, "write_atomically", write)
    with pytest.raises(OSError, match="killed"):
        fold(path, AT, [row(3, 3)])
    view = TableView.open(path)
    found = [view.lookup("lab", Number(NumberKind.E164, f"86139{last:08}"), AT) for last in (1, 2, 3)]
    assert [entry and entry.row for entry in found] == [1, 2, 3 if step == 2 else None]


def test_nothing_is_folded_into_a_damaged_table(path: Path) -> None:
    publish([row(1, 1)], path, AT)
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE] ^= 1
    path.write_bytes(data)
    with pytest.raises(TableError, match="checksum"):
        fold(path, AT, [row(2, 2)])
    assert path.read_bytes() == bytes(data)


def test_rows_read_before_another_build_are_refused(path: Path) -> None:
    publish([row(1, 1)], path, AT)
    seen = current_version(path)
    fold(path, AT, [row(2, 2)])
    with pytest.raises(OutdatedError):
        publish([row(1, 1)], path, AT, seen)
    assert len(HotTable.open(path)) == 2
