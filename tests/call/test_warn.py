"""A warned call: the callee answers, alone hears the warning, and decides with a key."""

from __future__ import annotations

import pytest

from engine.model.events import Alarm, CallEnded, RecordingClosed, RecordingStarted
from engine.model.media import OpenSession, Play, RtpTimeout, StartCapture, StopCapture
from engine.model.screening import Action
from tests.call.kit import ACCESS, CALLER, CARRIER, NUMBER, SUBSCRIBER, Lab
from tests.call.media import MEDIA_HOST
from tests.call.peer import Ask, Side, sdp

BOTH = {("caller", "callee"), ("callee", "caller")}


def warned(lab: Lab, *, record: bool = False, answers: bool = True) -> tuple[Ask, Side]:
    lab.verdict(action=Action.WARN, announcement="warn_callee", record=record)
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    if answers:
        called.invite.reply(200, sdp(ACCESS[0], 50000))
        lab.ladder()
    return ask, called


def test_the_callee_hears_it_alone_while_the_caller_hears_ringback(lab: Lab) -> None:
    ask, _ = warned(lab, answers=False)
    assert lab.ladder() == ["C→E INVITE", "E→C 100", "E→S INVITE", "S→E 180", "E→C 180"]
    lab.phone.calls[0].invite.reply(200, sdp(ACCESS[0], 50000))
    assert lab.ladder() == ["S→E 200", "E→S ACK"]
    assert lab.media.playing() == ["callee warn_callee"]
    assert lab.media.routes() == set()
    assert lab.media.remotes()["callee"].port == 50000
    assert ask.status == 180
    assert [response.body for response in ask.responses] == [b"", b""]
    ask.cancel()


def test_the_callees_offer_is_ours_in_the_callers_order_of_codecs(lab: Lab) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_callee")
    ask = lab.carrier.invite(NUMBER, sdp(CARRIER[0], formats="0 8 101"))
    body = lab.phone.calls[0].invite.request.body.decode()
    assert f"c=IN IP4 {MEDIA_HOST}" in body
    assert "RTP/AVP 0 8 101" in body
    ask.cancel()


@pytest.mark.parametrize("when", ["during", "after"])
def test_key_one_connects(lab: Lab, when: str) -> None:
    ask, called = warned(lab)
    if when == "after":
        lab.media.finish()
        lab.advance(9.9)
    lab.media.press("1")
    assert lab.media.playing() == []
    assert lab.ladder() == ["E→C 200"]
    assert f"c=IN IP4 {MEDIA_HOST}" in ask.last.body.decode()
    ask.ack()
    assert lab.media.routes() == BOTH
    assert lab.media.remotes()["caller"].host == CARRIER[0]
    assert lab.stages == ["routed", "ringing", "warning", "accepted", "connected"]
    lab.advance(60)
    called.bye()
    assert lab.ended == "callee/hung_up 200"
    assert lab.media.count(StartCapture) == 0


def test_key_two_ends_with_607(lab: Lab) -> None:
    ask, _ = warned(lab)
    lab.media.press("2")
    assert lab.ladder() == ["E→C 607", "C→E ACK", "E→S BYE", "S→E 200 (BYE)"]
    assert ask.status == 607
    assert lab.ended == "callee/warning_refused 607"


@pytest.mark.parametrize("digit", ["0", "3", "9", "*", "#", "A"])
def test_other_keys_are_ignored(lab: Lab, digit: str) -> None:
    ask, _ = warned(lab)
    lab.media.press(digit)
    lab.media.press("1", "caller")
    assert lab.ladder() == []
    assert lab.media.playing() == ["callee warn_callee"]
    ask.cancel()


def test_no_key_ends_ten_seconds_after_the_last_word(lab: Lab) -> None:
    ask, _ = warned(lab)
    lab.advance(30)
    assert lab.ladder() == []
    lab.media.finish()
    lab.advance(9.99)
    assert lab.ladder() == []
    lab.advance(0.02)
    assert lab.ladder() == ["E→C 480", "C→E ACK", "E→S BYE", "S→E 200 (BYE)"]
    assert ask.status == 480
    assert lab.ended == "callee/warning_unanswered 480"


def test_keys_after_the_end_and_in_the_call_mean_nothing(lab: Lab) -> None:
    ask, called = warned(lab)
    lab.media.press("1")
    ask.ack()
    lab.media.press("1")
    lab.media.press("2")
    assert lab.ladder() == ["E→C 200", "C→E ACK"]
    assert lab.stages.count("accepted") == 1
    lab.phone.bye_status = None
    ask.side.bye()
    lab.ladder()
    called.bye()
    assert lab.ladder() == ["S→E BYE", "E→S 200 (BYE)"]


def test_the_callee_hangs_up_on_the_warning(lab: Lab) -> None:
    ask, called = warned(lab)
    called.bye()
    assert lab.ladder() == ["S→E BYE", "E→S 200 (BYE)", "E→C 480", "C→E ACK"]
    assert ask.status == 480
    assert lab.ended == "callee/warning_hung_up 480"


def test_the_caller_cancels_during_the_warning(lab: Lab) -> None:
    ask, _ = warned(lab)
    ask.cancel()
    expected = ["C→E CANCEL", "E→C 200 (CANCEL)", "E→C 487", "E→S BYE", "C→E ACK", "S→E 200 (BYE)"]
    assert sorted(lab.ladder()) == sorted(expected)
    assert lab.ended == "caller/cancelled 487"


def test_a_warning_that_cannot_be_spoken_does_not_cost_the_call(lab: Lab) -> None:
    ask, _ = warned(lab)
    lab.media.miss()
    assert lab.ladder() == ["E→C 200"]
    assert lab.media.routes() == BOTH
    assert [alarm.slug for alarm in lab.of(Alarm)] == ["media_failed"]
    ask.ack()
    ask.side.bye()


@pytest.mark.parametrize("when", ["no port", "worker lost", "silent"])
def test_without_media_the_call_is_refused(lab: Lab, when: str) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_callee", record=True, label="Suspected fraud")
    lab.media.opens = False
    ask = lab.carrier.invite(NUMBER)
    opening = lab.media.last(OpenSession)
    if when == "no port":
        lab.media.fail(opening, "no_ports")
        lab.pump()
    elif when == "worker lost":
        lab.lost(opening.session)
    else:
        lab.advance(5)
    assert lab.phone.calls == []
    assert ask.status == 503
    assert lab.ended == "engine/media_failed 503"
    told = {"no port": ["media_ports_exhausted"], "worker lost": [], "silent": ["media_failed"]}
    assert [alarm.slug for alarm in lab.of(Alarm)] == told[when]  # of a lost worker its port tells
    lab.media.open()
    lab.pump()
    assert lab.media.count(StartCapture) == 0


@pytest.mark.parametrize("connected", [False, True])
def test_a_lost_worker_ends_the_call(lab: Lab, connected: bool) -> None:
    ask, called = warned(lab)
    if connected:
        lab.media.press("1")
        ask.ack()
    lab.media.lose()
    assert lab.ended == f"engine/media_failed {200 if connected else 503}"
    assert called.has("BYE") == 1
    assert ask.side.has("BYE") == connected


def test_a_callee_that_sends_nothing_is_given_up(lab: Lab) -> None:
    ask, _ = warned(lab)
    lab.do(RtpTimeout(session=lab.media.session, endpoint="callee", silent_s=45))
    assert ask.status == 480
    assert lab.ended == "callee/rtp_timeout 480"


def test_silence_before_the_answer_means_nothing(lab: Lab) -> None:
    ask, _ = warned(lab, answers=False)
    lab.do(RtpTimeout(session=lab.media.session, endpoint="callee", silent_s=45))
    assert ask.status == 180
    ask.cancel()


def test_early_media_of_the_callee_is_not_for_a_warned_callers_ears(lab: Lab) -> None:
    ask, called = warned(lab, answers=False)
    called.invite.reply(183, sdp(ACCESS[0], 50000))
    assert ask.status == 180
    assert all(not response.body for response in ask.responses)
    ask.cancel()


def test_re_invites_wait_while_the_warning_is_spoken(lab: Lab) -> None:
    ask, called = warned(lab)
    offer = called.offer(sdp(ACCESS[0], 50002, version=2))
    assert offer.statuses == [100, 491]
    ask.cancel()


def test_told_to_end_during_the_warning(lab: Lab) -> None:
    ask, called = warned(lab)
    lab.end()
    assert (ask.status, called.has("BYE")) == (503, 1)
    assert lab.ended == "engine/shutdown 503"


def test_an_answer_without_a_description_cannot_be_warned(lab: Lab) -> None:
    ask, called = warned(lab, answers=False)
    called.invite.reply(200)
    assert ask.status == 488
    assert called.has("BYE") == 1
    assert len(called.acks) == 1
    assert lab.ended == "upstream/not_acceptable 488"


# --- recorded ---


def test_both_hear_the_notice_before_anything_is_captured(lab: Lab) -> None:
    ask, called = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    assert lab.media.playing() == ["caller recording_notice", "callee recording_notice"]
    assert lab.media.routes() == set()
    assert lab.media.count(StartCapture) == 0
    lab.media.finish()
    assert lab.stages == ["routed", "ringing", "warning", "accepted", "notice", "connected"]
    capture = lab.media.last(StartCapture)
    assert (capture.left, capture.right) == ("caller", "callee")
    assert capture.number_ids == (CALLER.id, SUBSCRIBER.id)
    assert not capture.with_prompts
    assert lab.media.routes() == BOTH
    called.bye()
    assert lab.media.count(StopCapture) == 1
    (started,), (closed,) = lab.of(RecordingStarted), lab.of(RecordingClosed)
    assert started.recording_id == closed.recording_id == capture.recording
    assert started.path == closed.path
    assert (started.left, started.right) == (CALLER, SUBSCRIBER)
    assert not closed.interrupted


def test_one_that_has_not_heard_it_yet_is_waited_for(lab: Lab) -> None:
    ask, _ = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    lab.media.finish(1)
    assert lab.media.count(StartCapture) == 0
    lab.media.finish(1)
    assert lab.media.count(StartCapture) == 1
    ask.side.bye()


@pytest.mark.parametrize("missed", ["one", "both"])
def test_without_a_notice_there_is_no_recording(lab: Lab, missed: str) -> None:
    ask, _ = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    lab.media.miss(1 if missed == "one" else 2)
    lab.media.finish()
    assert lab.stages[-1] == "connected"
    assert lab.media.routes() == BOTH
    assert lab.media.count(StartCapture) == 0
    ask.side.bye()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_hanging_up_on_the_notice(lab: Lab, who: str) -> None:
    ask, called = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    (called if who == "callee" else ask.side).bye()
    assert lab.ended == f"{who}/hung_up 200"
    assert lab.media.count(StartCapture) == 0


def test_a_late_offer_caller_hears_the_notice_when_its_address_is_known(lab: Lab) -> None:
    lab.verdict(record=True)
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(183, sdp(ACCESS[0], 50000))
    assert ask.last.body == b""
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    assert MEDIA_HOST in ask.last.body.decode()
    assert lab.media.playing() == []
    ask.ack(sdp(CARRIER[0], 41000))
    assert lab.media.playing() == ["caller recording_notice", "callee recording_notice"]
    assert lab.media.remotes()["caller"].port == 41000
    lab.media.finish()
    assert lab.media.count(StartCapture) == 1
    ask.side.bye()


@pytest.mark.parametrize("answer", [b"", sdp(CARRIER[0], formats="18"), b"v=0\r\nnonsense"])
def test_a_late_answer_that_cannot_be_used_ends_the_call(lab: Lab, answer: bytes) -> None:
    lab.verdict(record=True)
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack(answer)
    assert (ask.side.has("BYE"), called.has("BYE")) == (1, 1)
    assert lab.ended == "upstream/not_acceptable 200"
    assert lab.media.count(Play) == 0


def test_a_full_disk_costs_the_recording_only(lab: Lab) -> None:
    ask, _ = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    lab.media.captures_fail = True
    lab.media.finish()
    assert lab.of(RecordingStarted) == []
    assert [alarm.slug for alarm in lab.of(Alarm)] == ["recording_failing"]
    assert lab.of(CallEnded) == []
    ask.side.bye()
    assert lab.of(RecordingClosed) == []


def test_a_recording_that_loses_sound_is_still_closed(lab: Lab) -> None:
    ask, _ = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    lab.media.finish()
    lab.media.fail(lab.media.last(StartCapture), "disk")
    lab.pump()
    lab.media.closes_files = False
    ask.side.bye()
    lab.media.close_files()
    assert len(lab.of(RecordingClosed)) == 1


def test_files_may_be_opened_and_closed_after_the_call(lab: Lab) -> None:
    ask, _ = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    lab.media.opens_files = lab.media.closes_files = False
    lab.media.finish()
    ask.side.bye()
    assert lab.of(RecordingStarted) == []
    lab.media.open_files()
    lab.media.close_files()
    assert [type(event) for event in lab.events[-2:]] == [RecordingStarted, RecordingClosed]


def test_a_lost_worker_leaves_a_recording_that_the_next_one_closes(lab: Lab) -> None:
    ask, _ = warned(lab, record=True)
    lab.media.press("1")
    ask.ack()
    lab.media.finish()
    lab.media.lose()
    assert lab.of(RecordingClosed) == []
    lab.media.close_files(interrupted=True)
    (closed,) = lab.of(RecordingClosed)
    assert closed.interrupted
    assert lab.ended == "engine/media_failed 200"


# --- what may happen while the notice is played, and before the answer ---


def noticed(lab: Lab) -> tuple[Ask, Side]:
    ask, called = warned(lab, record=True)
    lab.media.press("1")
    lab.ladder()
    return ask, called


def test_re_invites_wait_for_the_notice(lab: Lab) -> None:
    ask, called = noticed(lab)
    ask.ack()
    assert called.offer(sdp(ACCESS[0], 50002, version=2)).statuses == [100, 491]
    assert ask.side.offer(sdp(CARRIER[0], 40002, version=2)).statuses == [100, 491]
    ask.side.bye()


def test_no_ack_while_the_notice_is_played(lab: Lab) -> None:
    noticed(lab)
    lab.advance(33)
    assert lab.ended == "caller/ack_missing 200"


@pytest.mark.parametrize("what", ["silence", "worker lost", "told to end"])
def test_the_call_ends_while_the_notice_is_played(lab: Lab, what: str) -> None:
    ask, called = noticed(lab)
    ask.ack()
    match what:
        case "silence":
            lab.do(RtpTimeout(session=lab.media.session, endpoint="caller", silent_s=45))
        case "worker lost":
            lab.media.lose()
        case _:
            lab.end()
    assert (ask.side.has("BYE"), called.has("BYE")) == (1, 1)
    expected = {"silence": "upstream/rtp_timeout", "worker lost": "engine/media_failed"}
    assert lab.ended == f"{expected.get(what, 'engine/shutdown')} 200"
    assert lab.media.count(StartCapture) == 0


@pytest.mark.parametrize("rings", [False, True])
def test_a_worker_lost_before_the_answer(lab: Lab, rings: bool) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_callee")
    ask = lab.carrier.invite(NUMBER)
    if rings:
        lab.phone.calls[0].invite.reply(180)
    else:
        lab.phone.calls[0].invite.reply(100)
    lab.media.lose()
    assert ask.status == 503
    assert lab.phone.calls[0].has("CANCEL") == 1
    assert lab.ended == "engine/media_failed 503"


def test_an_answer_without_ringing_still_rings_the_caller(lab: Lab) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_callee")
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(200, sdp(ACCESS[0], 50000))
    assert ask.statuses == [100, 180]
    ask.cancel()
