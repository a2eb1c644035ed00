"""A subscriber who dials a risky number hears the warning in early media, before the call goes out."""

from __future__ import annotations

import pytest

from engine.model.media import PlayTone, StartCapture
from engine.model.screening import Action
from tests.call.kit import ACCESS, CARRIER, Lab
from tests.call.media import MEDIA_HOST
from tests.call.peer import Ask, sdp

RISKY = "17000000001"
BOTH = {("caller", "callee"), ("callee", "caller")}


def dialled(lab: Lab, *, record: bool = False, body: bytes | None = None) -> Ask:
    lab.verdict(action=Action.WARN, announcement="warn_on_dial", record=record)
    return lab.phone.invite(RISKY, body, caller="13900000002")


def test_the_warning_comes_first(lab: Lab) -> None:
    ask = dialled(lab)
    assert lab.ladder() == ["S→E INVITE", "E→S 100", "E→S 183"]
    assert MEDIA_HOST in ask.last.body.decode()
    assert lab.media.playing() == ["caller warn_on_dial"]
    assert lab.stages == ["announcing"]
    ask.cancel()


@pytest.mark.parametrize("when", ["during", "in the pause"])
def test_heeded(lab: Lab, when: str) -> None:
    ask = dialled(lab)
    if when == "in the pause":
        lab.media.finish()
        lab.advance(2.9)
    ask.cancel()
    assert ask.status == 487
    assert lab.carrier.calls == []
    assert lab.ended == "caller/dial_warning_heeded 487"


def test_not_heeded_the_call_goes_out_after_three_seconds(lab: Lab) -> None:
    ask = dialled(lab)
    lab.media.finish()
    lab.ladder()
    lab.advance(2.99)
    assert lab.ladder() == []
    lab.advance(0.02)
    assert lab.ladder() == ["E→C INVITE"]
    called = lab.carrier.calls[0]
    called.invite.reply(180)
    assert lab.ladder() == ["C→E 180", "E→S 180"]
    assert lab.media.playing() == ["caller ringback"]
    called.invite.reply(180)
    assert lab.media.count(PlayTone) == 1
    called.invite.reply(200, sdp(CARRIER[0], 41000))
    assert lab.media.playing() == []
    assert ask.last.body == ask.responses[1].body
    ask.ack()
    assert lab.media.routes() == BOTH
    assert lab.stages == ["announcing", "routed", "ringing", "connected"]
    ask.side.bye()
    assert lab.ended == "caller/hung_up 200"


def test_early_media_of_the_callee_replaces_the_ringback(lab: Lab) -> None:
    ask = dialled(lab)
    lab.media.finish()
    lab.advance(3)
    called = lab.carrier.calls[0]
    called.invite.reply(180)
    called.invite.reply(183, sdp(CARRIER[0], 41000))
    assert lab.media.playing() == []
    assert lab.media.routes() == {("callee", "caller")}
    assert ask.statuses == [100, 183, 180, 183]
    called.invite.reply(200, sdp(CARRIER[0], 41000))
    ask.ack()
    assert lab.media.routes() == BOTH
    called.bye()


def test_recorded_with_notice(lab: Lab) -> None:
    ask = dialled(lab, record=True)
    lab.media.finish()
    lab.advance(3)
    lab.carrier.calls[0].invite.reply(200, sdp(CARRIER[0], 41000))
    ask.ack()
    assert lab.media.playing() == ["caller recording_notice", "callee recording_notice"]
    lab.media.finish()
    assert lab.media.count(StartCapture) == 1
    ask.side.bye()


def test_a_prompt_that_is_missing_does_not_stop_the_call(lab: Lab) -> None:
    ask = dialled(lab)
    lab.media.miss()
    lab.advance(3)
    assert len(lab.carrier.calls) == 1
    ask.cancel()


def test_without_an_offer_there_is_nothing_to_speak_into(lab: Lab) -> None:
    ask = dialled(lab, body=b"")
    assert lab.stages == ["routed"]
    assert lab.media.commands == []
    ask.cancel()


def test_a_description_without_a_codec_of_ours(lab: Lab) -> None:
    ask = dialled(lab, body=sdp(ACCESS[0], formats="18"))
    assert ask.statuses == [100, 488]
    assert lab.ended == "upstream/not_acceptable 488"


def test_a_worker_lost_during_the_warning(lab: Lab) -> None:
    ask = dialled(lab)
    lab.media.lose()
    assert ask.status == 503
    assert lab.ended == "engine/media_failed 503"


def test_told_to_end_during_the_warning(lab: Lab) -> None:
    ask = dialled(lab)
    lab.end()
    assert ask.status == 503
    assert lab.ended == "engine/shutdown 503"
