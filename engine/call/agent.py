"""Actions of a dissuasion call, whose calling leg is the agent and comes when the victim has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.call.invites import own_invite
from engine.call.legs import OutgoingLeg
from engine.call.values import Hop

if TYPE_CHECKING:
    from engine.call.call import Call

AGENT_ANSWER_S = 5.0
"""The victim is on the line, and hears nothing meanwhile."""


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
    call.send_invite(leg, own_invite(call.place, "agent", hop, leg.contact, call.wire.ids, body, headers))
    call.timers.set(call.call_id, "no_answer", call.wire.now + AGENT_ANSWER_S)


def take_agent(call: Call) -> None:
    assert call.anchor is not None and isinstance(call.caller, OutgoingLeg)
    call.timers.cancel(call.call_id, "no_answer")
    call.caller.acknowledge()
    call.anchor.accept_answer(call.caller, call.body)


def dissuasion_outcome(call: Call) -> str:
    """What the agent reported, or what the call's end says (closed list of engine.dissuasion)."""
    key, _, value = call.agent_report.partition("=")
    if key == "outcome" and value:
        return value
    reason = call.outcome.reason if call.outcome is not None else ""
    if reason == "busy":
        return "busy"
    return "refused" if reason in ("declined", "hung_up") else "not_reached"
