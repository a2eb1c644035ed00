"""REFER and Replaces: who may, whom it reaches, and what becomes of the legs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.call.values import Decision, Hop, ScreeningRequest
from engine.model.address import Address
from engine.model.events import CallEnded, CallStage
from engine.model.media import StartCapture, StopCapture
from engine.model.screening import Action
from tests.call.kit import ACCESS, CARRIER, NUMBER, TRUNKS, Lab, allow
from tests.call.peer import Ask, Side, sdp
from tests.call.test_clean_call import without_origin

TARGET = "+8613700000007"


def routed(request: ScreeningRequest) -> Decision:
    """Hops with the names of their trunks, as routes have them."""
    name, address = ("access", ACCESS) if request.trunk == "carrier" else ("carrier", CARRIER)
    return structs.replace(allow(request), hops=(Hop(Address(*address), trunk=name),))


def transferring(*names: str) -> Lab:
    """A lab whose trunks of those names may transfer."""
    trunks: dict[str, Any] = {
        name: structs.replace(trunk, refer=name in (names or ("access", "carrier")))
        for name, trunk in TRUNKS.items()
    }
    lab = Lab(trunks=trunks)
    lab.decide = routed
    return lab


def refer(side: Side, to: str = f"<sip:{TARGET}@example.org>", *extra: tuple[str, str]) -> Ask:
    return side.ask("REFER", headers=[("Refer-To", to), ("Contact", side.peer.contact), *extra])


def fragments(side: Side) -> list[str]:
    """What the referrer was told."""
    return [told.request.body.decode().strip() for told in side.told if told.request.method == "NOTIFY"]


def answer_notifies(lab: Lab, *sides: Side) -> None:
    for side in sides:
        for told in side.told:
            if told.request.method == "NOTIFY" and not told.answered:
                told.reply(200)


def done(lab: Lab) -> None:
    lab.end()
    lab.settle()


# --- who may ---


def test_who_calls_for_help_sends_nobody_anywhere() -> None:
    """Such calls are taken from anybody: a transfer would be a call of a stranger's at our cost."""
    lab = transferring()
    lab.decide = lambda request: structs.replace(routed(request), protected=True)
    caller, called = lab.connect()
    assert refer(caller).status == 603
    assert refer(called).status == 202  # whoever helps may
    answer_notifies(lab, caller, called)
    done(lab)


@pytest.mark.parametrize("names", [("carrier",), ("access",)])
def test_only_a_trunk_that_may(names: tuple[str, ...]) -> None:
    lab = transferring(*names)
    caller, called = lab.connect()
    assert refer(called).status == (202 if names == ("access",) else 603)
    assert refer(caller).status == (603 if names == ("access",) else 202)
    answer_notifies(lab, caller, called)
    done(lab)


@pytest.mark.parametrize(
    ("to", "status"), [("<mailto:a@example.org>", 416), ("<sip:example.org>", 416), ("<sip:", 400)]
)
def test_to_numbers_only(to: str, status: int) -> None:
    lab = transferring()
    _, called = lab.connect()
    assert refer(called, to).status == status
    assert lab.stages[-1] == "connected"
    done(lab)


# --- blind (RFC 5589 §6) ---


@pytest.mark.parametrize("record", [False, True], ids=["direct", "anchored"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_blind_transfer(who: str, record: bool) -> None:
    lab = transferring()
    lab.decide = lambda request: structs.replace(routed(request), record=record)
    caller, called = lab.connect()
    lab.media.finish()
    captures = lab.media.count(StartCapture)
    stays, goes = (called, caller) if who == "caller" else (caller, called)
    ask = refer(goes)
    assert ask.status == 202
    trunks = ["carrier", "access"] if who == "caller" else ["access", "carrier"]
    assert [asked.trunk for asked in lab.asked[1:]] == trunks  # the referrer's, then that of who stays
    for asked in lab.asked[1:]:
        assert asked.called == TARGET
        assert asked.calling == ("13900000002" if who == "caller" else "+8613800000001")
        assert asked.diversion == (("+8613800000001",) if who == "caller" else ("13900000002",))
    peer = lab.phone if who == "caller" else lab.carrier
    target = peer.calls[-1]
    assert target.invite.request.uri.user == TARGET
    target.invite.reply(180)
    target.invite.reply(200, sdp(peer.address[0], 60000))
    assert len(target.acks) == 1
    assert fragments(goes) == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]
    assert goes.has("BYE") == 1
    told = stays.last("INVITE")
    if record:
        assert lab.media.remotes()["callee" if who == "callee" else "caller"].port == 60000
        assert lab.media.count(StopCapture) == 1
    else:
        assert without_origin(told.request.body) == without_origin(sdp(peer.address[0], 60000))
    told.reply(200, sdp(stays.peer.address[0], 40000 if who == "callee" else 50000, version=2))
    answer_notifies(lab, goes)
    if record:  # the newcomer hears the notice before anything is captured again
        assert lab.media.count(StartCapture) == captures
        lab.media.finish()
        assert lab.media.count(StartCapture) == captures + 1
    assert lab.stages[-1] == "connected"
    target.bye()
    assert stays.has("BYE") == 1
    assert lab.ended.endswith("hung_up 200")
    lab.settle()


def test_who_was_on_hold_is_not_any_more() -> None:
    lab = transferring()
    caller, called = lab.connect()
    hold = called.offer(sdp(ACCESS[0], 50000, version=2, way="sendonly"))
    caller.last("INVITE").reply(200, sdp(CARRIER[0], 40000, version=2, way="recvonly"))
    hold.ack()
    refer(called)
    target = lab.carrier.calls[-1]
    assert b"recvonly" not in target.invite.request.body
    target.invite.reply(200, sdp(CARRIER[0], 60000))
    told = caller.last("INVITE")
    assert b"sendonly" not in told.request.body
    told.reply(200, sdp(CARRIER[0], 44000, version=3))  # and elsewhere: the target hears of it
    again = target.last("INVITE")
    assert again is not target.invite and b"m=audio 44000" in again.request.body
    again.reply(200, sdp(CARRIER[0], 60000))
    assert len(target.acks) == 2
    answer_notifies(lab, called)
    done(lab)


@pytest.mark.parametrize("status", [404, 486, 603])
def test_a_target_that_does_not_answer_leaves_the_call_as_it_was(status: int) -> None:
    lab = transferring()
    caller, called = lab.connect()
    refer(called)
    lab.carrier.calls[-1].invite.reply(status)
    assert fragments(called)[-1].startswith(f"SIP/2.0 {status} ")
    answer_notifies(lab, called)
    assert lab.stages[-1] == "connected"
    assert caller.has("BYE") == called.has("BYE") == 0
    called.bye()
    assert lab.ended == "callee/hung_up 200"
    lab.settle()


def test_a_target_that_rings_too_long() -> None:
    lab = transferring()
    _, called = lab.connect()
    refer(called)
    target = lab.carrier.calls[-1]
    target.invite.reply(180)
    answer_notifies(lab, called)
    lab.advance(61)
    assert target.has("CANCEL") == 1
    assert fragments(called)[-1] == "SIP/2.0 408 Request Timeout"
    answer_notifies(lab, called)
    assert lab.stages[-1] == "connected"
    done(lab)


def test_a_target_that_screening_blocks() -> None:
    lab = transferring()
    _, called = lab.connect()
    lab.decide = lambda request: structs.replace(routed(request), action=Action.REJECT)
    refer(called)
    assert len(lab.carrier.calls) == 1
    assert fragments(called) == ["SIP/2.0 100 Trying", "SIP/2.0 603 Decline"]
    answer_notifies(lab, called)
    assert lab.stages[-1] == "connected"
    done(lab)


def test_the_next_hop_of_the_target() -> None:
    lab = transferring()
    _, called = lab.connect()
    lab.decide = lambda request: structs.replace(routed(request), hops=routed(request).hops * 2)
    refer(called)
    first = lab.carrier.calls[-1]
    first.invite.reply(503)
    second = lab.carrier.calls[-1]
    assert second is not first
    second.invite.reply(486)
    assert fragments(called)[-1] == "SIP/2.0 486 Busy Here"
    answer_notifies(lab, called)
    done(lab)


# --- those who do not wait ---


@pytest.mark.parametrize("answered", [True, False])
def test_a_referrer_that_hangs_up_at_once(answered: bool) -> None:
    lab = transferring()
    caller, called = lab.connect()
    refer(called)
    answer_notifies(lab, called)
    called.bye()
    target = lab.carrier.calls[-1]
    if answered:
        target.invite.reply(200, sdp(CARRIER[0], 60000))
        caller.last("INVITE").reply(200, sdp(CARRIER[0], 40000, version=2))
        assert lab.stages[-1] == "connected"
        target.bye()
        assert lab.ended == "callee/hung_up 200"
    else:
        target.invite.reply(486)
        assert lab.ended == "upstream/failed 200"
    assert caller.has("BYE") == 1
    lab.settle()


def test_who_was_to_be_put_through_hangs_up() -> None:
    lab = transferring()
    caller, called = lab.connect()
    refer(called)
    target = lab.carrier.calls[-1]
    target.invite.reply(180)
    answer_notifies(lab, called)
    caller.bye()
    assert target.has("CANCEL") == 1
    assert called.has("BYE") == 1
    assert lab.ended == "caller/hung_up 200"
    answer_notifies(lab, called)
    lab.settle()


def test_a_second_refer_and_an_offer_meanwhile_wait() -> None:
    lab = transferring()
    caller, called = lab.connect()
    refer(called)
    assert refer(caller).status == 491
    offer = caller.offer(sdp(CARRIER[0], 40002, version=2))
    assert offer.status == 491
    answer_notifies(lab, called)
    done(lab)


def test_a_target_s_description_that_cannot_be_used() -> None:
    lab = transferring()
    lab.decide = lambda request: structs.replace(routed(request), record=True)
    _, called = lab.connect()
    lab.media.finish()
    refer(called)
    target = lab.carrier.calls[-1]
    target.invite.reply(200, sdp(CARRIER[0], formats="18"))
    assert target.has("BYE") == 1
    assert fragments(called)[-1] == "SIP/2.0 488 Not Acceptable Here"
    answer_notifies(lab, called)
    done(lab)


# --- attended (RFC 5589 §7, RFC 3891) ---


def replaces(side: Side, flags: str = "") -> str:
    """The dialog as its other end knows it."""
    return f"{side.call_id};to-tag={side.remote_tag};from-tag={side.tag}{flags}"


def consulted(lab: Lab) -> tuple[Side, Side, Side, Side]:
    """The subscriber has one caller on the line, and has called somebody else: caller, both ends, target."""
    caller, called = lab.connect()
    ask = lab.phone.invite(TARGET, caller=NUMBER)
    target = lab.carrier.calls[-1]
    target.invite.reply(200, sdp(CARRIER[0], 60000))
    ask.ack()
    return caller, called, ask.side, target


@pytest.mark.parametrize("consulted_first", [False, True], ids=["blind", "attended"])
def test_who_is_put_through_to_an_emergency_number_is_recorded_no_longer(consulted_first: bool) -> None:
    lab = transferring()
    help_number = TARGET if consulted_first else "110"

    def decide(request: ScreeningRequest) -> Decision:
        protected = request.called == help_number
        return structs.replace(routed(request), record=not protected, protected=protected)

    lab.decide = decide
    if consulted_first:
        caller, called, second, target = consulted(lab)
        escaped = replaces(second).replace(";", "%3B").replace("=", "%3D")
        lab.media.finish()
        refer(called, f"<sip:{TARGET}@example.org?Replaces={escaped}>")
        target.last("INVITE").reply(200, sdp(CARRIER[0], 60000, version=2))
    else:
        caller, called = lab.connect()
        lab.media.finish()
        refer(called, "<sip:110@example.org>")
        lab.carrier.calls[-1].invite.reply(200, sdp(CARRIER[0], 60000))
    captures = lab.media.count(StartCapture)
    caller.last("INVITE").reply(200, sdp(CARRIER[0], 40000, version=2))
    answer_notifies(lab, called)
    lab.media.finish()
    assert lab.stages[-1] == "connected"
    assert lab.media.count(StartCapture) == captures == lab.media.count(StopCapture) == 1
    assert lab.media.playing() == []
    done(lab)


@pytest.mark.parametrize("record", [False, True], ids=["direct", "anchored"])
def test_an_attended_transfer_joins_who_is_there(record: bool) -> None:
    lab = transferring()
    lab.decide = lambda request: structs.replace(routed(request), record=record)
    caller, called, second, target = consulted(lab)
    lab.media.finish()
    calls = len(lab.carrier.calls)
    escaped = replaces(second).replace(";", "%3B").replace("=", "%3D")
    assert refer(called, f"<sip:{TARGET}@example.org?Replaces={escaped}>").status == 202
    assert len(lab.carrier.calls) == calls  # nobody is called anew
    asked = target.last("INVITE")
    asked.reply(200, sdp(CARRIER[0], 60000, version=2))
    assert fragments(called)[-1] == "SIP/2.0 200 OK"
    assert called.has("BYE") == second.has("BYE") == 1
    caller.last("INVITE").reply(200, sdp(CARRIER[0], 40000, version=2))
    answer_notifies(lab, called)
    lab.media.finish()
    assert [str(event.outcome) for event in lab.of(CallEnded)] == ["callee/transferred"]
    target.bye()
    assert caller.has("BYE") == 1
    assert [str(event.outcome) for event in lab.of(CallEnded)][1:] == ["callee/hung_up"]
    lab.settle()


def test_a_dialog_that_is_not_ours_goes_on_to_its_owner() -> None:
    lab = transferring()
    _, called = lab.connect()
    refer(called, f"<sip:{TARGET}@example.org?Replaces=elsewhere%3Bto-tag%3D1%3Bfrom-tag%3D2>")
    request = lab.carrier.calls[-1].invite.request
    assert request.get("Replaces") == "elsewhere;to-tag=1;from-tag=2"
    assert request.requires == ("replaces",)
    answer_notifies(lab, called)
    done(lab)


def test_a_dialog_of_another_trunk_is_not_taken_over() -> None:
    """Who may transfer on one trunk has no say over a call on another, though he knows its dialog."""
    lab = transferring()
    _, called, _, target = consulted(lab)
    escaped = replaces(target).replace(";", "%3B").replace("=", "%3D")
    refer(called, f"<sip:{TARGET}@example.org?Replaces={escaped}>")
    assert lab.asked[-1].called == TARGET  # it is a call like any other
    assert lab.carrier.calls[-1].invite.request.get("Replaces") == replaces(target)
    assert target.has("BYE") == 0
    answer_notifies(lab, called)
    done(lab)


def test_an_attended_transfer_of_a_target_that_has_refused() -> None:
    lab = transferring()
    caller, called, second, target = consulted(lab)
    escaped = replaces(second).replace(";", "%3B").replace("=", "%3D")
    refer(called, f"<sip:{TARGET}@example.org?Replaces={escaped}>")
    target.last("INVITE").reply(488)
    assert target.has("BYE") == 1
    assert caller.has("BYE") == called.has("BYE") == 0
    assert fragments(called)[-1].startswith("SIP/2.0 488")
    answer_notifies(lab, called)
    done(lab)


# --- INVITE with Replaces ---


def newcomer(lab: Lab, value: str, body: bytes | None = None) -> Ask:
    return lab.phone.invite("1001", body, [("Replaces", value), ("Require", "replaces")], caller="1002")


@pytest.mark.parametrize("record", [False, True], ids=["direct", "anchored"])
def test_a_newcomer_takes_the_place_of_a_leg_of_its_trunk(record: bool) -> None:
    lab = transferring()
    lab.decide = lambda request: structs.replace(routed(request), record=record)
    caller, called = lab.connect()
    lab.media.finish()
    ask = newcomer(lab, replaces(called), sdp(ACCESS[0], 51000))
    told = caller.last("INVITE")
    if not record:
        assert without_origin(told.request.body) == without_origin(sdp(ACCESS[0], 51000))
        assert ask.statuses == [100]
    told.reply(200, sdp(CARRIER[0], 40000, version=2))
    assert ask.statuses == [100, 200]
    ask.ack()
    assert called.has("BYE") == 1
    if record:
        assert lab.media.remotes()["callee"].port == 51000
    ask.side.bye()
    assert caller.has("BYE") == 1
    assert lab.ended == "callee/hung_up 200"
    lab.settle()


@pytest.mark.parametrize(
    ("who", "flags", "status"),
    [("called", ";early-only", 486), ("caller", "", 481), ("nobody", "", 481), ("broken", "", 400)],
)
def test_what_cannot_be_replaced(who: str, flags: str, status: int) -> None:
    lab = transferring()
    caller, called = lab.connect()
    named = {
        "called": replaces(called, flags),
        "caller": replaces(caller),  # on another trunk
        "nobody": "x;to-tag=1;from-tag=2",
        "broken": "x",
    }
    assert newcomer(lab, named[who]).status == status
    assert lab.stages[-1] == "connected"
    done(lab)


def test_a_trunk_that_may_not_replace() -> None:
    lab = transferring("carrier")
    _, called = lab.connect()
    assert newcomer(lab, replaces(called)).status == 603
    done(lab)


@pytest.mark.parametrize("how", ["refused", "cancelled", "bye"])
def test_a_newcomer_that_does_not_get_in(how: str) -> None:
    lab = transferring()
    caller, called = lab.connect()
    ask = newcomer(lab, replaces(called))
    told = caller.last("INVITE")
    if how == "refused":
        told.reply(488)
        assert ask.statuses == [100, 488]
    elif how == "cancelled":
        told.reply(100)
        ask.cancel()
        assert ask.statuses == [100, 487]
        assert caller.has("CANCEL") == 1
    else:
        caller.bye()
        assert ask.status >= 400
        assert called.has("BYE") == 1
    done(lab)


def test_the_stages_are_told() -> None:
    lab = transferring()
    _, called = lab.connect()
    refer(called)
    lab.carrier.calls[-1].invite.reply(486)
    answer_notifies(lab, called)
    assert [event.stage for event in lab.of(CallStage)][-3:] == ["connected", "transferring", "connected"]
    done(lab)
