"""From what happens to what the table knows: events of legs, media and timers become inputs of a call."""

from __future__ import annotations

from typing import Final

from engine.call import reaper
from engine.call.call import Call
from engine.call.calling import hop_silent, repeat_progress
from engine.call.leg_events import (
    LegAckMissing,
    LegAcknowledged,
    LegAnswered,
    LegCancelled,
    LegDtmf,
    LegEnded,
    LegEvent,
    LegHungUp,
    LegInfo,
    LegOfferAnswered,
    LegOfferCancelled,
    LegOffered,
    LegOfferRefused,
    LegReferred,
    LegRefused,
    LegRinging,
)
from engine.call.legs import Leg
from engine.call.offers import acknowledged, offer_answered
from engine.call.plan import PLAIN
from engine.call.refusals import status_for_caller
from engine.call.replacing import newcomer_refused, on_newcomer
from engine.call.table import TABLE, Input, State
from engine.call.transfer import failed, on_target, refer
from engine.call.troubles import MEDIA, PORTS
from engine.model.events import Alarm, CallStage
from engine.model.media import (
    AnyMediaEvent,
    DtmfReceived,
    MediaFailed,
    PlaybackFinished,
    RtpTimeout,
    SessionOpened,
    WorkerLost,
)

_HEARD: Final = (LegRinging, LegAnswered, LegRefused)
"""What a leg of ours has heard from the other end of its flow."""
_NO_PORTS, _NO_WORKER = "no_ports", "no_worker"
"""Reasons of `MediaFailed`; of a worker that is gone its port tells, once for all calls."""
ACCEPT_KEY = "1"
REFUSE_KEY = "2"


def on_leg(call: Call, leg: Leg, event: LegEvent) -> None:
    """A leg of `call` tells something."""
    refused = type(event) is LegRefused
    if (refused or call.routes.ailing) and leg.owns_call_id and isinstance(event, _HEARD):
        call.routes.told(leg.flow, event)
    calling = leg is call.caller
    if call.transfer is not None and leg is call.transfer.leg:
        on_target(call, call.transfer, event)
        call.check_ended()
        return
    if leg is call.newcomer:
        on_newcomer(call, event)
        call.check_ended()
        return
    if not calling and leg is not call.callee:  # one that was left behind: only its end is waited for
        call.sweep()
        call.check_ended()
        return
    # what every call has, told apart by a look at the type alone
    if type(event) is LegRinging:
        if not calling:
            ours = event.status == 183 or call.plan.warn or call.plan.announce
            call.body, call.ringing = event.body, 180 if ours else event.status
            call.feed(Input.CALLEE_EARLY_MEDIA if event.body else Input.CALLEE_RINGING)
    elif type(event) is LegAnswered:
        call.body = event.body
        if calling:
            call.feed(Input.CALLER_ANSWERED)
        else:
            call.feed(Input.ANSWERED_CONNECT if call.plan is PLAIN else _answered(call))
    elif type(event) is LegAcknowledged:
        if leg is call.late_answer:
            acknowledged(call, leg, event.body)
    elif type(event) is LegHungUp:
        call.reasons = event.reason
        if call.plan.agent:
            _reported(call, leg, event.report)
        if call.transfer is not None and leg is call.transfer.referrer:
            call.feed(Input.REFERRER_GONE)
        elif call.state is State.ENDING:
            call.check_ended()
        elif event.lost:
            call.feed(Input.PEER_LOST)
        else:
            call.feed(Input.CALLER_GONE if calling else Input.CALLEE_GONE)
    elif type(event) is LegEnded:
        if call.plan.agent:
            _reported(call, leg, event.report)
        call.check_ended()
    else:
        _on_rarer(call, leg, event, calling=calling)


def _on_rarer(call: Call, leg: Leg, event: LegEvent, *, calling: bool) -> None:
    """What few calls have; `calling`: of the leg that calls."""
    match event:
        case LegRefused():
            call.refusal = event
            call.feed(Input.CALLER_REFUSED if calling else _refused(call, event))
            call.check_ended()
        case LegCancelled(status, reasons):
            call.reasons = reasons
            call.feed(Input.CALLER_CANCELLED if status == 487 else Input.CALLER_FAILED)
            call.check_ended()
        case LegAckMissing():
            call.feed(Input.CALLER_ACK_MISSING if calling else Input.CALLEE_ACK_MISSING)
        case LegOffered(body, method):
            call.offer_from, call.offer_body = leg, body
            call.offer_method = "UPDATE" if method == "UPDATE" else "INVITE"
            call.feed(Input.OFFERED)
        case LegOfferAnswered(body=body):
            offer_answered(call, leg, body)
        case LegOfferCancelled():
            call.offer_from = None
            other = call.other(leg)
            if other is not None:
                other.withdraw_offer()
        case LegOfferRefused(status=status):
            if leg is call.restoring:
                call.restoring = None
            elif call.newcomer is not None and call.offer_from is call.newcomer:
                call.offer_from = None
                newcomer_refused(call, status_for_caller(status))
            elif call.offer_from is not None:
                call.offer_from.refuse_offer(status_for_caller(status))
                call.offer_from = None
        case LegDtmf(digit, duration_ms):
            _pressed(call, leg, digit, duration_ms)
        case LegReferred():
            refer(call, leg, event)
        case LegInfo(report):
            if call.plan.agent and calling and report == "notice-given":
                call.feed(Input.NOTICE_GIVEN)


def _refused(call: Call, event: LegRefused) -> Input:
    """Whether the call goes on elsewhere; from where it rings only a redirection leads on."""
    attempts, ringing = call.attempts, call.state is State.RINGING
    if call.state is State.ROUTING or ringing:
        if event.contacts and attempts.redirect(
            event.contacts, event.status, rang=ringing, trunk_at=call.wire.trunk_at
        ):
            return Input.REDIRECTED
        if not ringing and attempts.passes_on(event.status, event.no_response):
            return Input.HOP_FAILED
    return Input.CALLEE_REFUSED


def _reported(call: Call, leg: Leg, report: str) -> None:
    """The agent's word on how it went; nobody else's."""
    if leg is call.caller:
        call.agent_report = report or call.agent_report


def _answered(call: Call) -> Input:
    if call.plan.agent:
        return Input.ANSWERED_AGENT
    if call.plan.warn:
        return Input.ANSWERED_WARN
    return Input.ANSWERED_NOTICE if call.plan.record else Input.ANSWERED_CONNECT


def on_media(call: Call, event: AnyMediaEvent) -> None:
    """The media worker tells something of the call's session."""
    if call.anchor is None:  # a call of direct media has no session
        return
    match event:
        case SessionOpened(ports=ports):
            call.anchor.opened(ports)
            call.wire.troubles.passed(call.wire.now, MEDIA, PORTS)
            call.prepared("media")
        case PlaybackFinished(playback=playback):
            _played(call, call.playing.pop(playback, ""))
        case DtmfReceived(endpoint="callee", digit=digit) if call.plan.warn:
            _key(call, digit)
        case RtpTimeout():
            call.feed(Input.RTP_TIMEOUT)
        case MediaFailed():
            _media_failed(call, event)
        case WorkerLost():
            media_lost(call)
        case _:
            pass


def _pressed(call: Call, leg: Leg, digit: str, duration_ms: int) -> None:
    """A key by INFO: the warned callee's to us, else for the other side."""
    if call.plan.warn and leg is call.callee and leg.answered:
        _key(call, digit)
    other = call.other(leg)
    if call.state is State.CONNECTED and other is not None:
        other.dtmf(digit, duration_ms)


def _key(call: Call, digit: str) -> None:
    if digit == REFUSE_KEY:
        call.feed(Input.KEY_REFUSE)
    elif digit == ACCEPT_KEY:
        given = Input.KEY_ACCEPT_NOTICE if call.plan.record else Input.KEY_ACCEPT_CONNECT
        if (call.state, given) in TABLE:
            call.wire.emit(CallStage(call_id=call.call_id, stage="accepted", detail=f"key {digit}"))
        call.feed(given)


def media_lost(call: Call, detail: str = "", slug: str = MEDIA) -> None:
    """There is no sound for this call any more. Without `detail` somebody else has told of it."""
    if call.plan.reject:
        given = Input.MEDIA_FAILED_REJECT
    else:
        given = Input.MEDIA_FAILED_AGENT if call.plan.agent else Input.MEDIA_FAILED
    if detail and (call.state, given) in TABLE:
        call.wire.troubles.seen(slug, detail, call.wire.now, call.call_id)
    call.feed(given)


def _played(call: Call, name: str) -> None:
    if name == "announcement":
        call.feed(Input.ANNOUNCED_REJECT if call.plan.reject else Input.ANNOUNCED_PAUSE)
    elif name == "warning":
        call.feed(Input.WARNED)
    elif name == "notice" and not call.is_playing("notice"):
        call.feed(Input.NOTICE_PLAYED)


def _media_failed(call: Call, event: MediaFailed) -> None:
    if event.playback is None:
        told = event.reason == _NO_WORKER
        media_lost(call, "" if told else event.text, PORTS if event.reason == _NO_PORTS else MEDIA)
        return
    name = call.playing.pop(event.playback, "")
    if name:
        call.wire.emit(Alarm(slug="media_failed", detail=event.text, call_id=call.call_id))
    if name == "announcement":
        _played(call, name)
    elif name in ("warning", "notice"):
        call.feed(Input.PROMPT_FAILED)


def on_timer(call: Call, name: str) -> None:
    """One of the call's own timers has come due."""
    if name == "no_answer":
        if call.transfer is not None:
            failed(call, 408)
        else:
            call.feed(Input.NO_ANSWER)
    elif name == "key":
        call.feed(Input.KEY_TIMEOUT)
    elif name == "dial_pause":
        call.feed(Input.ANNOUNCED_ROUTE)
    elif name == "media":
        media_lost(call, "the media worker opens no session")
    elif name == "reap":
        call.reap()
    elif name == "hop":
        hop_silent(call)
    elif name == reaper.TIMER:
        reaper.look(call)
    elif name == "progress":
        repeat_progress(call)
