"""Offers in an established call: re-INVITE from one side to the other (RFC 3264 §8, RFC 3261 §14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.call.legs import Leg
from engine.call.table import Input
from engine.model.events import CallStage
from engine.sdp import SdpError

if TYPE_CHECKING:
    from engine.call.call import Call


def refuse_offer(call: Call) -> None:
    if call.offer_from is not None:
        call.offer_from.refuse_offer(491)
        call.offer_from = None


def pass_offer(call: Call) -> None:
    leg, body = call.offer_from, call.offer_body
    other = call.other(leg)
    if leg is None or other is None or not other.answered or other.negotiating:
        refuse_offer(call)
        return
    try:
        if call.anchor is None:
            other.offer(call.passed(other, body))
        elif body:
            direction = call.anchor.offered_direction(body)
            other.offer(call.anchor.offer(other, like=body, direction=direction))
        else:  # asked for an offer: ours, as it stands; the ACK brings the answer
            leg.accept_offer(call.anchor.offer(leg))
            call.offer_from = None
            call.late_answer, call.late_answer_to = leg, None
    except SdpError:
        leg.refuse_offer(488)
        call.offer_from = None


def acknowledged(call: Call, leg: Leg, body: bytes) -> None:
    """The ACK may bring the answer to an offer that went out in our 2xx (RFC 3261 §13.2.1)."""
    if leg is not call.late_answer:
        return
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
    """The other side took a re-INVITE that we passed on: answer the side it came from."""
    asking, call.offer_from = call.offer_from, None
    late = call.anchor is None and not call.offer_body
    if not late:
        leg.acknowledge()
    if asking is None or asking.ended:
        if late:
            leg.decline()
        return
    try:
        if call.anchor is not None:
            direction = call.anchor.accept_answer(leg, body)
            asking.accept_offer(call.anchor.answer(asking, call.offer_body, direction=direction))
            return
        owned = call.passed(asking, body)
        if late:
            call.late_answer, call.late_answer_to = asking, leg
        asking.accept_offer(owned)
    except SdpError:
        if late:
            leg.decline()
        asking.refuse_offer(488)
