"""What may stand in a log: no telephone numbers, no credentials, no lines but our own."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import logs

SEPARATORS = st.sampled_from(["", "", " ", "-", "(", ") ", "\u2011"])
DIGITS = st.text("0123456789", min_size=7, max_size=20)


def digits_of(text: str) -> str:
    return re.sub(r"\D", "", text)


@given(st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)), DIGITS)
def test_of_an_international_number_the_country_code_and_two_digits_stay(code: int, national: str) -> None:
    masked = logs.mask(f"<sip:+{code}{national}@host>")
    assert masked == f"<sip:+{code}{'*' * (len(national) - 2)}{national[-2:]}@host>"


@given(st.lists(st.tuples(SEPARATORS, st.sampled_from("0123456789")), min_size=7, max_size=20))
def test_grouping_hides_no_number(parts: list[tuple[str, str]]) -> None:
    written = "".join(separator + digit for separator, digit in parts)
    if re.match(r"20\d\d-\d\d-\d\d", written.strip()):
        return  # could be a date, and those stay
    masked = logs.mask(f"from {written}, busy")
    assert digits_of(masked) == digits_of(written)[-2:]
    assert masked.startswith("from ") and masked.endswith(", busy")


@given(st.text(st.characters(codec="utf-8"), max_size=60), DIGITS, st.text("ab: ,@<>\"'=/", max_size=9))
def test_nothing_with_seven_digits_in_a_row_is_left(before: str, number: str, after: str) -> None:
    masked = logs.clean(before + number + after)
    assert number not in masked
    assert re.search(r"\d{7}", masked) is None


@pytest.mark.parametrize(
    "text",
    [
        "127.0.20.1:5060",
        "2026-11-21 22:12:30 was the day",
        "policy 3f2a, 110, 96110",
        "port 30000",
        "2001:db8::1",
    ],
)
def test_what_is_no_number_stays(text: str) -> None:
    assert logs.clean(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mqtt://node:hunter2@broker:1883", "mqtt://node:(withheld)@broker:1883"),
        ('Authorization: Digest username="a", response="b"\r\nX: y', "Authorization: (withheld)\r\nX: y"),
        ("proxy-authorization : Basic QWxhZGRpbg==", "proxy-authorization : (withheld)"),
        ("password=hunter2, host=a", "password=(withheld), host=a"),
        ('token: "s e c", x', "token: (withheld), x"),
    ],
)
def test_credentials_are_withheld(text: str, clean: str) -> None:
    assert logs.clean(text) == clean


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("restored")
def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("engine", "info", "json")
    log = logging.getLogger("engine.some")
    log.debug("not asked for")
    log.warning("call of %s\nends", "+8613800138000", extra={"call_id": "c1"})
    try:
        raise ValueError("no such number: 13900000002")
    except ValueError:
        log.exception("failed")
    first, second = [json.loads(line) for line in capsys.readouterr().err.split("\n")[:-1]]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("ts"))
    assert first == {
        "level": "warning",
        "process": "engine",
        "logger": "engine.some",
        "message": "call of +86*********00\nends",
        "call_id": "c1",
    }
    assert second["level"] == "error"
    assert second["exception"].endswith("ValueError: no such number: *********02")


@pytest.mark.usefixtures("restored")
def test_text_is_one_line_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("agent")
    logging.getLogger("engine.some").info("odd: %s", "a\r\nb\x1b[2J\u2028+8613800138000")
    (line,) = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert line.endswith(r" INFO agent engine.some: odd: a\r\nb\x1b[2J\u2028+86*********00")
