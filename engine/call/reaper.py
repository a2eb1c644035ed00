"""What bounds the fate of every connected leg: silent media, a session timer, or a question of our own.

An anchored leg that must send is watched by the media worker, a leg whose session timer (RFC 4028) is short
enough by that. Of any other we ask every `audit_s` whether its dialog is still known, by OPTIONS inside it
(RFC 3261 §11.1, §12.2.1.2), of a call to or from an emergency number every `SELDOM_S` at most. A call has its
outcome at the latest 64*T1 and the longer of this and `rtp_timeout_s` after a peer has vanished; a BYE that
nobody answers takes another 64*T1.

An OPTIONS that the transport could not send, on a connection that was closed, say, tells of the transport: it
is as good as a 503 (§8.1.3.1), which ends no dialog. Only when the next one fails too is the peer lost, so
that the bound is two audits and 64*T1 then.
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
SELDOM_S: Final = 300.0
"""Calls to and from emergency numbers are asked about no oftener."""


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


def begin(call: Call) -> None:
    """The callee has answered: look at the call's legs from now on."""
    if call.settings.audit_s:
        call.audit_every_s = _every_s(call)
        call.timers.set(call.call_id, TIMER, call.wire.now + call.audit_every_s)


def look(call: Call) -> None:
    """The timer: ask the legs that nothing else watches, unless it was set before the call was for help."""
    early = call.audit_every_s < _every_s(call)
    begin(call)
    if early:
        return
    for leg in (call.caller, call.callee):
        if leg is not None and leg.accepted and not leg.leaving and _watch(call, leg) is Watch.AUDIT:
            _ask(call, leg)


def _every_s(call: Call) -> float:
    """How often it is asked about: a peer that answers no OPTIONS inside a call may well be talking."""
    protected = call.decision.protected or (call.newcomer is not None and call.newcomer_protected)
    return max(call.settings.audit_s, SELDOM_S) if protected else call.settings.audit_s


def _watch(call: Call, leg: Leg) -> Watch:
    return watch_of(
        rtp_timeout_s=call.settings.rtp_timeout_s,
        audit_s=call.audit_every_s,
        must_send=call.anchor is not None and call.anchor.must_send(leg.role),
        session_s=leg.session.over_s if leg.session is not None else inf,
    )


def _ask(call: Call, leg: Leg) -> None:
    asked_every_s = call.audit_every_s

    def heard(response: Response | None, failure: str) -> None:
        if response is not None and response.status < 200:
            return
        before, leg.unreached = leg.unreached, response is None and failure == "transport"
        if leg.leaving or asked_every_s < _every_s(call) or (leg.unreached and not before):
            return
        status = 408 if response is None else response.status
        if status in DIALOG_LOST:  # RFC 5057 §5.1
            leg.lost(status)

    leg.send("OPTIONS", heard, [("Accept", SDP_TYPE)])
