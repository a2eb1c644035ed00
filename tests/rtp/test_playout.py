"""The playout buffer: one frame a tick, silence for what is missing, no growing delay."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.playout import DEPTH_SAMPLES, MOST_SAMPLES, PlayoutBuffer


def ramp(start: int, count: int = 160) -> np.ndarray:
    return (np.arange(start, start + count) % 30_000 + 1).astype(np.int16)


def drain(buffer: PlayoutBuffer) -> np.ndarray:
    frames = []
    while (frame := buffer.take()) is not None:
        frames.append(frame)
    return np.concatenate(frames) if frames else np.zeros(0, np.int16)


def test_first_packet_waits_two_frames() -> None:
    buffer = PlayoutBuffer()
    assert buffer.take() is None
    buffer.put(1, 5000, ramp(0))
    heard = drain(buffer)
    assert not heard[:DEPTH_SAMPLES].any()
    assert np.array_equal(heard[DEPTH_SAMPLES:], ramp(0))


@given(st.permutations(range(4)), st.integers(0, 0xFFFF_FFFF))
def test_order_of_arrival_does_not_matter(order: list[int], start: int) -> None:
    buffer = PlayoutBuffer()
    buffer.put(1, start, ramp(0))
    for number in order:
        at = 160 * (number + 1)
        buffer.put(1, (start + at) & 0xFFFF_FFFF, ramp(at))
    assert np.array_equal(drain(buffer)[DEPTH_SAMPLES:], ramp(0, 800))


def test_a_lost_packet_is_silence_in_its_place() -> None:
    buffer = PlayoutBuffer()
    buffer.put(1, 0, ramp(0))
    buffer.put(1, 320, ramp(320))
    heard = drain(buffer)[DEPTH_SAMPLES:]
    assert np.array_equal(heard[:160], ramp(0))
    assert not heard[160:320].any()
    assert np.array_equal(heard[320:], ramp(320))


def test_other_packet_lengths() -> None:
    buffer = PlayoutBuffer()
    for at in range(0, 960, 240):
        buffer.put(1, at, ramp(at, 240))
    assert np.array_equal(drain(buffer)[DEPTH_SAMPLES:], ramp(0, 960))


def test_late_packets_are_counted_not_played() -> None:
    buffer = PlayoutBuffer()
    for at in (0, 160, 320):
        buffer.put(1, at, ramp(at))
    for _ in range(4):
        buffer.take()
    buffer.put(1, 0, ramp(0))
    assert buffer.late == 1
    assert np.array_equal(drain(buffer), ramp(320))


def test_a_burst_does_not_become_lasting_delay() -> None:
    buffer = PlayoutBuffer()
    for number in range(40):
        buffer.put(1, 160 * number, ramp(160 * number))
    assert len(drain(buffer)) <= MOST_SAMPLES + DEPTH_SAMPLES


def test_another_ssrc_begins_anew() -> None:
    buffer = PlayoutBuffer()
    buffer.put(1, 0, ramp(0))
    buffer.put(2, 99_999, ramp(7))
    assert np.array_equal(drain(buffer)[DEPTH_SAMPLES:], ramp(7))


@given(st.lists(st.tuples(st.integers(0, 0xFFFF_FFFF), st.integers(0, 5000), st.booleans()), max_size=40))
def test_any_timestamps_give_whole_frames(packets: list[tuple[int, int, bool]]) -> None:
    buffer = PlayoutBuffer()
    for timestamp, count, tick in packets:
        buffer.put(1, timestamp, ramp(0, count))
        frame = buffer.take() if tick else None
        assert frame is None or len(frame) == 160
    assert len(drain(buffer)) < 9000


def test_a_lost_packet_is_silence_also_when_the_ring_has_gone_round() -> None:
    buffer = PlayoutBuffer()
    heard = []
    for number in range(120):
        if number != 100:
            buffer.put(1, 160 * number, ramp(160 * number))
        frame = buffer.take()
        assert frame is not None
        heard.append(frame)
    assert not heard[102].any()
    assert heard[101].all()
    assert heard[103].all()
