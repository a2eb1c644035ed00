"""Channels of a recording share one clock; jitter leaves no trace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.alignment import CaptureClock


def test_first_packet_lies_where_it_was_spoken() -> None:
    clock = CaptureClock(100.0)
    assert clock.place(1, 777, 160, 101.0) == 8000 - 160


def test_a_packet_at_once_was_spoken_before_the_start() -> None:
    clock = CaptureClock(100.0)
    assert clock.place(1, 777, 160, 100.0) == -160
    assert clock.place(1, 937, 160, 100.02) == 0


def test_a_delayed_first_packet_moves_nothing_later() -> None:
    clock = CaptureClock(0.0)
    first = clock.place(1, 0, 160, 1.05)
    assert clock.place(1, 160, 160, 1.02) == first + 160


@given(st.lists(st.floats(0, 0.1), min_size=2, max_size=50), st.integers(0, 0xFFFF_FFFF))
def test_jitter_leaves_no_trace(delays: list[float], timestamp: int) -> None:
    clock = CaptureClock(0.0)
    delays[0] = 0.0
    positions = [
        clock.place(1, (timestamp + 160 * n) & 0xFFFF_FFFF, 160, 1.0 + 0.02 * n + delay)
        for n, delay in enumerate(delays)
    ]
    assert positions == [positions[0] + 160 * n for n in range(len(delays))]


def test_order_does_not_matter() -> None:
    clock = CaptureClock(0.0)
    first = clock.place(1, 0, 160, 1.0)
    assert clock.place(1, 320, 160, 1.04) == first + 320
    assert clock.place(1, 160, 160, 1.05) == first + 160


def test_another_ssrc_is_anchored_anew() -> None:
    clock = CaptureClock(0.0)
    clock.place(1, 0, 160, 1.0)
    assert clock.place(2, 123_456, 160, 3.0) == 3 * 8000 - 160


def test_a_pause_with_a_stopped_sender_clock_is_a_pause_in_the_recording() -> None:
    clock = CaptureClock(0.0)
    clock.place(1, 0, 160, 1.0)
    assert clock.place(1, 160, 160, 5.0) == 5 * 8000 - 160


def test_a_fast_sender_is_held_to_the_clock() -> None:
    clock = CaptureClock(0.0)
    now = 1.0
    for n in range(10_000):  # 2 % fast
        position = clock.place(1, 160 * n, 160, now)
        assert position <= clock.now(now) + 320
        now += 0.0196
