"""INFO (RFC 6086): keys in both bodies that are in use, everything else refused in its own way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.leg_events import LegDtmf
from engine.call.leg_info import MOST_MS, RELAY_TYPE, Key, key_body, read_info
from engine.sip.message import Request
from tests.call.phone import Phones

PLAIN_TYPE = "application/dtmf"


def info(body: bytes, kind: str = RELAY_TYPE, *more: tuple[str, str]) -> Request:
    return Request("INFO", "sip:a@b", [("Content-Type", kind), *more], body)


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        (RELAY_TYPE, b"Signal=5\r\nDuration=160\r\n", Key("5", 160)),
        (RELAY_TYPE, b"signal = #\nduration = 80", Key("#", 80)),
        (RELAY_TYPE, b"Signal=10\r\n", Key("*", 250)),
        (RELAY_TYPE, b"Signal=11\r\n", Key("#", 250)),
        (RELAY_TYPE, b"Signal=a\r\nDuration=999999\r\n", Key("A", MOST_MS)),
        (RELAY_TYPE.upper() + ";charset=x", b"Signal=1", Key("1", 250)),
        (PLAIN_TYPE, b"7", Key("7", 250)),
        (PLAIN_TYPE, b" * \r\n", Key("*", 250)),
    ],
)
def test_keys(kind: str, body: bytes, key: Key) -> None:
    assert read_info(info(body, kind)) == key


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RELAY_TYPE, b"Signal=12"),
        (RELAY_TYPE, b"Signal="),
        (RELAY_TYPE, b"Duration=5"),
        (RELAY_TYPE, b"Signal=5\r\nDuration=99999999"),
        (RELAY_TYPE, "Signal=٥".encode()),
        (PLAIN_TYPE, b"55"),
        (PLAIN_TYPE, b"\xff"),
    ],
)
def test_bodies_that_name_no_key(kind: str, body: bytes) -> None:
    assert read_info(info(body, kind)) == (400, ())


def test_other_bodies_and_packages() -> None:
    assert read_info(info(b"x", "application/x")) == (
        415,
        [("Accept", "application/dtmf-relay, application/dtmf")],
    )
    assert read_info(info(b"x", RELAY_TYPE, ("Info-Package", "nil"))) == (469, [("Recv-Info", "")])
    assert read_info(Request("INFO", "sip:a@b", [])) is None


@given(st.sampled_from("0123456789*#ABCD"), st.integers(0, MOST_MS))
def test_what_we_write_is_read(digit: str, duration_ms: int) -> None:
    assert read_info(info(key_body(digit, duration_ms))) == Key(digit, duration_ms)


@given(st.binary(max_size=300), st.sampled_from([RELAY_TYPE, PLAIN_TYPE]))
def test_any_body_is_a_key_or_refused(body: bytes, kind: str) -> None:
    told = read_info(info(body, kind))
    assert told is None or isinstance(told, Key) or told[0] == 400


def test_a_leg_tells_of_a_key_and_sends_one() -> None:
    phones = Phones()
    side, leg = phones.called()
    assert side.ask("INFO", b"Signal=5\r\nDuration=160\r\n", [("Content-Type", RELAY_TYPE)]).statuses == [200]
    assert phones.take(LegDtmf) == LegDtmf("5", 160)
    phones.act(lambda: leg.dtmf("#", 200))
    told = side.last("INFO").request
    assert (told.get("Content-Type"), told.body) == (RELAY_TYPE, b"Signal=#\r\nDuration=200\r\n")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ([("Info-Package", "x")], b"", 469),
        ([("Content-Type", "text/plain")], b"x", 415),
        ([("Content-Type", RELAY_TYPE)], b"x", 400),
        ([], b"", 200),
        ([("Require", "x")], b"", 420),
    ],
)
def test_what_a_leg_answers(headers: list[tuple[str, str]], body: bytes, status: int) -> None:
    side, _ = Phones().called()
    assert side.ask("INFO", body, headers).statuses == [status]


def test_what_a_leg_can_do() -> None:
    side, _ = Phones().called()
    answer = side.ask("OPTIONS").last
    assert answer.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"
    assert {"100rel", "timer", "norefersub"} <= set(answer.get_all("Supported"))
