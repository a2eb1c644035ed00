"""RFC 3550 §5.1: headers there and back, and what is no RTP."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.packet import (
    Packet,
    build,
    parse,
    payload_bounds,
    timestamp_distance,
)

packets = st.builds(
    Packet,
    st.integers(0, 71) | st.integers(80, 127),
    st.booleans(),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.binary(max_size=200),
)


@given(packets)
def test_round_trip(packet: Packet) -> None:
    assert parse(build(packet)) == packet


def test_known_bytes() -> None:
    data = bytes.fromhex("80880001000000a012345678") + b"\xd5\xd5"
    assert parse(data) == Packet(8, True, 1, 160, 0x12345678, b"\xd5\xd5")


def test_csrcs_extension_and_padding_are_no_payload() -> None:
    head = bytes.fromhex("b2000001000000a012345678") + b"CSRC" * 2 + bytes.fromhex("bede0001") + b"EXT!"
    packet = parse(head + b"speech" + b"\0\0\3")
    assert packet is not None
    assert packet.payload == b"speech"


def test_what_is_no_rtp() -> None:
    good = build(Packet(8, False, 1, 160, 7, b"x" * 160))
    assert payload_bounds(good, len(good)) == (12, 172)
    for data in (
        b"",
        good[:11],
        b"\x40" + good[1:],
        b"\x8f" + good[1:20],  # CSRCs beyond the end
        b"\x90" + good[1:14],  # extension cut short
        b"\x90" + good[1:12] + b"\0\0\xff\xff" + good[16:],
        b"\xa0" + good[1:171] + b"\0",  # padding of no bytes
        b"\xa0" + good[1:171] + b"\xff",
        bytes.fromhex("80c8000600000007") + bytes(20),  # a sender report on the RTP port
    ):
        assert payload_bounds(data, len(data)) is None
        assert parse(data) is None


@given(st.binary(max_size=64))
def test_any_bytes(data: bytes) -> None:
    packet = parse(data)
    assert packet is None or len(packet.payload) <= len(data) - 12


@given(st.integers(0, 0xFFFF_FFFF), st.integers(-0x8000, 0x7FFF))
def test_distances_wrap(older: int, step: int) -> None:
    assert timestamp_distance((older + step) & 0xFFFF_FFFF, older) == step
