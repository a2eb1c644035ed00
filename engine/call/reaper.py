"""What bounds the fate of every connected leg: silent media, a session timer, or a question of our own.

An anchored leg that must send is watched by the media worker, a leg with a session timer (RFC 4028) by
whoever refreshes. Of the others we ask each `audit_s` whether the dialog is still known, by OPTIONS inside it
(RFC 3261 §11.1, §12.2.1.2). So a call outlives a vanished peer by the time of its watch and 64*T1, until its
outcome is known, and by another 64*T1 for a BYE that nobody answers.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, Final

from engine.call.capabilities import SDP_TYPE
from engine.call.leg_refusals import DIALOG_LOST
from engine.call.session_timer import State as SessionState
from engine.call.table import State
from engine.sip.message import Response

if TYPE_CHECKING:
    from engine.call.call import Call
    from engine.call.legs import Leg

TIMER: Final = "audit"


@unique
class Watch(Enum):
    MEDIA = "silence for the configured time"
    SESSION = "no refresh in time"
    AUDIT = "no answer to our OPTIONS"


def watch_of(*, rtp_timeout_s: float, must_send: bool, session_timer: bool) -> Watch:
    """What notices that a leg's peer is gone; `must_send` is of an anchored leg that nobody holds."""
    if must_send and rtp_timeout_s:
        return Watch.MEDIA
    return Watch.SESSION if session_timer else Watch.AUDIT


def lost_by(response: Response | None, failure: str) -> int | None:
    """The status that says the peer is gone, if this answer to an OPTIONS does (RFC 5057 §5.1)."""
    if response is None:
        return 408
    return response.status if response.status in DIALOG_LOST else None


def begin(call: Call) -> None:
    """The call is connected, or has another leg: look at it later, unless both legs have a session timer."""
    audit_s = call.settings.audit_s
    for leg in (call.caller, call.callee):
        session = leg.session if leg is not None else None
        if audit_s and (session is None or session.state is SessionState.OFF):
            call.timers.set(call.call_id, TIMER, call.wire.now + audit_s)
            return


def look(call: Call) -> None:
    """The timer: ask the legs that nothing else watches."""
    if call.state is State.CONNECTED:
        for leg in (call.caller, call.callee):
            if leg is not None and leg.accepted and not leg.leaving and _watch(call, leg) is Watch.AUDIT:
                _ask(call, leg)
    begin(call)


def _watch(call: Call, leg: Leg) -> Watch:
    return watch_of(
        rtp_timeout_s=call.settings.rtp_timeout_s,
        must_send=call.anchor is not None and call.anchor.must_send(leg.role),
        session_timer=leg.session is not None and leg.session.state is not SessionState.OFF,
    )


def _ask(call: Call, leg: Leg) -> None:
    def heard(response: Response | None, failure: str) -> None:
        if response is not None and response.status < 200:
            return
        status = lost_by(response, failure)
        if status is not None and not leg.leaving:
            leg.lost(status)

    leg.send("OPTIONS", heard, [("Accept", SDP_TYPE)])
