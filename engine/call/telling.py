"""The events of a call that has no `Call` object, or not yet one."""

from __future__ import annotations

from engine.call.values import Decision, EventRaised, ScreeningRequest
from engine.call.wire import Wire
from engine.model.events import CallEnded, CallScreened, CallStarted
from engine.model.ids import CallId
from engine.model.outcome import Outcome
from engine.model.trunk_sections import TrunkSection


def tell_screened(
    wire: Wire,
    call_id: CallId,
    trunk: TrunkSection,
    asked: ScreeningRequest,
    decision: Decision,
    sip_call_id: str,
) -> None:
    """A call has come, and this is the verdict on it."""
    started = CallStarted(
        call_id=call_id,
        direction="outbound" if trunk.side == "access" else "inbound",
        trunk=asked.trunk,
        calling=decision.calling,
        called=decision.called,
        display=asked.display,
        sip_call_id=sip_call_id,
    )
    screened = CallScreened(
        call_id=call_id,
        action=decision.action._value_,
        rule=decision.rule,
        reason=decision.reason,
        level=decision.level,
        policy_version=decision.policy_version,
        table_version=decision.table_version,
        label=decision.label or "",
        shadow_action=decision.shadow_action,
        appeal_code=decision.appeal_code,
    )
    wire.effects += (EventRaised(started), EventRaised(screened))


def tell_refused(wire: Wire, call_id: CallId, status: int, outcome: Outcome) -> None:
    """A call has ended before any dialog of it existed."""
    wire.emit(CallEnded(call_id=call_id, outcome=outcome, status=status))
