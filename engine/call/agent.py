"""A dissuasion call: the victim is called, and the agent, its calling leg, comes at the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.call.invites import own_invite
from engine.call.legs import OutgoingLeg
from engine.call.plan import Plan
from engine.call.values import Decision, Hop, PlaceCall
from engine.model.events import CallStarted, DissuasionEnded
from engine.model.ids import CallId
from engine.model.screening import Action

if TYPE_CHECKING:
    from engine.call.call import Call
    from engine.call.calls import Calls

AGENT_ANSWER_S = 5.0
"""The victim is on the line, and hears nothing meanwhile."""


def place(calls: Calls, call_id: CallId, asked: PlaceCall) -> None:
    """Begin one."""
    decision = Decision(
        action=Action.ALLOW,
        calling=asked.calling,
        called=asked.called,
        hops=(asked.hop,),
        language=asked.language,
        record=asked.record,
    )
    call = calls.make(call_id, decision, Plan(agent=True, record=asked.record))
    call.place = asked
    call.wire.emit(
        CallStarted(
            call_id=call_id,
            direction="dissuasion",
            trunk="",
            calling=asked.calling,
            called=asked.called,
            case_id=asked.case_id,
        )
    )
    call.start(None, wait_for_popup=False)
    if call.anchor is not None:
        calls.anchored(call, call.anchor.session)


def invite_agent(call: Call) -> None:
    assert call.anchor is not None and call.place is not None
    hop = Hop(call.settings.dissuasion_agent)
    leg = call.caller = call.outgoing("agent", hop)
    body = call.anchor.offer(leg)
    headers = [
        ("Ringward-Case", call.place.case_id),
        ("Ringward-Script", call.place.script),
        ("Ringward-Language", call.place.language),
    ]
    if call.wire.tell_legs:
        call.tell_leg(leg)
    own_invite(leg, call.place, "agent", hop, body, headers)
    call.timers.set(call.call_id, "no_answer", call.wire.now + AGENT_ANSWER_S)


def take_agent(call: Call) -> None:
    assert call.anchor is not None and isinstance(call.caller, OutgoingLeg)
    call.timers.cancel(call.call_id, "no_answer")
    call.caller.acknowledge()
    call.anchor.accept_answer(call.caller, call.body)


def tell_dissuasion(call: Call, asked: PlaceCall) -> None:
    """The call is over, and this has come of it."""
    call.wire.emit(
        DissuasionEnded(
            call_id=call.call_id,
            case_id=asked.case_id,
            outcome=_outcome(call),
            script=asked.script,
            called=asked.called,
        )
    )


def _outcome(call: Call) -> str:
    """What the agent reported, or what the call's end says (closed list of engine.dissuasion)."""
    key, _, value = call.agent_report.partition("=")
    if key == "outcome" and value:
        return value
    reason = call.outcome.reason if call.outcome is not None else ""
    if reason == "busy":
        return "busy"
    return "refused" if reason in ("declined", "hung_up") else "not_reached"
