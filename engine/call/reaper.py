"""What bounds the fate of every connected leg: silent media, a session timer, or a question of our own.

An anchored leg that must send is watched by the media worker, a leg whose session timer (RFC 4028) is short
enough by that. Of any other we ask every `audit_s` whether its dialog is still known, by OPTIONS inside it
(RFC 3261 §11.1, §12.2.1.2). A call has its outcome at the latest 64*T1 and the longer of `audit_s` and
`rtp_timeout_s` after a peer has vanished; a BYE that nobody answers takes another 64*T1.
"""

from __future__ import annotations

from enum import Enum, unique
from math import inf
from typing import TYPE_CHECKING, Final

from engine.call.capabilities import SDP_TYPE
from engine.call.leg_refusals import DIALOG_LOST
from engine.sip.message import Response
from engine.sip.timers import Timers

if TYPE_CHECKING:
    from engine.call.call import Call
    from engine.call.legs import Leg

TIMER: Final = "audit"
GIVE_UP_S: Final = Timers().patience_s
"""A request without an answer is over (RFC 3261 §17.1.2.2, timer F)."""


@unique
class Watch(Enum):
    MEDIA = "silence for the configured time"
    SESSION = "no refresh in time"
    AUDIT = "no answer to our OPTIONS"


def watch_of(*, rtp_timeout_s: float, audit_s: float, must_send: bool, session_s: float) -> Watch:
    """What notices that a leg's peer is gone; `must_send` is of an anchored leg that nobody holds.

    A session that nobody refreshes is over after `session_s`, infinite where nobody has to.
    """
    if must_send and rtp_timeout_s:
        return Watch.MEDIA
    return Watch.SESSION if session_s <= audit_s + GIVE_UP_S else Watch.AUDIT


def lost_by(response: Response | None, failure: str) -> int | None:
    """The status that says the peer is gone, if this answer to an OPTIONS does (RFC 5057 §5.1)."""
    if response is None:
        return 408
    return response.status if response.status in DIALOG_LOST else None


def begin(call: Call) -> None:
    """The callee has answered: look at the call's legs from now on."""
    if call.settings.audit_s:
        call.timers.set(call.call_id, TIMER, call.wire.now + call.settings.audit_s)


def look(call: Call) -> None:
    """The timer: ask the legs that nothing else watches."""
    begin(call)
    for leg in (call.caller, call.callee):
        if leg is not None and leg.accepted and not leg.leaving and _watch(call, leg) is Watch.AUDIT:
            _ask(leg)


def _watch(call: Call, leg: Leg) -> Watch:
    return watch_of(
        rtp_timeout_s=call.settings.rtp_timeout_s,
        audit_s=call.settings.audit_s,
        must_send=call.anchor is not None and call.anchor.must_send(leg.role),
        session_s=leg.session.over_s if leg.session is not None else inf,
    )


def _ask(leg: Leg) -> None:
    def heard(response: Response | None, failure: str) -> None:
        if response is not None and response.status < 200:
            return
        status = lost_by(response, failure)
        if status is not None and not leg.leaving:
            leg.lost(status)

    leg.send("OPTIONS", heard, [("Accept", SDP_TYPE)])
