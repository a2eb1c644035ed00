"""What the transport reads without parsing; checked against the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.glance import branch_of, is_response, top_via_of
from engine.sip.parse import parse
from engine.sip.via import Via
from tests.sip.kit import wire

VIAS = [
    "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-p1;rport",
    "SIP / 2.0 / TCP [2001:db8::9]:5070 ;received=192.0.2.1; BRANCH = z9hG4bK.x!~ ;alias",
    "SIP/2.0/TLS host.example;rport;branch=z9hG4bKa, SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKb",
]


@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize("name", [b"Via", b"v", b"VIA"])
def test_it_sees_what_the_parser_sees(via: str, name: bytes) -> None:
    data = wire(via=via).replace(b"Via", name)
    parsed = parse(data).top_via
    assert top_via_of(data) == parsed
    assert branch_of(data) == parsed.branch


def test_a_folded_via() -> None:
    data = wire(via="SIP/2.0/UDP 192.0.2.9\r\n ;branch=z9hG4bKf")
    assert top_via_of(data) == Via.parse("SIP/2.0/UDP 192.0.2.9 ;branch=z9hG4bKf")


def test_a_message_cut_short_behind_its_via() -> None:
    data = wire()
    assert branch_of(data[: data.index(b";rport") + 3]) == "z9hG4bK-p1"


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: b"\r\nVia: " + text.encode()))
def test_no_bytes_hurt(data: bytes) -> None:
    assert isinstance(branch_of(data), str)
    assert top_via_of(data) is None or top_via_of(data) == top_via_of(data)


def test_which_are_responses() -> None:
    assert is_response(b"SIP/2.0 200 OK\r\n")
    assert not is_response(wire())
