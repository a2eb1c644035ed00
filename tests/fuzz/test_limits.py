"""How much of everything is taken, in one table: up to the limit it goes well, beyond it an error says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from engine.call.leg_info import MOST_MS, Key, key_body, read_info
from engine.rtp.packet import HEADER_BYTES, payload_bounds
from engine.runtime.udp import MAX_DATAGRAM
from engine.runtime.websocket import MAX_MESSAGE_BYTES
from engine.screening import load_policy
from engine.screening.load import MAX_CHARACTERS
from engine.sdp import SdpError
from engine.sdp import parse as parse_sdp
from engine.sdp.description import MAX_BYTES, MAX_FORMATS, MAX_LINE_CHARACTERS, MAX_LINES, MAX_MEDIA
from engine.sip.errors import RemoteProtocolError
from engine.sip.framing import Broken, Framer
from engine.sip.headers import MAX_CSEQ
from engine.sip.message import Request
from engine.sip.parse import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_ROWS, parse
from scoring.numbers import Numbering
from scoring.numbers.risk_csv import read_csv
from tests.call.peer import sdp
from tests.screening.kit import HEAD
from tests.sip.kit import wire

ROWS_OF_WIRE = wire().count(b"\r\n") - 2
SESSION = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"


class Limit(NamedTuple):
    what: str
    most: int
    make: Callable[[int], bytes]
    """Input of that size or count."""
    take: Callable[[bytes], object]
    error: str


def padded(size: int) -> bytes:
    """A request whose header section has that many bytes."""
    plain = wire(extra=["X: "])
    return wire(extra=["X: " + "x" * (size - plain.index(b"\r\n\r\n"))])


def rows(name: str, value: str) -> Callable[[int], bytes]:
    """A request with that many rows in all; those beyond the usual ones have this name."""
    return lambda count: wire(extra=[f"{name}: {value}"] * (count - ROWS_OF_WIRE))


def more(row: str) -> Callable[[int], bytes]:
    """A request with that many such rows beside its own."""
    return lambda count: wire(extra=[row] * count)


def head_filled(before: str, piece: str, after: str) -> Callable[[int], bytes]:
    """A request whose header section is filled up to that size by one value."""

    def make(size: int) -> bytes:
        room = size - wire(extra=[before + after]).index(b"\r\n\r\n")
        filled = (piece * (room // len(piece) + 1))[: room - room % len(piece)]
        return wire(extra=[before + filled + after, *(["X: y"] * 2 if size > MAX_HEAD_BYTES else [])])

    return make


def sip(data: bytes) -> Request:
    found = parse(data)
    assert isinstance(found, Request)
    found.validate()
    return found


def stream(data: bytes) -> None:
    """In pieces, as a stream brings it; one message whole."""
    for frame in Framer().feed(data):
        if isinstance(frame, Broken):
            raise RemoteProtocolError(frame.reason, frame.status)


def described(media: int = 1, formats: int = 1) -> bytes:
    line = b"m=audio 9 RTP/AVP " + b" ".join(b"%d" % (number % 128) for number in range(formats)) + b"\r\n"
    return SESSION + line * media


def filled(size: int) -> bytes:
    line = b"a=" + b"x" * 1_000 + b"\r\n"
    data = described() + line * ((size - len(described())) // len(line))
    rest = size - len(data)
    return data + b"a=" + b"x" * (rest - 4) + b"\r\n" if rest >= 4 else data + b"\n" * rest


def csv(data: bytes) -> None:
    _, problems = read_csv(data.decode(), "n.csv", Numbering(), "lab")
    if problems:
        raise ValueError(str(problems[0]))


def rtp(data: bytes) -> None:
    if payload_bounds(data, len(data)) is None:
        raise ValueError("no RTP packet")


def info(data: bytes) -> None:
    told = read_info(Request("INFO", "sip:h", [("Content-Type", "application/dtmf-relay")], data))
    if not isinstance(told, Key) or told.duration_ms > MOST_MS:
        raise ValueError(f"{told}")


LIMITS = (
    Limit("bytes of a header section", MAX_HEAD_BYTES, padded, sip, "header section above 24576 bytes"),
    Limit("… of a stream's", MAX_HEAD_BYTES, padded, stream, "header section above 24576 bytes"),
    Limit("rows", MAX_ROWS - 1, rows("X-Y", "z"), sip, "more than 256 header rows"),
    Limit("Vias", MAX_ROWS - 1, rows("Via", "SIP/2.0/UDP h"), sip, "more than 256 header rows"),
    Limit("Contacts", 127, more("Contact: <sip:a@h>"), sip, "Contact: more than 128 values"),
    Limit("Routes", 128, more("Route: <sip:a@h;lr>"), sip, "Route: more than 128 values"),
    Limit(
        "Vias in one row",
        MAX_HEAD_BYTES,
        head_filled("Via: SIP/2.0/UDP h", ",SIP/2.0/UDP h", ""),
        sip,
        "header section above 24576 bytes",
    ),
    Limit(
        "characters of a URI",
        MAX_HEAD_BYTES,
        head_filled("Route: <sip:", "u", "@h>"),
        sip,
        "header section above 24576 bytes",
    ),
    Limit(
        "parameters",
        MAX_HEAD_BYTES,
        head_filled("Route: <sip:h>", ";aa", ""),
        lambda data: parse(data),
        "header section above 24576 bytes",
    ),
    Limit("bytes of a body", MAX_BODY_BYTES, lambda n: wire(body="x" * n), sip, "body above 40960 bytes"),
    Limit(
        "bytes of a stream's body",
        MAX_BODY_BYTES,
        lambda n: wire(body="x" * n),
        stream,
        "body above 40960 bytes",
    ),
    Limit("a CSeq", MAX_CSEQ, lambda n: wire(cseq=n), sip, "CSeq: number above 2**31 - 1"),
    Limit(
        "Max-Forwards",
        255,
        lambda n: wire().replace(b"Max-Forwards: 70", b"Max-Forwards: %d" % n),
        sip,
        "Max-Forwards is not 0 to 255",
    ),
    Limit("a port", 65_535, lambda n: wire(via=f"SIP/2.0/UDP h:{n}"), sip, "port out of range"),
    Limit("bytes of a description", MAX_BYTES, filled, parse_sdp, f"too_large: {MAX_BYTES + 1}"),
    Limit(
        "lines of it",
        MAX_LINES,
        lambda n: described() + b"a=x\r\n" * (n - described().count(b"\n")),
        parse_sdp,
        "too_large: lines",
    ),
    Limit(
        "characters of a line",
        MAX_LINE_CHARACTERS,
        lambda n: described() + b"a=" + b"x" * (n - 2) + b"\r\n",
        parse_sdp,
        "too_large: a=xx",
    ),
    Limit("media", MAX_MEDIA, lambda n: described(n), parse_sdp, "too_large: m= lines"),
    Limit("formats", MAX_FORMATS, lambda n: described(formats=n), parse_sdp, "too_large: audio 9"),
    Limit("an SDP port", 65_535, lambda n: sdp("192.0.2.9", n), parse_sdp, "media: audio 65536"),
    Limit(
        "CSRCs that fit", 2, lambda n: bytes([0x80 | n]) + bytes(HEADER_BYTES - 1 + 8), rtp, "no RTP packet"
    ),
    Limit(
        "RTP padding that fits",
        20,
        lambda n: bytes([0xA0]) + bytes(HEADER_BYTES - 1 + 19) + bytes([n]),
        rtp,
        "no RTP packet",
    ),
    Limit(
        "a reason's characters",
        64,
        lambda n: b"number,level,reason\n+8613800000001,red," + b"x" * n + b"\n",
        csv,
        "n.csv:2: a reason has at most 64 printable characters",
    ),
    Limit(
        "characters of a policy file",
        MAX_CHARACTERS,
        lambda n: HEAD.encode() + b"#" * (n - len(HEAD)),
        lambda data: load_policy(data.decode()),
        "policy: longer than 1000000 characters",
    ),
    Limit(
        "a CSV field's characters",
        131_072,
        lambda n: b"number,level,reason\n\n" + b" " * n + b",,\n",
        csv,
        "n.csv:3: not valid CSV: field larger than field limit (131072)",
    ),
)


@pytest.mark.parametrize("limit", LIMITS, ids=[limit.what for limit in LIMITS])
def test_up_to_the_limit_it_goes_well(limit: Limit) -> None:
    limit.take(limit.make(limit.most))


@pytest.mark.parametrize("limit", LIMITS, ids=[limit.what for limit in LIMITS])
def test_beyond_it_an_error_says_so(limit: Limit) -> None:
    with pytest.raises((RemoteProtocolError, SdpError, ValueError)) as caught:
        limit.take(limit.make(limit.most + 1))
    assert str(caught.value).startswith(limit.error)


def test_a_key_is_never_longer_than_ten_seconds() -> None:
    request = Request("INFO", "sip:h", [("Content-Type", "application/dtmf-relay")], key_body("5", 999_999))
    told = read_info(request)
    assert isinstance(told, Key)
    assert told.duration_ms == MOST_MS


def test_what_a_socket_takes_holds_any_message() -> None:
    assert MAX_DATAGRAM == 65_535
    assert MAX_MESSAGE_BYTES == MAX_HEAD_BYTES + MAX_BODY_BYTES
