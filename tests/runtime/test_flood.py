"""Who is spared when a source is above its rate."""

from __future__ import annotations

import pytest

from engine.runtime.bpf import Source
from engine.runtime.flood import FloodGuard, TrunkHosts, emergency_calls
from engine.sip.flood import FloodLimits
from scoring.numbers import Numbering
from tests.sip.kit import wire

is_emergency = emergency_calls(Numbering())


def invite(uri: str) -> bytes:
    return wire().replace(b"INVITE sip:bob@192.0.2.1", b"INVITE " + uri.encode(), 1)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:110@192.0.2.1",
        "sips:119@192.0.2.1",
        "tel:120",
        "sip:+86110@192.0.2.1",
        "sip:0086110@192.0.2.1;user=phone",
        "sip:010110@192.0.2.1",
        "sip:1-1-0@192.0.2.1",
        "sip:%31%31%30@192.0.2.1",
        "sip:112;phone-context=+86@192.0.2.1",
        "sip:96110@192.0.2.1",
        "urn:service:sos",
        "URN:service:sos.police",
    ],
)
def test_calls_to_emergency_numbers_are_known_by_their_first_line(uri: str) -> None:
    assert is_emergency(invite(uri))


@pytest.mark.parametrize(
    "uri", ["sip:13900000110@192.0.2.1", "sip:bob@110", "sip:1100@192.0.2.1", "urn:service:x"]
)
def test_others_are_not(uri: str) -> None:
    assert not is_emergency(invite(uri))


def test_what_belongs_to_such_a_call_is_known_by_its_parties() -> None:
    ack = wire("ACK").replace(b"To: <sip:bob@", b"To: <sip:110@")
    bye = wire("BYE").replace(b"From: <sip:peer@", b'f: "Police" <sip:110@')
    ringing = b"SIP/2.0 180 Ringing\r\nVia: x\r\nt:<urn:service:sos>\r\n\r\n"
    assert [is_emergency(data) for data in (ack, bye, ringing, wire("BYE"))] == [True, True, True, False]


def test_who_names_it_in_another_header_is_not_spared() -> None:
    assert not is_emergency(wire(extra=("X: <sip:110@192.0.2.1>", "Contact: <sip:110@192.0.2.1>")))


def test_a_trunk_above_its_rate_still_places_emergency_calls() -> None:
    told: list[list[Source]] = []
    limits = FloodLimits(messages_per_s=1.0, trunk_messages_per_s=1.0, ban_after=10)
    guard = FloodGuard(limits, TrunkHosts(["192.0.2.0/24", "198.51.100.1:5070"]), is_emergency, told.append)
    honest, urgent = invite("sip:13900000002@192.0.2.1"), invite("sip:110@192.0.2.1")
    for host in ("192.0.2.7", "198.51.100.1", "203.0.113.1"):
        for _ in range(30):
            guard.admits(honest, host, 0.0)
    assert guard.admits(urgent, "192.0.2.7", 0.0)
    assert guard.admits(urgent, "198.51.100.1", 0.0)
    assert not guard.admits(honest, "192.0.2.7", 0.0)
    assert not guard.admits(urgent, "203.0.113.1", 0.0)
    assert [[str(source) for source in bans] for bans in told] == [["203.0.113.1/32"]]
    assert guard.counts()["spared"] == 2
    assert not guard.welcomes("203.0.113.1", 0.0)
    guard.tick(10.0)
    assert told[-1] == []


def test_everywhere_is_a_trunk_too() -> None:
    everywhere = TrunkHosts(["*"])
    assert "203.0.113.1" in everywhere
    assert "2001:db8::1" in everywhere
