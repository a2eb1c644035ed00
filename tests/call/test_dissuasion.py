"""A dissuasion call: the victim first, the agent on answer, capture only when the agent has given notice."""

from __future__ import annotations

import pytest

from engine.model.events import CallEnded, CallStarted, DissuasionEnded
from engine.model.media import OpenSession, RtpTimeout, StartCapture
from tests.call.kit import ACCESS, AGENT, CARRIER, LONG, NUMBER, Lab
from tests.call.media import MEDIA_HOST
from tests.call.peer import Side, sdp

NOTICE = [("Ringward-Agent", "notice-given")]


def outcome(value: str) -> list[tuple[str, str]]:
    return [("Ringward-Agent", f"outcome={value}")]


def placed(lab: Lab, **fields: object) -> Side:
    lab.place(**fields)
    return lab.phone.calls[0]


def attached(lab: Lab, **fields: object) -> tuple[Side, Side]:
    """Victim and agent, connected."""
    victim = placed(lab, **fields)
    victim.invite.reply(180)
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    agent = lab.agent.calls[0]
    agent.invite.reply(200, sdp(AGENT[0], 52000))
    return victim, agent


def dissuaded(lab: Lab) -> str:
    (event,) = lab.of(DissuasionEnded)
    return event.outcome


def test_the_whole_ladder(lab: Lab) -> None:
    victim = placed(lab)
    assert lab.ladder() == ["E→S INVITE"]
    request = victim.invite.request
    assert request.from_.uri.user == "96110"
    assert request.uri.user == "+8613900000002"
    assert MEDIA_HOST in request.body.decode()
    (answer,) = lab.answers
    assert (answer.ok, answer.call_id) == (True, lab.of(CallStarted)[0].call_id)
    victim.invite.reply(180)
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    assert lab.ladder() == ["S→E 180", "S→E 200", "E→S ACK", "E→A INVITE"]
    agent = lab.agent.calls[0]
    headers = agent.invite.request
    assert headers.get("Ringward-Case") == "case-1"
    assert headers.get("Ringward-Script") == "general"
    assert headers.get("Ringward-Language") == "en"
    agent.invite.reply(200, sdp(AGENT[0], 52000))
    assert lab.ladder() == ["A→E 200", "E→A ACK"]
    assert lab.media.routes() == {("agent", "callee"), ("callee", "agent")}
    assert lab.stages == ["routed", "ringing", "attaching", "connected"]
    assert lab.media.count(StartCapture) == 0
    info = agent.ask("INFO", headers=NOTICE)
    assert info.status == 200
    assert (lab.media.last(StartCapture).left, lab.media.last(StartCapture).right) == ("agent", "callee")
    agent.bye(outcome("dissuaded"))
    assert victim.has("BYE") == 1
    assert dissuaded(lab) == "dissuaded"
    assert lab.of(DissuasionEnded)[0].case_id == "case-1"
    assert lab.ended == "caller/hung_up 0"
    assert [type(event) for event in lab.events if isinstance(event, CallEnded | DissuasionEnded)] == [
        CallEnded,
        DissuasionEnded,
    ]


def test_notice_twice_is_one_capture(lab: Lab) -> None:
    _, agent = attached(lab)
    agent.ask("INFO", headers=NOTICE)
    agent.ask("INFO", headers=NOTICE)
    assert lab.media.count(StartCapture) == 1
    agent.bye()


def test_without_the_tenants_recording_notice_starts_nothing(lab: Lab) -> None:
    _, agent = attached(lab, record=False)
    assert agent.ask("INFO", headers=NOTICE).status == 200
    assert lab.media.count(StartCapture) == 0
    agent.bye()


@pytest.mark.parametrize("who", ["victim", "a word too many"])
def test_only_the_agent_gives_notice_and_only_so(lab: Lab, who: str) -> None:
    victim, agent = attached(lab)
    if who == "victim":
        victim.ask("INFO", headers=NOTICE)
    else:
        agent.ask("INFO", headers=[("Ringward-Agent", "notice-given;not")])
    assert lab.media.count(StartCapture) == 0
    agent.bye()


def test_the_victim_hangs_up_and_the_agent_says_how_it_went(lab: Lab) -> None:
    lab.agent.bye_headers = outcome("still_at_risk")
    victim, _ = attached(lab)
    victim.bye()
    assert dissuaded(lab) == "still_at_risk"
    assert lab.ended == "callee/hung_up 0"


def test_the_victim_cannot_name_the_outcome(lab: Lab) -> None:
    victim, _ = attached(lab)
    victim.bye(outcome("dissuaded"))
    assert dissuaded(lab) == "refused"


@pytest.mark.parametrize(
    ("status", "expected", "ended"),
    [
        (486, "busy", "callee/busy 0"),
        (603, "refused", "callee/declined 0"),
        (480, "not_reached", "callee/no_answer 0"),
        (404, "not_reached", "upstream/not_found 0"),
        (500, "not_reached", "upstream/failed 0"),
    ],
)
def test_the_victim_does_not_answer(lab: Lab, status: int, expected: str, ended: str) -> None:
    placed(lab).invite.reply(status)
    assert dissuaded(lab) == expected
    assert lab.ended == ended
    assert lab.agent.calls == []


def test_nobody_picks_up(lab: Lab) -> None:
    victim = placed(lab)
    victim.invite.reply(180)
    lab.advance(59.9)
    assert victim.has("CANCEL") == 0
    lab.advance(0.2)
    assert victim.has("CANCEL") == 1
    assert dissuaded(lab) == "not_reached"


def test_early_media_of_the_victims_network_is_nobodys_to_hear(lab: Lab) -> None:
    victim = placed(lab)
    victim.invite.reply(183, sdp(ACCESS[0], 50000))
    assert lab.media.routes() == set()
    victim.invite.reply(486)


@pytest.mark.parametrize("status", [486, 500, 0])
def test_no_agent_ends_the_call(lab: Lab, status: int) -> None:
    victim = placed(lab)
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    agent = lab.agent.calls[0]
    if status:
        agent.invite.reply(status)
    else:
        agent.invite.reply(180)
        lab.advance(5)
    assert victim.has("BYE") == 1
    assert agent.has("CANCEL") == (not status)
    assert lab.ended == "engine/failed 0"
    assert dissuaded(lab) == "not_reached"


def test_the_victim_hangs_up_before_the_agent_is_there(lab: Lab) -> None:
    victim = placed(lab)
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    lab.agent.calls[0].invite.reply(100)
    victim.bye()
    assert lab.agent.calls[0].has("CANCEL") == 1
    assert lab.ended == "callee/hung_up 0"
    assert dissuaded(lab) == "refused"


def test_the_agent_answers_after_all(lab: Lab) -> None:
    victim = placed(lab)
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    agent = lab.agent.calls[0]
    agent.invite.reply(180)
    lab.agent.takes_cancel = False
    victim.bye()
    agent.invite.reply(200, sdp(AGENT[0], 52000))
    assert len(agent.acks) == 1
    assert agent.has("BYE") == 1


def test_while_the_agent_is_called_the_victim_cannot_renegotiate(lab: Lab) -> None:
    victim = placed(lab)
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    assert victim.offer(sdp(ACCESS[0], 50002)).statuses == [100, 491]
    victim.bye()


@pytest.mark.parametrize("who", ["victim", "agent"])
def test_descriptions_that_cannot_be_used(lab: Lab, who: str) -> None:
    victim = placed(lab)
    if who == "victim":
        victim.invite.reply(200, sdp(ACCESS[0], formats="18"))
    else:
        victim.invite.reply(200, sdp(ACCESS[0], 50000))
        lab.agent.calls[0].invite.reply(200, sdp(AGENT[0], formats="18"))
        assert lab.agent.calls[0].has("BYE") == 1
    assert victim.has("BYE") == 1
    assert lab.ended.startswith("upstream/not_acceptable")


@pytest.mark.parametrize("stage", ["preparing", "routed", "ringing", "attaching", "connected"])
@pytest.mark.parametrize("how", ["worker lost", "told to end"])
def test_the_engine_ends_it_at_any_stage(lab: Lab, stage: str, how: str) -> None:
    lab.media.opens = stage != "preparing"
    lab.place()
    if stage != "preparing":
        victim = lab.phone.calls[0]
        if stage != "routed":
            victim.invite.reply(180)
        if stage in ("attaching", "connected"):
            victim.invite.reply(200, sdp(ACCESS[0], 50000))
        if stage == "connected":
            lab.agent.calls[0].invite.reply(200, sdp(AGENT[0], 52000))
    if how == "told to end":
        lab.end()
    elif stage == "preparing":
        lab.lost(lab.media.last(OpenSession).session)
    else:
        lab.media.lose()
    reason = "media_failed" if how == "worker lost" else "shutdown"
    assert lab.ended == f"engine/{reason} 0"
    lab.advance(LONG)
    assert dissuaded(lab) == "not_reached"


@pytest.mark.parametrize("stage", ["attaching", "connected"])
def test_silence_of_a_leg_ends_it(lab: Lab, stage: str) -> None:
    victim = placed(lab)
    victim.invite.reply(200, sdp(ACCESS[0], 50000))
    if stage == "connected":
        lab.agent.calls[0].invite.reply(200, sdp(AGENT[0], 52000))
    lab.do(RtpTimeout(session=lab.media.session, endpoint="callee", silent_s=45))
    assert victim.has("BYE") == 1
    assert lab.ended.split()[0].endswith("/rtp_timeout")


def test_a_draining_engine_places_no_calls(lab: Lab) -> None:
    lab.drain()
    lab.place()
    assert [(answer.ok, answer.error) for answer in lab.answers] == [(False, "draining")]
    assert lab.ladder() == []


def test_the_victim_hearing_nothing_of_other_calls(lab: Lab) -> None:
    """Two calls at once keep their sessions apart."""
    attached(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[-1].invite.reply(200, sdp(ACCESS[0], 50004))
    ask.ack()
    assert CARRIER[0] not in {remote.host for remote in lab.media.remotes().values()}
    ask.side.bye()
    lab.agent.calls[0].bye(outcome("refused"))
