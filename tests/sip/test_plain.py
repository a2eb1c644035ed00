"""The first look at an INVITE: orders of headers are remembered, and no more of them than is good."""

from __future__ import annotations

import pytest

from engine.sip import layouts, plain
from engine.sip.errors import LocalProtocolError
from engine.sip.layouts import Layouts
from engine.sip.plain import at_once, plain_invite

HEAD = (
    "INVITE sip:+8613800138000@127.0.0.1 SIP/2.0",
    "Via: SIP/2.0/UDP 127.0.0.2:5062;branch=z9hG4bK-a",
    "Max-Forwards: 70",
    "From: <sip:+8617000000001@127.0.0.2>;tag=f",
    "To: <sip:+8613800138000@127.0.0.1>",
    "Call-ID: a@127.0.0.2",
    "CSeq: 1 INVITE",
    "Contact: <sip:+8617000000001@127.0.0.2:5062>",
)


def _invite(*rows: str) -> bytes:
    return "\r\n".join((*HEAD, *rows, "Content-Length: 0", "", "")).encode()


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_layouts", Layouts(plain._layout))


def test_a_layout_read_before_is_no_excuse_for_another_one() -> None:
    first = plain_invite(_invite("Subject: a"))
    assert first is not None and not first.asserted
    asserted = plain_invite(_invite("P-Asserted-Identity: <sip:a@b>"))
    assert asserted is not None and asserted.asserted
    assert plain_invite(_invite("Subject: a")) == first
    assert plain_invite(_invite("Privacy: id")) is None
    for subject in (
        "Subject: a\tb",
        "Subject: ä",
        "Subject: a\nPrivacy: id",
        "Subject: a\r\n b",
        "Subject a",
    ):
        assert plain_invite(_invite(subject)) is None, subject


def test_vias_below_the_top_one_are_kept_wherever_they_stand() -> None:
    below = plain_invite(_invite("Via: SIP/2.0/UDP a", "Subject: b", "Via: SIP/2.0/UDP c"))
    assert below is not None
    assert below.more_vias == "Via: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP c\r\n"
    assert below.via == "SIP/2.0/UDP 127.0.0.2:5062;branch=z9hG4bK-a"


def test_a_layout_counts_once_it_has_come_some_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "SIGHTINGS", 3)
    assert [plain_invite(_invite()) is not None for _ in range(4)] == [False, False, True, True]


def test_a_length_that_is_not_the_bodys_is_for_the_long_way() -> None:
    assert plain_invite(_invite() + b"more") is None
    assert plain_invite(_invite("Content-Type: application/sdp") + b"more") is None
    typed = "\r\n".join((*HEAD, "Content-Type: application/sdp", "", "v=0")).encode()
    found = plain_invite(typed)
    assert found is not None and found.has_body


@pytest.mark.parametrize("value", ["a\r\nVia: x", "a\nb", "a\0", "a\x7f"])
def test_nothing_breaks_out_of_a_header(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        at_once(608, None, [("Call-Info", value)])
