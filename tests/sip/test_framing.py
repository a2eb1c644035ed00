"""Messages cut out of a stream (RFC 3261 §18.3, RFC 5626 §3.5.1)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.framing import PING, PONG, Broken, Frame, Framer, KeepAlive
from engine.sip.message import Response
from engine.sip.parse import MAX_BODY_BYTES, MAX_HEAD_BYTES, parse
from tests.sip.kit import wire

SHORT, LONG = wire(), wire(body="v=0\r\n\r\n" * 20)
COMPACT = SHORT.replace(b"Content-Length", b"l")
ENDLESS = b"INVITE sip:a@b SIP/2.0\r\nX: " + b"x" * MAX_HEAD_BYTES


def cut(pieces: list[bytes]) -> list[Frame]:
    framer = Framer()
    return [frame for piece in pieces for frame in framer.feed(piece)]


def messages(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if not isinstance(frame, KeepAlive)]


@pytest.mark.parametrize("message", [SHORT, LONG, COMPACT], ids=["short", "long", "compact"])
def test_one_message_in_one_piece(message: bytes) -> None:
    framer = Framer()
    assert framer.feed(message) == [message]
    assert not framer.partial


def test_two_in_one_piece_and_one_in_many() -> None:
    assert cut([SHORT + LONG]) == [SHORT, LONG]
    assert cut([bytes([octet]) for octet in LONG]) == [LONG]


parts = st.sampled_from(
    [
        SHORT,
        LONG,
        COMPACT,
        PONG,
        PING,
        b"nonsense\r\n\r\n",
        SHORT.replace(b"Content-Length: 0", b"X: 1"),
        ENDLESS,
    ]
)


@given(st.lists(parts, max_size=6), st.lists(st.integers(0, 3_000), max_size=12))
def test_any_split_gives_the_same_messages(stream: list[bytes], cuts: list[int]) -> None:
    data = b"".join(stream)
    places = sorted({0, len(data), *(place for place in cuts if place < len(data))})
    pieces = [data[begin:end] for begin, end in itertools.pairwise(places)]
    assert messages(cut(pieces)) == messages(cut([data]))


@given(st.lists(st.binary(max_size=60) | parts, max_size=8))
def test_no_bytes_break_the_framer(pieces: list[bytes]) -> None:
    frames = cut(pieces)
    assert [type(frame) for frame in frames].count(Broken) <= 1
    for frame in frames:
        if isinstance(frame, bytes):
            assert b"".join(pieces).count(frame)


def test_empty_lines_before_a_message_are_no_part_of_it() -> None:
    """RFC 3261 §7.5."""
    assert messages(cut([PONG + SHORT + PONG + LONG])) == [SHORT, LONG]


@pytest.mark.parametrize("pieces", [[PING], [PONG, PONG], [b"\r", b"\n\r", b"\n"], [SHORT + PING]])
def test_two_empty_lines_are_a_ping(pieces: list[bytes]) -> None:
    assert cut(pieces)[-1] is KeepAlive.PING


def test_one_empty_line_is_a_pong() -> None:
    assert cut([PONG, SHORT, PONG]) == [KeepAlive.PONG, SHORT, KeepAlive.PONG]


def test_many_pings_in_one_piece_are_told_once() -> None:
    assert cut([PING * 1_000]) == [KeepAlive.PING]


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (SHORT.replace(b"Content-Length: 0\r\n", b""), 400),
        (SHORT.replace(b"Content-Length: 0", b"Content-Length: -1"), 400),
        (SHORT.replace(b"Content-Length: 0", b"Content-Length: +1"), 400),
        (SHORT.replace(b"Content-Length: 0", "Content-Length: ٣".encode()), 400),
        (SHORT.replace(b"Content-Length: 0", b"Content-Length: 0\r\nl: 7"), 400),
        (SHORT.replace(b"Content-Length: 0", f"Content-Length: {MAX_BODY_BYTES + 1}".encode()), 413),
        (SHORT.replace(b"Content-Length: 0", b"X: " + b"x" * MAX_HEAD_BYTES), 513),
    ],
    ids=["none", "negative", "signed", "not ASCII", "two", "body too long", "head too long"],
)
def test_what_cannot_be_cut_is_answered_and_ends_the_stream(message: bytes, status: int) -> None:
    framer = Framer()
    (broken,) = framer.feed(message + LONG)
    assert isinstance(broken, Broken)
    answer = parse(broken.answer(("192.0.2.77", 5060)))
    assert isinstance(answer, Response)
    assert (answer.status, answer.call_id) == (status, "p-call")
    assert answer.top_via.received == "192.0.2.77"
    assert framer.broken
    assert framer.feed(SHORT) == []


def test_a_folded_content_length_counts() -> None:
    """RFC 3261 §7.3.1."""
    folded = SHORT.replace(b"Content-Length: 0", b"Content-Length :\r\n\t 2 ") + b"xx"
    assert cut([folded + SHORT]) == [folded, SHORT]


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 30_000, b"\n\n", b"\rX"])
def test_what_is_no_sip_is_not_answered(data: bytes) -> None:
    (broken,) = cut([data])
    assert isinstance(broken, Broken)
    assert broken.answer(("192.0.2.77", 5060)) == b""


def test_the_buffer_never_grows_beyond_one_message() -> None:
    framer = Framer()
    frames = [frame for _ in range(200) for frame in framer.feed(b"x" * 1_000)]
    assert [type(frame) for frame in frames] == [Broken]
    assert not framer.partial
