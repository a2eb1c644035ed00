"""A worker's view: changes are seen at the next poll, new files swapped in, damage left out."""

import weakref
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scoring.numbers import Level, Number, NumberKind, RiskRow, Source
from scoring.numbers.hot_delta import append, current_version
from scoring.numbers.hot_files import delta_path, write_atomically
from scoring.numbers.hot_format import HEADER_SIZE, TableError
from scoring.numbers.hot_publish import publish
from scoring.numbers.hot_table import origin_of
from scoring.numbers.table_view import TableView

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = Number(NumberKind.E164, "8613900000001")
SECOND = Number(NumberKind.E164, "8613900000002")
THIRD = Number(NumberKind.E164, "8613900000003")


def row(number: Number | str, row_id: int, level: Level = Level.RED, reason: str = "fraud") -> RiskRow:
    text = number if isinstance(number, str) else number.display
    return RiskRow("lab", text, level, None, reason, None, Source.PERSON, row_id, confirmed=True)


def found(view: TableView, number: Number) -> int | None:
    entry = view.lookup("lab", number, AT)
    return entry.row if entry is not None else None


def poll(view: TableView) -> tuple[str, ...]:
    """One look at the disk; what an operator should know of it."""
    found = view.look()
    view.take(found)
    return found.problems


def settle(view: TableView) -> list[str]:
    """Look until nothing changes any more."""
    return [line for _ in range(4) for line in poll(view)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "hot" / "risk.hot"


def test_before_there_is_a_file(table: Path) -> None:
    view = TableView.open(table)
    assert (view.version, found(view, FIRST), poll(view)) == (0, None, ())


def test_a_table_that_appears_is_taken(table: Path) -> None:
    view = TableView.open(table)
    assert publish([row(FIRST, 1)], table, AT) == 1
    assert settle(view) == []
    assert len(view) == 1
    assert (view.version, found(view, FIRST)) == (1, 1)


def test_changes_count_at_the_next_poll(table: Path) -> None:
    publish([row(FIRST, 1)], table, AT)
    view = TableView.open(table)
    assert append(table, [row(SECOND, 2)]) == 2
    assert found(view, SECOND) is None
    poll(view)
    assert (found(view, FIRST), found(view, SECOND), view.version) == (1, 2, 2)
    assert append(table, drops=[("lab", 1), ("lab", 2)]) == 4
    poll(view)
    assert (found(view, FIRST), found(view, SECOND), view.version) == (None, None, 4)


def test_changes_need_no_table(table: Path) -> None:
    append(table, [row(FIRST, 1)])
    assert found(TableView.open(table), FIRST) == 1


def test_a_changed_row_replaces_the_row_of_the_file(table: Path) -> None:
    publish([row(FIRST, 1)], table, AT)
    append(table, [row(SECOND, 1, Level.YELLOW)])
    view = TableView.open(table)
    assert (found(view, FIRST), found(view, SECOND)) == (None, 1)
    append(table, [row(FIRST, 1)])
    poll(view)
    assert (found(view, FIRST), found(view, SECOND)) == (1, None)


def test_changed_prefixes_and_numbers_obey_precedence_across_file_and_overlay(table: Path) -> None:
    publish([row("+86139*", 1)], table, AT)
    append(table, [row("+8613900*", 2), row("+861*", 3)])
    view = TableView.open(table)
    assert found(view, FIRST) == 2
    append(table, [row(FIRST, 4, Level.YELLOW)])
    poll(view)
    assert (found(view, FIRST), found(view, SECOND)) == (4, 2)
    append(table, drops=[("lab", 4), ("lab", 2)])
    poll(view)
    assert found(view, FIRST) == 1


def test_another_tenants_row_of_the_same_id_stays(table: Path) -> None:
    publish([row(FIRST, 1)], table, AT)
    append(table, drops=[("other", 1)])
    assert found(TableView.open(table), FIRST) == 1


def test_a_new_build_takes_up_the_changes(table: Path) -> None:
    publish([row(FIRST, 1)], table, AT)
    append(table, [row(SECOND, 2)])
    view = TableView.open(table)
    assert publish([row(FIRST, 1), row(SECOND, 2)], table, AT) == 3
    settle(view)
    assert (view.version, found(view, FIRST), found(view, SECOND)) == (3, 1, 2)
    assert delta_path(table).read_bytes() == b""


def test_changes_later_than_the_snapshot_survive_the_build(table: Path) -> None:
    publish([row(FIRST, 1)], table, AT)
    view = TableView.open(table)
    append(table, [row(SECOND, 2)])
    seen = current_version(table)
    append(table, drops=[("lab", 1)])
    settle(view)
    assert publish([row(FIRST, 1), row(SECOND, 2)], table, AT, seen) == 4
    for reader in (view, TableView.open(table)):
        settle(reader)
        assert (reader.version, found(reader, FIRST), found(reader, SECOND)) == (5, None, 2)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_crash_while_publishing_loses_nothing(
    table: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    publish([row(FIRST, 1)], table, AT)
    append(table, [row(SECOND, 2)])
    seen = current_version(table)
    append(table, [row(THIRD, 3)])
    written: list[Path] = []

    def write(path: Path, *parts: bytes | memoryview) -> None:
        written.append(path)
        if len(written) == step:
            raise OSError("killed")
        write_atomically(path, *parts)

    monkeypatch.setattr("scoring.numbers.hot_publish.write_atomically", write)
    with pytest.raises(OSError, match="killed"):
        publish([row(FIRST, 1), row(SECOND, 2, reason="as built")], table, AT, seen)
    view = TableView.open(table)
    assert [found(view, number) for number in (FIRST, SECOND, THIRD)] == [1, 2, 3]
    second = view.lookup("lab", SECOND, AT)
    assert second is not None
    assert second.reason == ("as built" if step == 3 else "fraud")


def test_a_table_keeps_its_origin_and_can_be_kept_for_it(table: Path) -> None:
    publish([row(FIRST, 1)], table, AT, origin="a.csv")
    append(table, [row(SECOND, 2)])
    assert publish([], table, AT, origin="a.csv", keep=True) == 2
    assert found(TableView.open(table), FIRST) == 1
    publish([row(SECOND, 2)], table, AT)
    assert origin_of(table) == "a.csv"
    assert publish([], table, AT, origin="b.csv", keep=True) == 4
    assert origin_of(table) == "b.csv"


def test_versions_never_go_back(table: Path) -> None:
    versions = [publish([row(FIRST, 1)], table, AT)]
    versions.append(append(table, [row(SECOND, 2)]))
    versions.append(publish([], table, AT))
    versions.append(append(table, [row(SECOND, 2)]))
    assert versions == sorted(set(versions))
    assert current_version(table) == versions[-1]


def test_a_damaged_file_is_refused_once_and_the_old_one_stays(table: Path) -> None:
    publish([row(FIRST, 1)], table, AT)
    view = TableView.open(table)
    data = bytearray(table.read_bytes())
    data[-1] ^= 1
    write_atomically(table, bytes(data))
    (message,) = settle(view)
    assert "version 1 stays" in message
    assert "risk.hot" in message
    write_atomically(table, b"no table at all")
    (message,) = settle(view)
    assert "not a hot table" in message
    assert found(view, FIRST) == 1
    with pytest.raises(TableError):
        TableView.open(table)


def test_whatever_is_taken_begins_a_generation_though_the_version_stays(table: Path) -> None:
    """An older file is put back, under changes that are newer than both."""
    publish([row(FIRST, 1)], table, AT)
    older = table.read_bytes()
    publish([row(SECOND, 2)], table, AT)
    append(table, [row(THIRD, 3)])
    view = TableView.open(table)
    settle(view)
    version, generation = view.version, view.generation
    settle(view)
    assert view.generation == generation
    write_atomically(table, older)
    settle(view)
    assert (found(view, FIRST), found(view, SECOND), view.version) == (1, None, version)
    assert view.generation > generation
    generation = view.generation
    append(table, drops=[("lab", 3)])
    settle(view)
    assert view.generation > generation


def test_a_table_that_turns_out_damaged_after_the_start_is_let_go(table: Path) -> None:
    """The start does not read the whole file; the first look does."""
    publish([row(FIRST, 1)], table, AT)
    data = bytearray(table.read_bytes())
    data[HEADER_SIZE] ^= 1
    write_atomically(table, bytes(data))
    view = TableView.open(table)
    generation = view.generation
    (message,) = settle(view)
    assert "no hot table is in use" in message
    assert (found(view, FIRST), view.version, view.generation > generation) == (None, 0, True)
    publish([row(FIRST, 1)], table, AT)
    assert settle(view) == []
    assert found(view, FIRST) == 1


def test_the_loop_never_gives_back_a_mapping(table: Path) -> None:
    """That of a large table takes tens of milliseconds: the next look does it, in its thread."""
    publish([row(FIRST, 1)], table, AT)
    view = TableView.open(table)
    view.take(view.look())
    old = weakref.ref(view._table)  # type: ignore[arg-type]
    publish([row(SECOND, 2)], table, AT)
    view.take(view.look())
    assert (found(view, FIRST), found(view, SECOND)) == (None, 2)
    assert old() is not None
    view.look()
    assert old() is None


def test_there_is_something_new_until_all_of_it_was_read(table: Path) -> None:
    def looks() -> int:
        count = 0
        while view.new():
            poll(view)
            count += 1
            assert count < 5
        return count

    view = TableView.open(table)
    assert looks() == 1
    append(table, [row(FIRST, 1)])
    assert (looks(), found(view, FIRST)) == (1, 1)
    publish([row(SECOND, 2)], table, AT)
    assert looks() == 2  # the file, then its changes
    assert (found(view, FIRST), found(view, SECOND)) == (None, 2)
    with delta_path(table).open("ab") as file:
        file.write(b"half a line")
    assert looks() == 1
    write_atomically(table, b"no table")
    assert looks() == 2
    assert found(view, SECOND) == 2
    table.unlink()
    delta_path(table).unlink()
    assert looks() == 1


def test_many_changes_are_read_some_at_a_time(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.numbers.table_view._DELTA_SLICE", 512)
    view = TableView.open(table)
    append(table, [row(f"+86139{place:08}", place) for place in range(1, 41)])
    looks = 0
    behind = True
    while behind:
        at_once = view.look()
        assert len(at_once.changes) <= 4
        view.take(at_once)
        behind, looks = at_once.behind, looks + 1
    assert (view.version, looks >= 10) == (40, True)
    assert TableView.open(table).version == 40


def test_lines_that_are_no_change_are_left_out_and_named(table: Path) -> None:
    append(table, [row(FIRST, 1)])
    with delta_path(table).open("ab") as file:
        file.write(b'garbage\n{"type":"put","version":9}\n')
    append(table, [row(SECOND, 2)])
    view = TableView(table)
    said = settle(view)
    assert len(said) == 2
    assert all("risk.hot.delta" in line for line in said)
    assert (found(view, FIRST), found(view, SECOND)) == (1, 2)


def test_half_a_line_waits_for_its_end(table: Path) -> None:
    append(table, [row(FIRST, 1)])
    whole = delta_path(table).read_bytes()
    delta_path(table).write_bytes(whole[:20])
    view = TableView.open(table)
    assert found(view, FIRST) is None
    with delta_path(table).open("ab") as file:
        file.write(whole[20:])
    assert poll(view) == ()
    assert found(view, FIRST) == 1


def test_a_writer_that_died_in_a_line_spoils_only_that_line(table: Path) -> None:
    append(table, [row(FIRST, 1)])
    with delta_path(table).open("ab") as file:
        file.write(b'{"type":"put","ver')
    append(table, [row(SECOND, 2)])
    view = TableView(table)
    assert len(settle(view)) == 1
    assert (found(view, FIRST), found(view, SECOND)) == (1, 2)


def test_a_change_that_cannot_be_listed_is_not_written(table: Path) -> None:
    with pytest.raises(ValueError, match="listed"):
        append(table, [row(FIRST, 1), row("nobody", 2)])
    assert not delta_path(table).exists()
