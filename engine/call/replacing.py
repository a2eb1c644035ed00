"""A newcomer takes a side of a call that is up: INVITE with Replaces (RFC 3891 §3), let in by screening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from engine.call.leg_events import LegCancelled, LegEvent
from engine.call.legs import IncomingLeg, Leg
from engine.call.plan import Plan
from engine.call.table import Input, State
from engine.call.transfer import seat, stop_capture, tell
from engine.call.values import ScreeningRequest
from engine.sdp import SdpError

if TYPE_CHECKING:
    from engine.call.call import Call


def replace(call: Call, old: Leg, new: IncomingLeg, asked: ScreeningRequest, *, protected: bool) -> None:
    """`new` asks to take the place of `old`, a leg of this call; `asked` is what screening knows of him."""
    remaining = call.other(old)
    ready = call.state is State.CONNECTED and remaining is not None and remaining.accepted and not call.busy
    if not ready:
        new.refuse(491)
    elif not new.offered:
        new.refuse(488)  # whom it would reach is described already
    else:
        call.newcomer, call.newcomer_for, call.newcomer_asked = new, old, asked
        call.newcomer_protected = protected
        call.feed(Input.REPLACED)


def seat_newcomer(call: Call) -> None:
    """Its offer goes to who remains, or is answered by the media worker; then it is in."""
    new, old = call.newcomer, call.newcomer_for
    assert isinstance(new, IncomingLeg) and old is not None
    new.role = old.role
    remaining = call.other(old)
    assert remaining is not None
    try:
        if call.anchor is not None:
            stop_capture(call)
            newcomer_answered(call, call.anchor.answer(new, new.heard_body))
            tell(call, remaining, new.heard_body)
        else:
            body = call.passed(remaining, new.heard_body)
            call.offer_from, call.offer_body = new, new.heard_body
            remaining.offer(body)  # its answer comes to `newcomer_answered`
    except SdpError:
        newcomer_refused(call, 488)


def newcomer_answered(call: Call, body: bytes) -> None:
    new, old, came = call.newcomer, call.newcomer_for, call.newcomer_asked
    if isinstance(new, IncomingLeg) and old is not None and came is not None:
        call.newcomer = call.newcomer_for = call.newcomer_asked = None
        new.answer(body)
        old.hang_up()
        if call.newcomer_protected:  # nothing is recorded, refused or ended from here on
            call.decision, call.plan = structs.replace(call.decision, protected=True), Plan()
        _know(call, old, came)
        seat(call, new, old, came.trunk)


def newcomer_refused(call: Call, status: int) -> None:
    new = call.newcomer
    call.newcomer = call.newcomer_for = call.newcomer_asked = None
    if isinstance(new, IncomingLeg):
        new.refuse(status)
        call.set_aside(new)


def on_newcomer(call: Call, event: LegEvent) -> None:
    """It took its INVITE back before it was in."""
    if isinstance(event, LegCancelled):
        remaining = call.other(call.newcomer_for)
        call.offer_from = None
        newcomer_refused(call, 487)
        if remaining is not None:
            remaining.withdraw_offer()


def _know(call: Call, old: Leg, came: ScreeningRequest) -> None:
    """What is asked about the call from now on is asked about him."""
    assert call.asked is not None
    if old is call.caller:
        call.asked = structs.replace(
            call.asked, calling=came.calling, display=came.display, asserted=came.asserted
        )
    else:
        call.asked = structs.replace(call.asked, called=came.asserted or came.calling)
