"""Offers from one side to the other (RFC 3264 §8): re-INVITE (RFC 3261 §14), UPDATE (RFC 3311), and PRACK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.call.legs import Leg
from engine.call.replacing import newcomer_answered, newcomer_refused
from engine.call.table import Input
from engine.call.transfer import places
from engine.model.events import CallStage
from engine.sdp import SdpError

if TYPE_CHECKING:
    from engine.call.call import Call


def refuse_offer(call: Call) -> None:
    if call.offer_from is not None:
        call.offer_from.refuse_offer(491)
        call.offer_from = None


def answer_early_offer(call: Call) -> None:
    """Before the answer: by ourselves where media is anchored, else from the other side by UPDATE."""
    leg, body = call.offer_from, call.offer_body
    if leg is None:
        return
    other = call.other(leg)
    try:
        if call.anchor is not None and body:
            answer = call.anchor.answer(leg, body, direction=call.anchor.answerable(body))
            call.offer_from = None
            leg.accept_offer(answer)
        elif other is not None and body and _takes_update(other):
            other.offer(call.passed(other, body), "UPDATE")
        else:
            _refuse(call, leg, 488)
    except SdpError:
        _refuse(call, leg, 488)


def _takes_update(other: Leg) -> bool:
    return not other.answered and other.can_update and not other.negotiating and not other.awaits_answer


def _refuse(call: Call, leg: Leg, status: int) -> None:
    call.offer_from = None
    leg.refuse_offer(status)


def pass_offer(call: Call) -> None:
    leg, body = call.offer_from, call.offer_body
    other = call.other(leg)
    if leg is None or other is None or not other.answered or other.negotiating:
        refuse_offer(call)
        return
    try:
        if call.anchor is None:
            other.offer(call.passed(other, body), call.offer_method)
        elif body:
            direction = call.anchor.offered_direction(body)
            other.offer(call.anchor.offer(other, like=body, direction=direction), call.offer_method)
        else:  # asked for an offer: ours, as it stands; the ACK brings the answer
            leg.accept_offer(call.anchor.offer(leg))
            call.offer_from = None
            call.late_answer, call.late_answer_to = leg, None
    except SdpError:
        _refuse(call, leg, 488)


def acknowledged(call: Call, leg: Leg, body: bytes) -> None:
    """The ACK may bring the answer to an offer that went out in our 2xx (RFC 3261 §13.2.1)."""
    target, call.late_answer = call.late_answer_to, None
    try:
        if target is not None:
            target.acknowledge(call.passed(target, body))
        elif call.anchor is not None:
            call.anchor.accept_answer(leg, body)
    except SdpError as error:
        if target is not None:
            target.acknowledge()
        call.wire.emit(CallStage(call_id=call.call_id, stage="unacceptable", detail=error.reason))
        call.feed(Input.UNACCEPTABLE)
    else:
        call.feed(Input.ANSWER_TAKEN)


def offer_answered(call: Call, leg: Leg, body: bytes) -> None:
    """The other side took an offer that we passed on: answer the side it came from."""
    if leg is call.restoring:  # both sides are back where they were
        call.restoring = None
        leg.acknowledge()
        _settle(call, leg, body)
        return
    asking, call.offer_from = call.offer_from, None
    late = call.anchor is None and not call.offer_body
    if not late:
        leg.acknowledge()
    if asking is None or asking.ended:
        if late:
            leg.decline()
        _restore(call, leg)
        return
    try:
        if call.anchor is not None:
            direction = call.anchor.accept_answer(leg, body)
            asking.accept_offer(call.anchor.answer(asking, call.offer_body, direction=direction))
            return
        owned = call.passed(asking, body)
        if asking is call.newcomer:
            newcomer_answered(call, owned)
            return
        if late:
            call.late_answer, call.late_answer_to = asking, leg
        asking.accept_offer(owned)
    except SdpError:
        if late:
            leg.decline()
        if asking is call.newcomer:
            newcomer_refused(call, 488)
        asking.refuse_offer(488)


def _settle(call: Call, leg: Leg, body: bytes) -> None:
    """`leg` has answered what we told it by ourselves: where it wants its sound elsewhere now, say so."""
    other = call.other(leg)
    try:
        if call.anchor is not None:
            call.anchor.accept_answer(leg, body)
        elif other is not None and call.settling is not None:
            moved, call.settling = call.settling != places(body), None
            if moved:
                call.restoring = other
                other.offer(call.passed(other, body), retry=True)
    except SdpError:
        return


def _restore(call: Call, leg: Leg) -> None:
    """The answer to an offer that was taken back has crossed the CANCEL: tell `leg` what is still in force.

    It holds a description that nobody keeps to: an offer that failed changes nothing (RFC 3261 §14.1).
    """
    other = call.other(leg)
    if other is None or other.ended or leg.ended or not other.heard_body:
        return
    try:
        if call.anchor is None:
            body = call.passed(leg, other.heard_body)
        else:
            direction = call.anchor.offered_direction(other.heard_body)
            body = call.anchor.offer(leg, like=other.heard_body, direction=direction)
    except SdpError:
        return
    call.restoring = leg
    leg.offer(body, retry=True)
