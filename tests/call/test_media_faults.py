"""Descriptions that point where no media may go, what runs out, and alarms that are told once."""

from __future__ import annotations

import pytest

from engine.call.troubles import STEADY_S
from engine.model.events import Alarm, CallEnded
from engine.model.media import OpenSession
from engine.model.screening import Action
from engine.sdp import OwnAddresses
from tests.call.kit import ACCESS, CARRIER, ENGINE, NUMBER, Lab
from tests.call.media import MEDIA_HOST
from tests.call.peer import sdp

OWN = OwnAddresses.of((ENGINE[0], MEDIA_HOST), range(20_000, 30_000), (5060,))
NOWHERE = [
    sdp("169.254.169.254"),
    sdp("224.0.1.1"),
    sdp("255.255.255.255"),
    sdp("0.0.0.0"),
    sdp(MEDIA_HOST, 20_000),
    sdp(ENGINE[0], 29_998),
    sdp(ENGINE[0], 5060),
]
PLANS = pytest.mark.parametrize("record", [False, True], ids=["direct", "anchored"])
BODIES = pytest.mark.parametrize("body", NOWHERE)


@pytest.fixture
def lab() -> Lab:
    return Lab(own=OWN)


@PLANS
@BODIES
def test_an_offer_that_points_nowhere(lab: Lab, body: bytes, record: bool) -> None:
    lab.verdict(record=record)
    ask = lab.carrier.invite(NUMBER, body)
    assert ask.statuses == [100, 488]
    assert lab.phone.calls == []
    assert lab.ended == "upstream/not_acceptable 488"
    lab.settle()


@PLANS
@BODIES
def test_an_answer_that_points_nowhere(lab: Lab, body: bytes, record: bool) -> None:
    lab.verdict(record=record)
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, body)
    assert ask.status == 488
    assert called.has("BYE") == 1
    assert lab.ended == "upstream/not_acceptable 488"
    lab.settle()


@PLANS
def test_a_description_of_the_other_address_family(lab: Lab, record: bool) -> None:
    """Two phones may know how to reach each other; our media's socket has one family."""
    lab.verdict(record=record)
    ask = lab.carrier.invite(NUMBER, sdp("2001:db8::7").replace(b"IN IP4 2001", b"IN IP6 2001"))
    if not record:
        called = lab.phone.calls[0]
        assert b"c=IN IP6 2001:db8::7\r\n" in called.invite.request.body
        called.invite.reply(486)
    assert ask.status == (488 if record else 486)
    lab.settle()


@PLANS
def test_a_later_offer_that_points_at_us_changes_nothing(lab: Lab, record: bool) -> None:
    lab.verdict(record=record)
    caller, called = lab.connect()
    lab.media.finish()
    known = lab.media.remotes()
    again = caller.offer(sdp(MEDIA_HOST, 20_000, version=2))
    assert again.status == 488
    assert called.has("INVITE") == 1
    assert lab.media.remotes() == known
    assert lab.of(CallEnded) == []
    caller.bye()
    lab.settle()


@PLANS
def test_hold_by_nowhere_is_for_calls_that_are_up(lab: Lab, record: bool) -> None:
    lab.verdict(record=record)
    caller, called = lab.connect()
    lab.media.finish()
    hold = caller.offer(sdp("0.0.0.0", 40_000, version=2))
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50_000, way="recvonly"))
    assert hold.status == 200
    hold.ack()
    caller.bye()
    lab.settle()


@BODIES
def test_an_emergency_call_fails_by_no_description(lab: Lab, body: bytes) -> None:
    lab.verdict(protected=True)
    ask = lab.carrier.invite("110", body)
    called = lab.phone.calls[0]
    called.invite.reply(200, body)
    assert ask.status == 200
    ask.ack()
    ask.side.bye()
    lab.settle()


# --- ports ---


def exhausted(lab: Lab) -> None:
    """One call that needs media, and no port for it."""
    lab.media.opens = False
    ask = lab.carrier.invite(NUMBER)
    lab.media.fail(lab.media.last(OpenSession), "no_ports")
    lab.pump()
    assert ask.status == 503


def alarms(lab: Lab) -> list[str]:
    return [alarm.slug for alarm in lab.of(Alarm)]


def served(lab: Lab) -> None:
    lab.media.opens = True
    ask = lab.carrier.invite(NUMBER)
    ask.cancel()
    assert ask.status == 487


def test_many_calls_without_ports_are_one_alarm(lab: Lab) -> None:
    lab.verdict(record=True)
    for _ in range(5):
        exhausted(lab)
    assert alarms(lab) == ["media_ports_exhausted"]
    served(lab)  # at the edge, ports come and go
    exhausted(lab)
    assert alarms(lab) == ["media_ports_exhausted"]
    lab.advance(STEADY_S)
    assert alarms(lab) == ["media_ports_exhausted"]
    served(lab)
    assert alarms(lab) == ["media_ports_exhausted", "media_ports_free"]
    exhausted(lab)
    assert alarms(lab)[2:] == ["media_ports_exhausted"]
    lab.settle()


def test_without_ports_emergency_calls_and_clean_calls_go_on(lab: Lab) -> None:
    lab.media.opens = False
    lab.verdict(protected=True, record=True, action=Action.WARN, announcement="warn_callee")
    lab.carrier.invite("110")
    lab.verdict()
    lab.carrier.invite(NUMBER)
    for called in lab.phone.calls:
        called.invite.reply(486)
    assert len(lab.phone.calls) == 2
    assert lab.media.commands == []
    lab.settle()


def test_a_full_disk_is_one_alarm(lab: Lab) -> None:
    lab.verdict(record=True)
    lab.media.captures_fail = True
    for _ in range(3):
        caller, _ = lab.connect(sdp(CARRIER[0], 40_000))
        lab.media.finish()
        caller.bye()
    assert alarms(lab) == ["recording_failing"]
    lab.media.captures_fail = False
    lab.advance(STEADY_S)
    caller, _ = lab.connect(sdp(CARRIER[0], 40_000))
    lab.media.finish()
    caller.bye()
    assert alarms(lab) == ["recording_failing", "recording_recovered"]
    lab.settle()


# --- the network ---


def test_a_hop_that_cannot_be_sent_to_is_one_alarm(lab: Lab) -> None:
    lab.unreachable = {ACCESS}
    for _ in range(3):
        ask = lab.carrier.invite(NUMBER)
        assert ask.status >= 500
    assert str(lab.of(CallEnded)[-1].outcome) == "upstream/unreachable"
    assert alarms(lab) == ["trunk_down"]
    lab.settle()
