"""What screening is asked of a transfer: whom it reaches, and who is put through."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.call.values import Decision, Hop, ScreeningRequest
from engine.model.address import Address
from engine.model.screening import Action
from tests.call.kit import ACCESS, CARRIER, NUMBER, TRUNKS, Lab
from tests.call.peer import sdp
from tests.call.test_transfer import (
    TARGET,
    answer_notifies,
    consulted,
    done,
    fragments,
    refer,
    replaces,
    routed,
    transferring,
)


@pytest.mark.parametrize("trunk", ["access", "carrier"])
def test_a_label_goes_with_the_caller_to_another_subscriber(trunk: str) -> None:
    """Else one subscriber could hand suspicious callers on to others as clean ones; carriers see no label."""
    lab = transferring()
    address = ACCESS if trunk == "access" else CARRIER

    def decide(request: ScreeningRequest) -> Decision:
        if request.called != TARGET:
            return structs.replace(routed(request), action=Action.LABEL, label="Suspected fraud")
        return structs.replace(routed(request), hops=(Hop(Address(*address), trunk=trunk),))

    lab.decide = decide
    _, called = lab.connect()
    refer(called)
    peer = lab.phone if trunk == "access" else lab.carrier
    shown = peer.calls[-1].invite.request.from_.display
    assert shown == ("Suspected fraud" if trunk == "access" else None)
    answer_notifies(lab, called)
    peer.calls[-1].invite.reply(486)
    answer_notifies(lab, called)
    done(lab)


def of_caller(action: Action, **changes: Any) -> Any:
    """Screening that holds something against the caller's number, and only where it is asked about him."""

    def decide(request: ScreeningRequest) -> Decision:
        found = structs.replace(routed(request), hops=(Hop(Address(*ACCESS), trunk="access"),))
        if request.called != TARGET:
            return routed(request)
        if request.trunk == "carrier" and request.calling == "+8613800000001":
            return structs.replace(found, action=action, **changes)
        return found

    return decide


def test_a_caller_who_is_blocked_by_now_is_not_handed_on() -> None:
    lab = transferring()
    lab.decide = of_caller(Action.REJECT)
    caller, called = lab.connect()
    refer(called)
    assert len(lab.phone.calls) == 1
    assert fragments(called) == ["SIP/2.0 100 Trying", "SIP/2.0 603 Decline"]
    answer_notifies(lab, called)
    assert lab.stages[-1] == "connected"
    assert caller.has("BYE") == called.has("BYE") == 0
    done(lab)


@pytest.mark.parametrize("action", [Action.LABEL, Action.WARN])
def test_what_is_held_against_who_stays_is_shown_to_the_target(action: Action) -> None:
    """It was nothing when the call came, or for whom it came."""
    lab = transferring()
    lab.decide = of_caller(action, label="Suspected fraud")
    _, called = lab.connect()
    refer(called)
    target = lab.phone.calls[-1]
    assert target.invite.request.from_.display == "Suspected fraud"
    target.invite.reply(486)
    answer_notifies(lab, called)
    done(lab)


def test_screening_is_asked_of_a_caller_under_what_his_trunk_asserted() -> None:
    trusting = structs.replace(TRUNKS["carrier"], trusted_identity=True)
    allowing = structs.replace(TRUNKS["access"], refer=True)
    lab = Lab(trunks={"carrier": trusting, "access": allowing})
    lab.decide = routed
    asserted = [("P-Asserted-Identity", "<sip:+8613800000009@c.example>")]
    ask = lab.carrier.invite(NUMBER, headers=asserted, display="Bank")
    called = lab.phone.calls[-1]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    refer(called)
    first, of_target, of_pair = lab.asked
    assert (of_target.display, of_target.asserted) == ("", None)
    assert (
        (of_pair.display, of_pair.asserted) == (first.display, first.asserted) == ("Bank", "+8613800000009")
    )
    answer_notifies(lab, called)
    done(lab)


def test_who_speaks_with_a_number_for_help_is_put_through_unasked() -> None:
    lab = transferring()
    lab.decide = lambda request: structs.replace(routed(request), protected=len(lab.asked) == 1)
    caller, called = lab.connect()
    refer(called)
    assert [asked.trunk for asked in lab.asked[1:]] == ["access"]
    answer_notifies(lab, caller, called)
    done(lab)


def test_who_was_put_through_is_whom_the_next_transfer_is_about() -> None:
    lab = transferring()
    caller, called = lab.connect()
    refer(called)
    target = lab.carrier.calls[-1]
    target.invite.reply(200, sdp(CARRIER[0], 60000))
    caller.last("INVITE").reply(200, sdp(CARRIER[0], 40000, version=2))
    answer_notifies(lab, called)
    refer(caller, "<sip:+8613700000008@example.org>")
    asked = lab.asked[-1]
    assert (asked.calling, asked.called) == (TARGET, "+8613700000008")
    answer_notifies(lab, caller)
    done(lab)


@pytest.mark.parametrize("blocked", [True, False])
def test_an_attended_transfer_is_screened_by_the_numbers_of_both_calls(blocked: bool) -> None:
    """Not by the one that the referrer writes."""
    lab = transferring()

    def decide(request: ScreeningRequest) -> Decision:
        pair = request.called == TARGET and request.trunk == "carrier"
        action = Action.REJECT if pair and blocked else Action.ALLOW
        return structs.replace(routed(request), action=action)

    lab.decide = decide
    caller, called, second, target = consulted(lab)
    escaped = replaces(second).replace(";", "%3B").replace("=", "%3D")
    refer(called, f"<sip:1000@example.org?Replaces={escaped}>")
    assert (lab.asked[-1].calling, lab.asked[-1].called) == ("+8613800000001", TARGET)
    assert (target.has("INVITE") == 1) is blocked  # the first; another describes the caller
    if blocked:
        assert fragments(called)[-1] == "SIP/2.0 603 Decline"
        assert [each.has("BYE") for each in (caller, called, second, target)] == [0] * 4
    answer_notifies(lab, called)
    done(lab)
