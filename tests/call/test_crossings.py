"""What crosses an end that is under way changes nothing: the outcome stands, the call goes as it came."""

from __future__ import annotations

import pytest

from engine.model.events import Alarm, CallEnded
from engine.model.ids import PlaybackId
from engine.model.media import (
    DtmfReceived,
    MediaEvent,
    MediaFailed,
    OpenSession,
    Play,
    PlaybackFinished,
    RtpTimeout,
    SessionOpened,
    StartCapture,
    WorkerLost,
)
from engine.model.screening import Action
from tests.call.kit import ACCESS, AGENT, CARRIER, NUMBER, Lab
from tests.call.peer import Ask, Side, sdp


def crossing(lab: Lab, event: str) -> MediaEvent:
    """Told by the media worker before it has heard that the call is over."""
    session, playback = lab.media.last(OpenSession).session, PlaybackId("")
    if lab.media.count(Play):
        playback = lab.media.last(Play).playback
    match event:
        case "played":
            return PlaybackFinished(session=session, playback=playback)
        case "not played":
            return MediaFailed(session=session, command="Play", reason="missing_prompt", playback=playback)
        case "key 1" | "key 2":
            return DtmfReceived(session=session, endpoint="callee", digit=event[-1], duration_ms=100)
        case "silence":
            return RtpTimeout(session=session, endpoint="callee", silent_s=45)
        case "failed":
            return MediaFailed(session=session, command="SetRoutes", reason="internal")
        case "opened":  # twice
            return SessionOpened(session=session, ports={})
    return WorkerLost(session=session)


EVENTS = pytest.mark.parametrize(
    "event", ["played", "not played", "key 1", "key 2", "silence", "failed", "opened", "lost"]
)


@EVENTS
def test_the_end_of_a_warned_call(lab: Lab, event: str) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_callee", record=True)
    ask, called = ringing(lab)
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    lab.phone.bye_status = None
    ask.cancel()
    unchanged(lab, event)


@EVENTS
def test_the_end_of_a_dissuasion_call(lab: Lab, event: str) -> None:
    lab.place()
    lab.phone.calls[0].invite.reply(200, sdp(ACCESS[0], 50000))
    lab.agent.calls[0].invite.reply(200, sdp(AGENT[0], 52000))
    lab.agent.bye_status = None
    lab.phone.calls[0].bye()
    unchanged(lab, event)
    lab.agent.calls[0].ask("INFO", headers=[("Ringward-Agent", "notice-given")])
    assert lab.media.count(StartCapture) == 0


def test_an_answer_in_an_ack_that_crosses_the_end(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    called.bye()
    ask.ack(sdp(CARRIER[0], 41000))
    assert len(called.acks) == 0
    assert ask.side.has("BYE") == 1


@EVENTS
def test_the_end_of_an_announced_reject(lab: Lab, event: str) -> None:
    """Its caller has not answered 608 with an ACK yet."""
    lab.verdict(action=Action.REJECT, announcement="rejected_608")
    lab.carrier.acknowledges_failures = False
    lab.carrier.invite(NUMBER)
    lab.media.finish()
    unchanged(lab, event)


@EVENTS
def test_the_end_of_a_warning_on_dial(lab: Lab, event: str) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_on_dial")
    ask = lab.phone.invite("17000000001")
    lab.media.finish()
    lab.advance(3)
    lab.carrier.takes_cancel = False
    lab.carrier.calls[0].invite.reply(180)
    ask.cancel()
    unchanged(lab, event)


@EVENTS
def test_the_end_during_the_notice(lab: Lab, event: str) -> None:
    lab.verdict(record=True)
    ask, called = ringing(lab)
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    lab.phone.bye_status = None
    ask.side.bye()
    unchanged(lab, event)


def ringing(lab: Lab) -> tuple[Ask, Side]:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    return ask, called


def unchanged(lab: Lab, event: str) -> None:
    (ended,) = lab.of(CallEnded)
    lab.ladder()
    commands = len(lab.media.commands)
    lab.do(crossing(lab, event))  # type: ignore[arg-type]
    assert lab.ladder() == []
    assert len(lab.media.commands) == commands
    assert lab.of(CallEnded) == [ended]
    assert event == "not played" or lab.of(Alarm) == []
