"""A connected side goes to somebody else: REFER (RFC 3515), with Replaces where the two have spoken already
(RFC 3891). A newcomer who asks to be put in is for `engine.call.replacing`.

The engine makes the new leg itself, so that whom it calls is screened, and nobody is sent anywhere by a URI
of a peer's. The side that stays keeps its leg, and hears of it by a new description.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import structs

from engine.call.invites import referred_invite
from engine.call.leg_events import (
    LegAnswered,
    LegEvent,
    LegHungUp,
    LegOfferAnswered,
    LegOfferRefused,
    LegReferred,
    LegRefused,
    LegRinging,
)
from engine.call.legs import Leg, OutgoingLeg
from engine.call.plan import Plan
from engine.call.references import consulted, question, referred_by
from engine.call.refusals import status_for_caller
from engine.call.table import Input, State
from engine.call.values import Decision, Hop, ScreeningRequested
from engine.model.media import StopCapture
from engine.model.screening import Action
from engine.sdp import SdpError, both_ways
from engine.sip.replaces import Replaces
from engine.sip.uri import Uri

if TYPE_CHECKING:
    from engine.call.call import Call

_NUMBERS: Final = ("sip", "sips", "tel")


@dataclass(slots=True)
class Transfer:
    """One REFER under way. `leg` is who comes for `referrer`; `remaining` stays."""

    referrer: Leg
    remaining: Leg
    trunk: str
    number: str
    uri: str
    replaces: Replaces | None
    referred_by: str
    protected: bool = False
    """It leads to an emergency or police number."""
    pairing: bool = False
    """Screening has been asked of who stays, too."""
    label: str | None = None
    """What it says of who stays."""
    leg: Leg | None = None
    hops: deque[Hop] = field(default_factory=deque)
    body: bytes = b""
    """The target's description."""
    status: int = 200
    """The last word on it, for the referrer."""


# --- what comes in ---


def refer(call: Call, leg: Leg, event: LegReferred) -> None:
    """REFER from a side: only of a trunk that may, in a call that is up, to a number.

    Calls for help are taken from anybody: who makes one sends nobody anywhere.
    """
    trunk = leg.trunk
    remaining = call.other(leg)
    uri = event.refer_to.uri
    section = call.trunks.get(trunk)
    helped = call.decision.protected and leg is call.caller
    if section is None or not section.refer or call.plan.agent or call.asked is None or helped:
        leg.refuse_refer(603)
    elif uri.scheme not in _NUMBERS or not uri.user:
        leg.refuse_refer(416)
    elif call.state is not State.CONNECTED or remaining is None or not remaining.accepted or call.busy:
        leg.refuse_refer(491)
    else:
        by = referred_by(call, leg, event.referred_by)
        call.transfer = Transfer(leg, remaining, trunk, uri.user, str(uri), event.replaces, by)
        call.feed(Input.REFERRED)


def screened(call: Call, transfer: Transfer, decision: Decision) -> None:
    """Whether the target may be called, and by which hops; then whether who stays may be put through to it.

    Nobody can be warned any more: for the target a warning is its label.
    """
    if call.state is not State.TRANSFERRING:
        return
    if decision.action is Action.REJECT:
        failed(call, 603)
    elif transfer.pairing:
        transfer.label = decision.label
        transfer.protected = transfer.protected or decision.protected
        _put_through(call, transfer)
    elif not decision.hops:
        failed(call, 404)
    else:
        transfer.hops, transfer.protected = deque(decision.hops), decision.protected
        if decision.protected or transfer.remaining.trunk == transfer.trunk:
            _invite(call, transfer)
        else:
            _ask_of_pair(call, transfer)


def on_target(call: Call, transfer: Transfer, event: LegEvent) -> None:
    """The leg to the target tells something."""
    match event:
        case LegRinging(status=status):
            transfer.referrer.refer_progress(status)
        case LegAnswered(body=body) | LegOfferAnswered(body=body):
            transfer.body = body
            noticed = call.plan.record and not transfer.protected
            call.feed(Input.TRANSFER_ANSWERED_NOTICE if noticed else Input.TRANSFER_ANSWERED)
        case LegRefused(status=status, no_response=silence):
            if transfer.hops and (silence or status == 503):
                _invite(call, transfer)
            else:
                failed(call, status_for_caller(status))
        case LegOfferRefused(status=status):
            failed(call, status_for_caller(status))
        case LegHungUp():
            failed(call, 480)
        case _:
            pass


def failed(call: Call, status: int) -> None:
    """It came to nothing: the call goes on as it was, or ends where the referrer has gone."""
    transfer = call.transfer
    if transfer is not None:
        transfer.status = status
        gone = transfer.referrer not in (call.caller, call.callee)
        call.feed(Input.TRANSFER_LOST if gone else Input.TRANSFER_FAILED)


# --- actions ---


def begin_transfer(call: Call) -> None:
    """By a leg that we have already, where Replaces names one; else whom we are to call is screened first."""
    transfer = call.transfer
    assert transfer is not None
    transfer.referrer.accept_refer()
    found = consulted(call, transfer)
    if found is None:
        call.wire.effects.append(ScreeningRequested(call.call_id, question(call, transfer, transfer.trunk)))
        return
    other, leg = found
    if other.asked is not None:  # whoever it is, whatever the referrer calls it
        transfer.number = other.asked.calling if leg is other.caller else other.asked.called
        transfer.uri = str(Uri("sip", transfer.number, call.settings.contact.host))
    transfer.protected = other.decision.protected
    _ask_of_pair(call, transfer)


def release_referrer(call: Call) -> None:
    """It has said BYE already; who remains is still to be put through."""
    assert call.transfer is not None
    call.leave(call.transfer.referrer)


def complete_transfer(call: Call) -> None:
    """The target takes the referrer's place, in the media worker too; both sides hear of each other."""
    transfer = call.transfer
    assert transfer is not None and transfer.leg is not None
    leg, remaining = transfer.leg, transfer.remaining
    leg.acknowledge()
    call.timers.cancel(call.call_id, "no_answer")
    call.transfer = None
    try:
        if call.anchor is not None:
            call.anchor.accept_answer(leg, transfer.body)
    except SdpError:
        transfer.referrer.refer_progress(488)
        _drop(call, leg)
        return
    stop_capture(call)
    if transfer.protected:  # nothing is recorded, refused or ended from here on
        call.decision, call.plan = structs.replace(call.decision, protected=True), Plan()
    transfer.referrer.refer_progress(200)
    transfer.referrer.hang_up()
    if call.asked is not None and remaining is call.caller:
        call.asked = structs.replace(call.asked, called=transfer.number)
    elif call.asked is not None:
        call.asked = structs.replace(call.asked, calling=transfer.number, display="", asserted=None)
    seat(call, leg, transfer.referrer, transfer.trunk)
    call.settling = places(remaining.heard_body)
    tell(call, remaining, leg.heard_body)


def fail_transfer(call: Call) -> None:
    transfer, call.transfer = call.transfer, None
    assert transfer is not None
    call.timers.cancel(call.call_id, "no_answer")
    transfer.referrer.refer_progress(transfer.status)
    if transfer.leg is not None:
        _drop(call, transfer.leg)


def drop_target(call: Call) -> None:
    """The call ends while the target is being called."""
    transfer, call.transfer = call.transfer, None
    if transfer is not None and transfer.leg is not None:
        transfer.referrer.refer_progress(487)
        _drop(call, transfer.leg)


# --- parts of these ---


def _ask_of_pair(call: Call, transfer: Transfer) -> None:
    """By the trunk of who stays, since screening a call by the referrer's does not look at that number.

    Who speaks with a number for help, or is to, is not asked about.
    """
    transfer.pairing = True
    if transfer.protected or call.decision.protected:
        _put_through(call, transfer)
    else:
        asked = question(call, transfer, transfer.remaining.trunk)
        call.wire.effects.append(ScreeningRequested(call.call_id, asked))


def _put_through(call: Call, transfer: Transfer) -> None:
    if transfer.hops:
        _invite(call, transfer)
        return
    found = consulted(call, transfer)
    if found is None:
        failed(call, 481)
    else:
        _take_over(call, transfer, *found)


def _take_over(call: Call, transfer: Transfer, other: Call, leg: Leg) -> None:
    transfer.leg = leg
    leg.listener = call.listener
    other.give_away(leg)
    leg.role = transfer.referrer.role
    try:
        leg.offer(_offer(call, transfer, leg))
    except SdpError:
        failed(call, 488)


def _invite(call: Call, transfer: Transfer) -> None:
    hop = transfer.hops.popleft()
    asked = call.asked
    assert asked is not None
    if transfer.leg is not None:
        _drop(call, transfer.leg)
    leg = call.outgoing(transfer.referrer.role, hop)
    transfer.leg, transfer.trunk = leg, hop.trunk
    try:
        body = _offer(call, transfer, leg)
    except SdpError:
        failed(call, 488)
        return
    calls = transfer.remaining is call.caller
    label = transfer.label or (call.decision.label if calls else None)
    section = call.trunks.get(hop.trunk)
    to_subscriber = section is not None and section.side == "access"
    if call.wire.tell_legs:
        call.tell_leg(leg)
    referred_invite(
        leg,
        asked.calling if calls else asked.called,
        transfer.number,
        hop,
        body,
        replaces=str(transfer.replaces) if transfer.replaces is not None else "",
        referred_by=transfer.referred_by,
        display=label if to_subscriber else None,
    )
    call.timers.set(call.call_id, "no_answer", call.wire.now + call.settings.no_answer_s)


def _offer(call: Call, transfer: Transfer, leg: Leg) -> bytes:
    """Who remains, described to the target: not on hold, whatever the referrer had asked of it."""
    like = transfer.remaining.heard_body
    if call.anchor is not None:
        return call.anchor.offer(leg, like=like)
    return call.passed(leg, both_ways(like))


def tell(call: Call, remaining: Leg, body: bytes) -> None:
    """Describe the new other side to who remains."""
    try:
        if call.anchor is None:
            offer = call.passed(remaining, both_ways(body))
        else:
            offer = call.anchor.offer(remaining, like=body)
    except SdpError:
        return
    call.restoring = remaining
    remaining.offer(offer, retry=True)


def places(body: bytes) -> list[bytes]:
    """Where a description wants its media."""
    return [line for line in body.split(b"\r\n") if line[:2] in (b"c=", b"m=")]


def seat(call: Call, leg: Leg, old: Leg, trunk: str) -> None:
    if old is call.caller or (old not in (call.caller, call.callee) and call.caller is None):
        call.caller = leg
    else:
        call.callee = leg
    leg.trunk = trunk
    if old not in call.former:
        call.set_aside(old)
    call.sweep()


def _drop(call: Call, leg: Leg) -> None:
    if leg.answered:
        leg.hang_up()
    elif isinstance(leg, OutgoingLeg):
        leg.cancel()
    call.set_aside(leg)


def stop_capture(call: Call) -> None:
    """Who comes has not heard that the call is recorded."""
    if call.anchor is not None and call.recording is not None:
        call.wire.media(StopCapture(session=call.anchor.session, recording=call.recording))
        call.recording = None
