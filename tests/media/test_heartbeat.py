"""A worker that hangs is noticed in bounded time; one that is slow, or an engine that stood still, is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.media.heartbeat import BEAT_S, LIMIT_S, Heartbeat, Pulse


def test_an_answer_keeps_it_steady() -> None:
    heart = Heartbeat(0.0)
    for second in range(100):
        assert heart.look(second * BEAT_S) is Pulse.BEAT
        heart.heard()


@given(st.integers(0, 50))
def test_silence_is_noticed_in_time(beats: int) -> None:
    heart, now = Heartbeat(0.0), 0.0
    for _ in range(beats):
        assert heart.look(now) is Pulse.BEAT
        heart.heard()
        now += BEAT_S
    silent_since = now
    while heart.look(now) is not Pulse.HUNG:
        now += BEAT_S
    assert LIMIT_S <= now - silent_since <= LIMIT_S + BEAT_S


def test_a_slow_answer_is_an_answer() -> None:
    heart = Heartbeat(0.0)
    for second in range(100):
        assert heart.look(second * BEAT_S) is not Pulse.HUNG
        if second % 3 == 2:
            heart.heard()


def test_who_stood_still_himself_accuses_nobody() -> None:
    heart = Heartbeat(0.0)
    assert heart.look(0.0) is Pulse.BEAT
    assert heart.look(60.0) is Pulse.BEAT
    assert heart.look(61.0) is Pulse.STEADY
    heart.heard()
    assert heart.look(62.0) is Pulse.BEAT
