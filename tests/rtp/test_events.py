"""RFC 4733: one press for one key, however its packets fare."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.events import DIGITS, LOST_END_S, EventReceiver, EventSender, Press

Wire = list[tuple[int, bytes]]
"""Timestamp and payload of each packet."""


def press(digit: str, timestamp: int, duration_ms: int = 100) -> Wire:
    sender = EventSender()
    sender.press(digit, duration_ms, pause_ms=0)
    packets = []
    while sender:
        packet = sender.next()
        assert packet is not None
        packets.append((timestamp, packet.payload))
    return packets


def hear(packets: Wire, receiver: EventReceiver | None = None) -> list[Press]:
    receiver = receiver or EventReceiver()
    return [key for timestamp, payload in packets for key in receiver.receive(timestamp, payload, 0.0)]


def test_sent_as_the_rfc_shows() -> None:
    payloads = [payload.hex() for _, payload in press("1", 0, 100)]
    assert payloads == [
        "010a00a0",
        "010a0140",
        "010a01e0",
        "010a0280",
        "018a0320",
        "018a0320",
        "018a0320",
    ]


def test_one_press_for_three_end_packets() -> None:
    assert hear(press("1", 1000)) == [Press("1", 100)]


@pytest.mark.parametrize("kept", [slice(3, None), slice(-1, None), slice(None, -2)])
def test_losses_of_start_or_end(kept: slice) -> None:
    assert hear(press("#", 1000)[kept]) == [Press("#", 100)]


def test_lost_end_is_told_after_a_while() -> None:
    receiver = EventReceiver()
    assert hear(press("5", 1000)[:3], receiver) == []
    assert receiver.pressed
    assert receiver.expire(LOST_END_S / 2) == ()
    assert receiver.expire(LOST_END_S * 1.1) == (Press("5", 60),)
    assert receiver.expire(9.0) == ()
    assert hear(press("5", 1000)[3:], receiver) == []  # they were only late


def test_lost_end_is_told_by_the_next_key() -> None:
    assert hear(press("5", 1000)[:3] + press("6", 3000)) == [Press("5", 60), Press("6", 100)]


def test_same_key_twice_is_two_presses() -> None:
    assert hear(press("1", 1000) + press("1", 4000)) == [Press("1", 100), Press("1", 100)]


def test_late_packets_of_an_earlier_press_are_nothing_new() -> None:
    first, second = press("1", 1000), press("2", 4000)
    assert hear(first[:5] + second[:2] + first[5:] + second[2:]) == [Press("1", 100), Press("2", 100)]


def test_timestamps_wrap() -> None:
    assert hear(press("1", 0xFFFF_FFF0) + press("2", 5000)) == [Press("1", 100), Press("2", 100)]


def test_a_very_long_press_in_segments_is_one() -> None:
    longest = 0xFFFF
    packets = [
        (1000, bytes((1, 10)) + (8000).to_bytes(2, "big")),
        (1000, bytes((1, 10)) + longest.to_bytes(2, "big")),
        (1000 + longest, bytes((1, 0x80 | 10)) + (8000).to_bytes(2, "big")),
    ]
    assert hear(packets) == [Press("1", (longest + 8000) // 8)]


def test_flash_tones_and_stumps_are_no_keys() -> None:
    assert hear([(1, bytes((16, 0x8A, 3, 32))), (2, b"\x01\x8a\x03"), (3, bytes((66, 0x8A, 3, 32)))]) == []


@given(st.lists(st.sampled_from(DIGITS), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_duplicates_and_disorder_within_a_press(digits: list[str], random: object) -> None:
    packets: Wire = []
    for number, digit in enumerate(digits):
        own = press(digit, 10_000 * number) * 2
        random.shuffle(own)  # type: ignore[attr-defined]
        packets += own
    assert [key.digit for key in hear(packets)] == digits


@given(st.lists(st.tuples(st.integers(0, 0xFFFF_FFFF), st.binary(max_size=6)), max_size=30))
def test_any_payload_gives_keys_only(packets: Wire) -> None:
    assert all(key.digit in DIGITS for key in hear(packets))


def test_queued_keys_have_a_pause_between_them() -> None:
    sender = EventSender()
    sender.press("1", 40, pause_ms=60)
    sender.press("2", 40, pause_ms=60)
    packets = []
    while sender:
        packets.append(sender.next())
    assert [packet and packet.payload[0] for packet in packets] == [1] * 4 + [None] * 3 + [2] * 4 + [None] * 3
    assert [packet.first for packet in packets if packet] == [True, False, False, False] * 2


@pytest.mark.parametrize("digit", ["", "x", "12", "٣"])
def test_no_key_no_event(digit: str) -> None:
    with pytest.raises(ValueError, match="telephone event"):
        EventSender().press(digit)
