"""RFC 3550 A.1, A.3, A.8."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.statistics import Reception


def received(sequences: list[int]) -> Reception:
    reception = Reception(1, sequences[0], 160 * sequences[0], 0.02 * sequences[0])
    for number in sequences:
        reception.add(number, 160 * number, 0.02 * number)
    return reception


def test_nothing_lost_across_the_wrap() -> None:
    reception = received([65_534, 65_535, 0, 1])
    assert (reception.received, reception.lost, reception.highest_sequence) == (4, 0, 65_537)


def test_losses_since_the_last_report_and_in_all() -> None:
    reception = received([0, 1, 4, 5])
    assert reception.lost == 2
    assert reception.fraction_lost() == 2 * 256 // 6
    reception.add(6, 960, 0.12)
    assert reception.fraction_lost() == 0
    assert reception.lost == 2


def test_reordering_is_no_loss_and_duplicates_count_against_it() -> None:
    assert received([0, 2, 1, 3]).lost == 0
    assert received([0, 1, 1, 1]).lost == -2


def test_a_stray_packet_is_ignored_and_a_restart_believed() -> None:
    reception = received([10, 11, 30_000, 12])
    assert (reception.received, reception.lost) == (3, 0)
    reception = received([10, 11, 30_000, 30_001, 30_002])
    assert (reception.received, reception.highest_sequence, reception.lost) == (2, 30_002, 0)


def test_jitter_of_a_steady_stream_is_none() -> None:
    assert received(list(range(100))).jitter_ms < 0.2


def test_jitter_follows_the_formula() -> None:
    reception = Reception(1, 0, 0, 1.0)
    expected = 0.0
    for number in range(50):
        late = 0.01 if number % 2 else 0.0  # 80 timestamp units
        reception.add(number, 160 * number, 1.0 + 0.02 * number + late)
        if number:
            expected += (80 - expected) / 16
    assert abs(reception.jitter - expected) <= 2


@given(st.integers(0, 65_535), st.sets(st.integers(1, 199), max_size=60))
def test_lost_is_what_was_left_out(start: int, left_out: set[int]) -> None:
    sequences = [(start + n) & 0xFFFF for n in range(200) if n not in left_out or n == 199]
    assert received(sequences).lost == len(left_out - {199})
