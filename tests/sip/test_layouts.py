"""Layouts are learnt by those who send them often, and whoever makes them up gains nothing by it."""

from __future__ import annotations

import pytest

from engine.sip import layouts
from engine.sip.layouts import MAX_KINDS, MAX_KNOWN, MAX_ROWS, MAX_SEEN, MAX_SPELT, Layouts, Names


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Names]:
    monkeypatch.setattr(layouts, "SIGHTINGS", 2)
    return []


def known(found: Layouts[Names], kind: bytes = b"k") -> list[Names]:
    return [*found.of(kind, ())]


def layouts_of(made: list[Names]) -> Layouts[Names]:
    def make(names: Names) -> Names | None:
        made.append(names)
        return names if "None" not in names else None

    return Layouts(make)


def head(*names: str) -> str:
    return "\r\n".join(("start", *(f"{name}: v" for name in names)))


def test_one_is_made_once_it_has_come_some_times_and_of_its_kind_alone(made: list[Names]) -> None:
    found = layouts_of(made)
    assert found.learn(b"k", head("A", "B")) is None and not made
    assert found.learn(b"l", head("A", "B")) is None and not made
    assert found.learn(b"k", head("A", "B")) == ("A", "B")
    assert known(found) == [("A", "B")] and known(found, b"l") == []


def test_what_is_known_is_not_made_again_for_values_that_it_cannot_read(made: list[Names]) -> None:
    found = layouts_of(made)
    for _ in range(9):
        found.learn(b"k", head("A"))
    assert made == [("A",)]


def test_the_one_learnt_first_gives_way(made: list[Names]) -> None:
    found = layouts_of(made)
    for number in range(MAX_KNOWN + 1):
        for _ in range(2):
            found.learn(b"k", head(f"A{number}"))
    assert known(found) == [(f"A{number}",) for number in range(1, MAX_KNOWN + 1)]


def test_neither_kinds_nor_sightings_are_kept_without_end(made: list[Names]) -> None:
    found = layouts_of(made)
    for number in range(3 * MAX_KINDS):
        for _ in range(2):
            found.learn(str(number).encode(), head("A"))
    assert 0 < len(found._known) <= MAX_KINDS and len(found._of) == len(found._known)
    for number in range(3 * MAX_SEEN):
        found.learn(b"k", head(f"A{number}"))
    assert 0 < len(found._seen) <= MAX_SEEN


@pytest.mark.parametrize("names", [["A"] * (MAX_ROWS + 1), ["A" * (MAX_SPELT + 1)], ["\xe4"], ["A\n"]])
def test_what_no_sender_writes_is_not_even_counted(made: list[Names], names: list[str]) -> None:
    found = layouts_of(made)
    for _ in range(3):
        found.learn(b"k", head(*names))
    assert not made and not found._seen


def test_what_cannot_be_made_is_none(made: list[Names]) -> None:
    found = layouts_of(made)
    found.learn(b"k", head("None"))
    assert found.learn(b"k", head("None")) is None and known(found) == []
