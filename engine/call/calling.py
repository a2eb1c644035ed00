"""Actions on the way to the callee: the announcement, the INVITE, ringing and early media, the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from engine.call.attempts import Attempts, Target
from engine.call.invites import onward_invite, own_invite
from engine.call.legs import IncomingLeg, OutgoingLeg
from engine.call.plan import Plan
from engine.call.refusals import final_for_caller, outcome_of
from engine.call.table import End, Input, State
from engine.call.transfer import screened
from engine.call.values import Decision, EventRaised, Hop, ScreeningRequest, ScreeningRequested
from engine.model.events import CallStage
from engine.model.outcome import Blame
from engine.model.screening import Action

if TYPE_CHECKING:
    from engine.call.call import Call

_ROUTED: Final = State.ROUTING.value
PROGRESS_S = 60.0
"""A provisional response is repeated so often while there is no answer (RFC 3261 §13.3.1.1)."""


def announce(call: Call) -> None:
    """183 with our answer, then the announcement (RFC 3960 §2)."""
    assert call.anchor is not None and call.invite is not None
    caller = call.caller
    assert isinstance(caller, IncomingLeg)
    body = call.anchor.answer(caller, call.invite.body)
    caller.progress(183, body)
    call.play("caller", call.plan.announce, "announcement")


def await_hang_up(call: Call) -> None:
    call.timers.set(call.call_id, "dial_pause", call.wire.now + call.settings.dial_pause_s)


def end_announced(call: Call) -> None:
    """The caller hung up during the announcement."""
    if call.plan.reject:
        call.finish(End(Blame.POLICY, "rejected", 487))
    else:
        call.finish(End(Blame.CALLER, "dial_warning_heeded", 487))


def invite_callee(call: Call) -> None:
    """By the first of the decision's hops."""
    if call.place is not None:
        dialled = call.place.called_user
    else:
        assert call.invite is not None
        dialled = call.invite.uri.user or ""
    redirects = call.settings.redirects if call.place is None else 0
    settings = call.settings
    call.attempts = Attempts([*call.decision.hops], dialled, settings.contact, settings.own, redirects)
    invite_next(call)


def invite_next(call: Call) -> None:
    """By the next hop; what a redirection asks for is screened first, as a call to that number."""
    if call.callee is not None:
        _let_go(call)
    hop = call.attempts.take()
    if not isinstance(hop, Hop):
        if call.asked is not None:
            call.target = hop
            call.wire.effects.append(ScreeningRequested(call.call_id, _redirected(call, call.asked, hop)))
        return
    invite = call.invite
    call.wire.effects.append(EventRaised(CallStage(call_id=call.call_id, stage=_ROUTED, detail=hop.trunk)))
    leg = call.callee = call.outgoing("callee", hop)
    if call.anchor is not None:
        body = call.anchor.offer(leg, like=invite.body if invite is not None else b"")
    else:
        assert invite is not None
        body = call.passed(leg, invite.body)
    if call.wire.tell_legs:
        call.tell_leg(leg)
    if call.place is not None:
        own_invite(leg, call.place, call.place.called_user, hop, body)
    else:
        assert invite is not None
        onward_invite(leg, invite, call.decision, hop, body, call.attempts.diverted)
    now = call.wire.now
    call.timers.set(call.call_id, "no_answer", now + call.settings.no_answer_s)
    if call.attempts.waiting:
        call.timers.set(call.call_id, "hop", now + call.settings.failover_s)


def leave_hop(call: Call) -> None:
    """It may still answer: then the leg says BYE by itself."""
    _let_go(call)


def _let_go(call: Call) -> None:
    leg, call.callee = call.callee, None
    if isinstance(leg, OutgoingLeg):
        leg.cancel()
        call.set_aside(leg)


def _redirected(call: Call, asked: ScreeningRequest, target: Target) -> ScreeningRequest:
    """A subscriber's phone that forwards is a subscriber who calls; else the call stays what it was."""
    hop = call.attempts.hop
    trunk = call.trunks.get(hop.trunk) if hop is not None else None
    return replace(
        asked,
        trunk=hop.trunk if hop is not None and trunk is not None and trunk.side == "access" else asked.trunk,
        called=target.number,
        request_uri=str(target.uri),
        diversion=(asked.called, *asked.diversion),
    )


def target_screened(call: Call, decision: Decision) -> None:
    """What screening says to the target of a redirection; it asks for no warning of its own."""
    if call.transfer is not None:
        screened(call, call.transfer, decision)
        return
    target, call.target = call.target, None
    if target is None or call.state is not State.ROUTING:
        return
    blocked = decision.action is Action.REJECT
    if not blocked and call.attempts.screened(target, decision.hops, protected=decision.protected):
        if decision.protected:  # neither warned nor recorded from here on
            call.decision, call.plan = replace(call.decision, protected=True), Plan()
        call.feed(Input.TARGET_ALLOWED)
    else:
        call.feed(Input.HOP_FAILED if call.attempts.waiting else Input.CALLEE_REFUSED)


def hop_silent(call: Call) -> None:
    """The timer's: leave a hop that has said nothing for the next one."""
    leg = call.callee
    waits = call.state is State.ROUTING and isinstance(leg, OutgoingLeg) and not leg.heard
    if waits and call.attempts.waiting:
        call.feed(Input.HOP_SILENT)


def ring_caller(call: Call) -> None:
    caller = call.caller
    if not isinstance(caller, IncomingLeg) or caller.answered or caller.ended:
        return
    caller.progress(call.ringing)
    call.timers.set(call.call_id, "progress", call.wire.now + PROGRESS_S)
    if call.anchor is not None and call.plan.announce and not call.is_playing("ringback"):
        call.playing[call.anchor.ringback("caller")] = "ringback"


def early_media_to_caller(call: Call) -> None:
    """The callee's network speaks before the answer; a warned call's caller hears ringback instead.

    So does one who made no offer: our offer could only go into the 2xx (RFC 3261 §13.2.1).
    """
    caller = call.caller_waiting()
    if caller is None or call.plan.warn or not caller.offered:
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
    """The caller hears what the callee has said, as far as that is true of the caller's own leg."""
    refusal = call.refusal
    outcome = outcome_of(refusal.status, refusal.no_response)
    final = final_for_caller(refusal)
    call.finish(End(outcome.blame, outcome.reason, final.status), final)


def repeat_progress(call: Call) -> None:
    """The timer's: say again that the callee rings."""
    caller = call.caller_waiting()
    if caller is not None:
        caller.progress(call.ringing)
        call.timers.set(call.call_id, "progress", call.wire.now + PROGRESS_S)
