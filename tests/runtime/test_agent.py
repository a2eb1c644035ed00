"""The dissuasion agent on real sockets: it holds the dialogue of a script with whoever an engine connects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from engine.app.paths import dialplans_folder
from engine.call.leg_events import (
    LegAnswered,
    LegEnded,
    LegHungUp,
    LegInfo,
    LegOfferAnswered,
    LegOfferRefused,
    LegRefused,
)
from engine.dissuasion.script import load as load_script
from engine.model.address import Address
from engine.runtime.agent import DissuasionAgent
from engine.sdp import Direction, audio_target, parse
from engine.warning.announcements import load as load_catalogue
from tests.runtime.net import Caller, host, prompt

pytestmark = pytest.mark.wire

HEADERS = [("Ringward-Script", "general"), ("Ringward-Language", "en")]


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


@pytest.fixture
async def agent(caller: Caller, tmp_path: Path) -> AsyncIterator[DissuasionAgent]:
    """The general script with prompts of three frames."""
    sound = prompt(tmp_path / "prompt.flac")
    slugs = load_catalogue(dialplans_folder() / "announcements.toml").announcements
    script = load_script(dialplans_folder() / "dissuasion" / "general.toml", slugs)
    agent = DissuasionAgent(
        Address(host(), 0),
        {"general": script},
        lambda slug, language: sound,
        frozenset({caller.user_agent.address.host}),
    )
    yield agent
    agent.close()


async def connected(caller: Caller, agent: DissuasionAgent) -> None:
    caller.call(agent.user_agent.address, HEADERS)
    await caller.told(LegAnswered)


async def test_it_gives_notice_and_ends_with_the_outcome(caller: Caller, agent: DissuasionAgent) -> None:
    await connected(caller, agent)
    assert (await caller.told(LegInfo)).report == "notice-given"
    caller.rtp.press("1")
    caller.rtp.press("2")
    assert (await caller.told(LegHungUp)).report == "outcome=already_safe"
    assert caller.rtp.packets_heard > 0


async def test_who_hangs_up_is_told_the_outcome(caller: Caller, agent: DissuasionAgent) -> None:
    await connected(caller, agent)
    await caller.told(LegInfo)
    caller.hang_up()
    assert (await caller.told(LegEnded)).report == "outcome=refused"
    assert agent.calls == 0


async def test_hold_and_resume(caller: Caller, agent: DissuasionAgent) -> None:
    await connected(caller, agent)
    leg = caller.leg
    assert leg is not None
    for direction, answered in (
        (Direction.SENDONLY, Direction.RECVONLY),
        (Direction.SENDRECV, Direction.SENDRECV),
    ):
        body = caller.offer(leg, direction)
        caller.user_agent.act(partial(leg.offer, body))
        target = audio_target(parse((await caller.told(LegOfferAnswered)).body))
        assert target is not None and target.direction is answered
        caller.user_agent.act(leg.acknowledge)
    caller.hang_up()
    await caller.told(LegEnded)


async def test_an_offer_without_a_codec_of_its_own_is_refused(caller: Caller, agent: DissuasionAgent) -> None:
    await connected(caller, agent)
    leg = caller.leg
    assert leg is not None
    body = caller.offer(leg).replace(b" 8 101", b" 18").replace(b"8 PCMA", b"18 G729")
    caller.user_agent.act(lambda: leg.offer(body))
    assert (await caller.told(LegOfferRefused)).status == 488
    caller.hang_up()
    await caller.told(LegEnded)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([("Ringward-Script", "nothing")], None),
        ([], None),
        (HEADERS, b""),
        (HEADERS, b"nonsense"),
    ],
)
async def test_calls_it_cannot_hold_are_refused(
    caller: Caller, agent: DissuasionAgent, headers: list[tuple[str, str]], body: bytes | None
) -> None:
    caller.call(agent.user_agent.address, headers, body)
    assert (await caller.told(LegRefused)).status == 486
    assert agent.calls == 0


async def test_only_engines_are_spoken_to(agent: DissuasionAgent) -> None:
    stranger = Caller()
    stranger.call(agent.user_agent.address, HEADERS)
    assert (await stranger.told(LegRefused)).status == 486
    stranger.close()


async def test_a_stopped_agent_hangs_up(caller: Caller, agent: DissuasionAgent) -> None:
    await connected(caller, agent)
    await caller.told(LegInfo)
    agent.close()
    await caller.told(LegHungUp)
    assert agent.calls == 0
