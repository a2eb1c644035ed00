"""Prompts and tones through a real worker."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from engine.model.ids import PlaybackId
from engine.model.media import DtmfReceived, MediaFailed, PlaybackFinished, PlayTone, StopPlayback
from engine.rtp import g711
from engine.rtp.g711 import Law
from tests.media.harness import BOTH_WAYS, PCMU, SESSION, Lab, loudest_hz, play, sine, talk

pytestmark = pytest.mark.wire


async def test_the_warning_is_heard_by_one_side_only(lab: Lab) -> None:
    warning = sine(700, 0.5)
    lab.prompt("warn_callee", warning)
    caller, callee = lab.phone(), lab.phone(PCMU)
    await lab.call(caller=caller, callee=callee)
    lab.send(
        PlayTone(session=SESSION, playback=PlaybackId("tone"), endpoint="caller", tone="ringback"),
        play("warn_callee", "callee"),
    )
    talking = asyncio.create_task(caller.speak(sine(440, 0.6)))
    finished = await lab.expect(PlaybackFinished)
    await talking
    assert (finished.playback, finished.stopped) == ("p1", False)
    assert len(callee.heard) == 25
    assert b"".join(p.payload for p in callee.heard) == g711.encode(warning, Law.PCMU)
    assert loudest_hz(caller.audio()[:3200]) == pytest.approx(450, abs=3)
    await callee.press("1")
    assert (await lab.expect(DtmfReceived)).digit == "1"
    lab.send(StopPlayback(session=SESSION, playback=PlaybackId("tone")))
    stopped = await lab.expect(PlaybackFinished)
    assert (stopped.playback, stopped.stopped) == ("tone", True)


async def test_prompts_follow_each_other_with_gaps_and_again(lab: Lab) -> None:
    lab.prompt("one", sine(700, 0.1), "zh-CN")
    lab.prompt("two", sine(1200, 0.1), "zh-CN")
    a = lab.phone()
    await lab.call(a=a)
    lab.send(play("one", "a", prompts=("one", "two"), language="zh-CN", repeat=2, gap_ms=100))
    await lab.expect(PlaybackFinished)
    await lab.until(lambda: len(a.heard) == 35)
    heard = a.audio()
    for start, pitch in ((0, 700), (1600, 1200), (3200, 700), (4800, 1200)):
        assert loudest_hz(heard[start : start + 800]) == pytest.approx(pitch, abs=10)
    for start in (800, 2400, 4000):
        assert abs(heard[start : start + 800]).max() <= 8


async def test_a_prompt_is_mixed_over_what_is_routed(lab: Lab) -> None:
    lab.prompt("notice", sine(700, 0.6, peak=4000))
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(talk(("a", "b")))
    await lab.settle()
    talking = asyncio.create_task(a.speak(sine(1300, 1.0, peak=6000)))
    await lab.until(lambda: len(b.heard) > 5)
    lab.send(play("notice", "b"))
    await lab.expect(PlaybackFinished)
    await talking
    assert abs(b.audio()).max() > 9000  # both at once
    assert b.heard[-1].payload == a.sent[-1]  # and relayed as it is again
    assert len({p.ssrc for p in b.heard}) == 1


async def test_stopping_a_prompt_stops_it(lab: Lab) -> None:
    lab.prompt("long", sine(700, 5))
    a = lab.phone()
    await lab.call(a=a)
    lab.send(play("long", "a"))
    await lab.until(lambda: len(a.heard) > 3)
    lab.send(StopPlayback(session=SESSION, playback=PlaybackId("p1")))
    assert (await lab.expect(PlaybackFinished)).stopped
    await lab.until(lambda: True)
    count = len(a.heard)
    assert count < 100
    await asyncio.sleep(0.06)
    assert len(a.heard) == count


@pytest.mark.parametrize(
    ("slug", "language"),
    [("nothing_here", "en"), ("../../secret", "en"), ("warn", "../en"), ("stereo", "en")],
)
async def test_a_missing_prompt_is_told(lab: Lab, slug: str, language: str) -> None:
    lab.prompt("stereo", np.zeros((800, 2), np.int16))
    a = lab.phone()
    await lab.call(a=a)
    lab.send(play(slug, "a", language=language))
    failed = await lab.expect(MediaFailed)
    assert (failed.command, failed.reason, failed.playback) == ("Play", "missing_prompt", "p1")
    assert f"{language}/{slug}.flac" in failed.detail


async def test_an_unknown_tone_is_told(lab: Lab) -> None:
    a = lab.phone()
    await lab.call(a=a)
    lab.send(PlayTone(session=SESSION, playback=PlaybackId("p1"), endpoint="a", tone="siren"))
    assert (await lab.expect(MediaFailed)).reason == "unknown_tone"


async def test_a_relayed_leg_that_is_played_to_still_gets_keys(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, PlayTone(session=SESSION, playback=PlaybackId("t"), endpoint="b", tone="busy"))
    await lab.until(lambda: len(b.heard) > 2)
    await a.press("7", 60)
    await lab.until(lambda: any(p.payload_type == 101 for p in b.heard))
    await asyncio.sleep(0.2)
    keys = [p.payload[0] for p in b.heard if p.payload_type == 101]
    assert set(keys) == {7}
    assert len(keys) == 5
