"""Actions on the way to the callee: the announcement, the INVITE, ringing and early media, the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.call.invites import onward_invite, own_invite
from engine.call.refusals import outcome_of, status_for_caller
from engine.call.table import End
from engine.model.outcome import Blame

if TYPE_CHECKING:
    from engine.call.call import Call

PROGRESS_S = 60.0
"""A provisional response is repeated so often while there is no answer (RFC 3261 §13.3.1.1)."""


def announce(call: Call) -> None:
    """183 with our answer, then the announcement (RFC 3960 §2)."""
    assert call.anchor is not None and call.invite is not None
    caller = call.incoming()
    body = call.anchor.answer(caller, call.invite.body)
    caller.progress(183, body)
    call.play("caller", call.plan.announce, "announcement")


def await_hang_up(call: Call) -> None:
    call.timers.set(call.call_id, "dial_pause", call.wire.now + call.settings.dial_pause_s)


def end_announced(call: Call) -> None:
    """The caller hung up during the announcement."""
    if call.plan.reject:
        call.end(End(Blame.POLICY, "rejected", 487))
    else:
        call.end(End(Blame.CALLER, "dial_warning_heeded", 487))


def invite_callee(call: Call) -> None:
    decision = call.decision
    hop = decision.hops[0]
    invite = call.invite
    leg = call.callee = call.outgoing("callee", hop)
    if call.anchor is not None:
        body = call.anchor.offer(leg, like=invite.body if invite is not None else b"")
    else:
        assert invite is not None
        body = call.passed(leg, invite.body)
    ids = call.wire.ids
    if call.place is not None:
        call.send_invite(leg, own_invite(call.place, call.place.called_user, hop, leg.contact, ids, body))
    else:
        assert invite is not None
        call.send_invite(
            leg, onward_invite(invite, decision, hop, leg.contact, call.settings.contact, ids, body)
        )
    call.timers.set(call.call_id, "no_answer", call.wire.now + call.settings.no_answer_s)


def ring_caller(call: Call) -> None:
    caller = call.caller_waiting()
    if caller is None:
        return
    caller.progress(180)
    call.timers.set(call.call_id, "progress", call.wire.now + PROGRESS_S)
    if call.anchor is not None and call.plan.announce and not call.is_playing("ringback"):
        call.playing[call.anchor.ringback("caller")] = "ringback"


def early_media_to_caller(call: Call) -> None:
    """The callee's network speaks before the answer; a warned call's caller hears ringback instead.

    So does one who made no offer: our offer could only go into the 2xx (RFC 3261 §13.2.1).
    """
    caller = call.caller_waiting()
    if caller is None or call.plan.warn or not caller.request.body:
        ring_caller(call)
    elif call.anchor is None:
        caller.progress(183, call.passed(caller, call.body))
    elif call.callee is not None:
        call.anchor.accept_answer(call.callee, call.body)
        body = call.anchor.sent("caller") or call.answer_body(caller)
        caller.progress(183, body)
        call.stop("ringback")
        call.anchor.route(("callee", "caller"))


def end_refused(call: Call) -> None:
    refusal = call.refusal
    outcome = outcome_of(refusal.status, refusal.no_response)
    call.end(End(outcome.blame, outcome.reason, status_for_caller(refusal.status)))


def repeat_progress(call: Call) -> None:
    """The timer's: say again that the callee rings."""
    caller = call.caller_waiting()
    if caller is not None:
        caller.progress(180)
        call.timers.set(call.call_id, "progress", call.wire.now + PROGRESS_S)
