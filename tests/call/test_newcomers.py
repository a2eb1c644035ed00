"""Who takes the place of a side by INVITE with Replaces (RFC 3891) is screened as who calls anew is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.call.values import Hop
from engine.model.address import Address
from engine.model.events import CallEnded, CallScreened, CallStarted, PopupSent
from engine.model.screening import Action
from tests.call.kit import ACCESS, NUMBER, POPUP, TRUNKS, Lab
from tests.call.peer import Ask, Side, sdp
from tests.call.test_transfer import answer_notifies, done, refer, replaces, routed

STRANGER = "+8613600000006"


def joining(action: Action = Action.ALLOW, **fields: Any) -> tuple[Lab, Side, Side]:
    """A call that is up, and what screening says to all that comes after it."""
    lab = Lab(trunks={name: structs.replace(trunk, refer=True) for name, trunk in TRUNKS.items()})
    lab.decide = routed
    caller, called = lab.connect()
    lab.decide = lambda request: structs.replace(routed(request), action=action, **fields)
    return lab, caller, called


def come(lab: Lab, side: Side, *headers: tuple[str, str], number: str = NUMBER) -> Ask:
    """A stranger asks for the place of `side`."""
    wanted = [("Replaces", replaces(side)), ("Require", "replaces"), *headers]
    return side.peer.invite(number, None, wanted, caller=STRANGER, display="Stranger")


def seated(ask: Ask, stays: Side) -> None:
    stays.last("INVITE").reply(200, sdp(stays.peer.address[0], 47000, version=2))
    assert ask.status == 200
    ask.ack()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_screening_is_asked_of_the_newcomer_and_who_stays(who: str) -> None:
    """Whatever number he dials: by that of a subscriber without wishes, say, he would get around them."""
    lab, caller, called = joining()
    goes, stays = (caller, called) if who == "caller" else (called, caller)
    ask = come(lab, goes, number="13900000099")
    asked = lab.asked[-1]
    assert len(lab.asked) == 2
    assert asked.trunk == ("carrier" if who == "caller" else "access")
    assert asked.calling == STRANGER
    assert asked.called == (NUMBER if who == "caller" else "+8613800000001")
    assert (asked.display, asked.asserted, asked.diversion) == ("Stranger", None, ())
    seated(ask, stays)
    assert goes.has("BYE") == 1
    done(lab)


def test_what_a_trusted_trunk_asserts_counts() -> None:
    lab, _, called = joining()
    come(lab, called, ("P-Asserted-Identity", "<sip:+8613700000007@x>"))
    assert lab.asked[-1].asserted == "+8613700000007"
    done(lab)


@pytest.mark.parametrize("status", [608, 607])
def test_who_is_blocked_does_not_get_in(status: int) -> None:
    lab, caller, called = joining(
        Action.REJECT, status=status, card="https://example.org/jcard/A", popup=POPUP
    )
    ask = come(lab, caller)
    assert ask.statuses == [status]
    assert ask.last.get("Call-Info") == (
        "<https://example.org/jcard/A>;purpose=jwscard" if status == 608 else None
    )
    assert [each.has("INVITE") + each.has("BYE") for each in (caller, called)] == [0, 1]
    assert lab.stages[-1] == "connected"
    started, screened = lab.of(CallStarted)[-1], lab.of(CallScreened)[-1]
    assert (started.trunk, started.direction, screened.action) == ("carrier", "inbound", "reject")
    (ended,) = lab.of(CallEnded)
    assert (ended.call_id, str(ended.outcome), ended.status) == (started.call_id, "policy/rejected", status)
    assert [popup.call_id for popup in lab.of(PopupSent)] == [started.call_id]
    done(lab)


def test_a_block_is_told_as_the_trunk_wants_it() -> None:
    trunks = {name: structs.replace(trunk, refer=True, reject="603+") for name, trunk in TRUNKS.items()}
    lab = Lab(trunks=trunks)
    lab.decide = routed
    caller, _ = lab.connect()
    lab.verdict(action=Action.REJECT)
    assert (answer := come(lab, caller).last).reason == "Network Blocked" and answer.status == 603
    done(lab)


@pytest.mark.parametrize("action", [Action.LABEL, Action.WARN])
def test_who_stays_reads_what_is_held_against_the_newcomer(action: Action) -> None:
    """Nobody can be labelled or warned any more in a call that is up; it is not kept waiting either."""
    lab, caller, called = joining(action, label="Suspected fraud", popup=POPUP)
    lab.bus = ""
    ask = come(lab, caller)
    seated(ask, called)
    lab.advance(1)
    (popup,) = lab.of(PopupSent)
    assert (popup.call_id, popup.bus_result) == (lab.of(CallStarted)[0].call_id, "timeout")
    done(lab)


def test_two_newcomers_at_once_make_one_popup() -> None:
    lab, caller, called = joining(Action.LABEL, popup=POPUP)
    lab.bus = ""
    first = come(lab, caller)
    seated(first, called)
    seated(come(lab, first.side), called)
    lab.advance(1)
    assert len(lab.of(PopupSent)) == 1
    done(lab)


def test_a_way_to_who_stays_is_not_needed() -> None:
    lab, caller, called = joining(hops=(), unrouted="unreachable")
    seated(come(lab, caller), called)
    done(lab)


def test_who_speaks_with_a_number_for_help_is_joined_unasked() -> None:
    lab = Lab(trunks={name: structs.replace(trunk, refer=True) for name, trunk in TRUNKS.items()})
    lab.decide = lambda request: structs.replace(routed(request), protected=True)
    caller, called = lab.connect()
    lab.decide = lambda request: structs.replace(routed(request), action=Action.REJECT)
    seated(come(lab, called), caller)
    assert len(lab.asked) == 1
    done(lab)


def test_a_call_that_a_number_for_help_joins_is_not_ended_when_the_engine_stops() -> None:
    lab, caller, called = joining(protected=True)
    ask = come(lab, caller)
    seated(ask, called)
    lab.drain()
    assert [ask.side.has("BYE"), called.has("BYE")] == [0, 0]
    done(lab)


@pytest.mark.parametrize("how", ["cancelled", "gone", "busy"])
def test_much_may_happen_while_screening_thinks(how: str) -> None:
    lab, caller, called = joining()
    lab.thinks = True
    ask = come(lab, caller)
    if how == "cancelled":
        ask.cancel()
        assert ask.statuses == [487]
    elif how == "gone":
        called.bye()
    else:
        called.offer(sdp(ACCESS[0], 50002, version=2))
    lab.think()
    assert ask.status == {"cancelled": 487, "gone": 481, "busy": 491}[how]
    assert lab.core.counts()["calls"] == (0 if how == "gone" else 1)
    done(lab)


def test_a_newcomer_that_waits_is_counted() -> None:
    lab, caller, _ = joining()
    lab.thinks = True
    come(lab, caller)
    assert lab.core.counts()["calls"] == 2
    lab.think()
    done(lab)


def test_the_next_transfer_is_about_the_newcomer() -> None:
    lab, caller, called = joining()
    ask = come(lab, caller)
    seated(ask, called)
    refer(called, "<sip:+8613700000007@example.org>")
    of_target = lab.asked[2]
    assert (of_target.calling, of_target.called) == (STRANGER, "+8613700000007")
    answer_notifies(lab, called)
    done(lab)


def test_nobody_joins_the_engine_s_own_calls() -> None:
    lab = Lab(trunks={name: structs.replace(trunk, refer=True) for name, trunk in TRUNKS.items()})
    lab.place(hop=Hop(Address(*ACCESS), trunk="access"))
    victim = lab.phone.calls[-1]
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    lab.agent.calls[-1].invite.reply(200, sdp("127.0.20.2", 30000))
    assert come(lab, victim).status == 603
    assert lab.asked == []
    done(lab)


def asking_too_much(lab: Lab, side: Side) -> Ask:
    wanted = [("Replaces", replaces(side)), ("Require", "replaces, outlandish")]
    return side.peer.invite(NUMBER, None, wanted, caller=STRANGER)


def test_a_number_for_help_gets_in_whatever_it_requires() -> None:
    lab, caller, called = joining(protected=True)
    seated(asking_too_much(lab, caller), called)
    done(lab)


def test_who_requires_what_we_know_not_gets_into_a_call_for_help() -> None:
    lab = Lab(trunks={name: structs.replace(trunk, refer=True) for name, trunk in TRUNKS.items()})
    lab.decide = lambda request: structs.replace(routed(request), protected=True)
    caller, called = lab.connect()
    seated(asking_too_much(lab, called), caller)
    done(lab)


def test_anybody_else_who_requires_what_we_know_not_does_not_get_in() -> None:
    lab, caller, called = joining()
    ask = asking_too_much(lab, caller)
    assert (ask.statuses, ask.last.get("Unsupported")) == ([420], "outlandish")
    assert (called.has("INVITE"), caller.has("BYE"), len(lab.of(CallStarted))) == (1, 0, 1)
    assert lab.core.counts()["calls"] == 1
    done(lab)
