"""Layouts are learnt by those who send them often, and whoever makes them up gains nothing by it."""

from __future__ import annotations

import pytest

from engine.sip import layouts
from engine.sip.layouts import MAX_KINDS, MAX_KNOWN, MAX_ROWS, MAX_SEEN, MAX_SPELT, Layouts, Names
from engine.sip.message import Request
from engine.sip.parse import parse
from engine.sip.plain import plain_invite


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


def test_a_new_kind_takes_the_place_of_the_oldest_alone(made: list[Names]) -> None:
    found = layouts_of(made)
    for number in range(MAX_KINDS + 1):
        for _ in range(2):
            found.learn(str(number).encode(), head("A"))
    assert known(found, b"0") == []
    assert all(known(found, str(number).encode()) == [("A",)] for number in range(1, MAX_KINDS + 1))


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


def padded(spaces: int, last: str) -> bytes:
    """An INVITE of eight rows that mean nothing, each with that many spaces behind its colon."""
    rows = "".join([f"X-{number}:{' ' * spaces}v\r\n" for number in range(8)])
    return (
        "INVITE sip:13800138000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1\r\n"
        "From: <sip:13900139000@192.0.2.9>;tag=1\r\nTo: <sip:13800138000@192.0.2.1>\r\nCall-ID: 1\r\n"
        f"CSeq: 1 INVITE\r\nContact: <sip:192.0.2.9>\r\n{rows}X-Last: {last}\r\n\r\n"
    ).encode()


@pytest.mark.timeout(20)  # each row's spaces multiplied by all others' take years
def test_spaces_in_a_layout_that_does_not_fit_cost_no_more_than_their_number() -> None:
    for _ in range(5):
        message, plain = parse(padded(1, "v")), plain_invite(padded(1, "v"))
        assert isinstance(message, Request) and plain is not None
    strange = padded(99, "é")  # known by its names, and read by no pattern
    read = parse(strange)
    assert read.get("X-7") == "v" and read.get("X-Last") == "é"
    assert plain_invite(strange) is None
