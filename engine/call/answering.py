"""Actions from the callee's answer on: the spoken warning, the notice, capture, and the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.call import reaper
from engine.call.attempts import NO_ATTEMPTS
from engine.call.legs import IncomingLeg
from engine.model.ids import RecordingId, TenantId
from engine.model.media import StartCapture

if TYPE_CHECKING:
    from engine.call.call import Call


def take_answer(call: Call) -> None:
    """The callee has answered: ACK at once, except where the caller's answer must go into it."""
    assert call.callee is not None
    call.attempts = NO_ATTEMPTS
    reaper.begin(call)
    if call.playing:
        call.stop("ringback")
    if call.anchor is None and call.invite is not None and not call.invite.body:
        return
    call.callee.acknowledge()
    if call.anchor is not None:
        call.anchor.accept_answer(call.callee, call.body)


def answer_caller(call: Call) -> None:
    caller = call.caller
    assert isinstance(caller, IncomingLeg)
    if call.anchor is None:
        body = call.passed(caller, call.body)
        if not caller.offered:
            call.late_answer, call.late_answer_to = caller, call.callee
    else:
        body = call.anchor.sent("caller") or call.answer_body(caller)
    call.invite = None
    caller.answer(body)
    call.answered_at = call.wire.now
    call.timers.cancel(call.call_id, "no_answer", "progress")


def warn_callee(call: Call) -> None:
    call.timers.cancel(call.call_id, "no_answer")
    call.play("callee", call.decision.announcement, "warning", call.settings.warning_repeat)


def await_key(call: Call) -> None:
    call.timers.set(call.call_id, "key", call.wire.now + call.settings.key_timeout_s)


def stop_warning(call: Call) -> None:
    call.timers.cancel(call.call_id, "key")
    call.stop("warning")


def play_notice(call: Call) -> None:
    """To both; a caller whose address is not known before its ACK could not hear it yet."""
    if call.late_answer is None:
        for role in ("caller", "callee"):
            call.play(role, "recording_notice", "notice")


def capture(call: Call) -> None:
    if call.anchor is None or not call.plan.record or call.recording is not None:
        return
    calling, called = call.decision.calling, call.decision.called
    call.recording = RecordingId(call.wire.ids.token())
    call.captures.begin(call.recording, call.call_id, call.decision)
    call.anchor.capture(
        StartCapture(
            session=call.anchor.session,
            recording=call.recording,
            tenant=TenantId(call.settings.tenant),
            call_id=call.call_id,
            left=call.calling_role,
            right="callee",
            number_ids=(calling.id, called.id),
        )
    )


def connect(call: Call) -> None:
    if call.answered_at is None:
        call.answered_at = call.wire.now
    if call.anchor is not None:
        calling = call.calling_role
        call.anchor.route((calling, "callee"), ("callee", calling))
