"""Descriptions and packets: SDP, RTP, RTCP and telephone events."""

from __future__ import annotations

from contextlib import suppress

from engine.model.media import Codec
from engine.rtp.events import DIGITS, EventReceiver, EventSender
from engine.rtp.packet import Packet, build, parse, payload_bounds
from engine.rtp.rewriter import StreamRewriter
from engine.rtp.rtcp import Report, build_bye, build_report
from engine.rtp.rtcp import parse as parse_rtcp
from engine.sdp import SdpError, audio_target, build_answer, build_offer, choose_codec
from engine.sdp import parse as parse_sdp
from engine.sdp.description import MAX_BYTES, Origin
from engine.sdp.negotiation import build_refusal, rewrite_origin
from tests.call.peer import sdp
from tests.fuzz.kit import CUT, Target, numbers
from tests.sip.torture_messages import read_all

ORIGIN = Origin("-", 1, 1, "192.0.2.1")


def description(data: bytes) -> None:
    """What is read is written once and for all; an answer to it is a description with as many streams."""
    try:
        found = parse_sdp(data)
    except SdpError:
        return
    assert len(data) <= MAX_BYTES
    written = found.to_bytes()
    if len(written) <= MAX_BYTES:
        assert parse_sdp(written).to_bytes() == written  # in the order of RFC 8866 from then on
    with suppress(SdpError):
        ours = rewrite_origin(data, ORIGIN)
        assert parse_sdp(ours).origin == ORIGIN
        assert len(parse_sdp(build_refusal(data, ORIGIN)).media) == len(found.media)
        target = audio_target(found)
        codec = choose_codec(target) if target is not None else None
        if codec is not None:
            answer = parse_sdp(build_answer(found, "192.0.2.1", 20000, codec, ORIGIN))
            assert len(answer.media) == len(found.media)


def rtp(data: bytes) -> None:
    """A packet or none; what is rewritten stays in its ranges."""
    bounds = payload_bounds(data, len(data))
    packet = parse(data)
    assert (bounds is None) == (packet is None)
    if packet is None:
        return
    assert parse(build(packet)) == packet
    rewriter, now = StreamRewriter(1, 2, 3), 0.0
    for piece in data.split(CUT):
        (ssrc, sequence, timestamp), _ = numbers(piece, "!IHI")
        for out, stamp, _ in (
            rewriter.relay(ssrc, sequence, timestamp, now),
            rewriter.generate(now),
            rewriter.relay(packet.ssrc, packet.sequence, packet.timestamp, now),
        ):
            assert 0 <= out < 2**16 and 0 <= stamp < 2**32
        rewriter.skip(ssrc, sequence)
        now += 0.02


def rtcp(data: bytes) -> None:
    for each in parse_rtcp(data):
        if isinstance(each, Report):
            assert parse_rtcp(build_report(each, "c"))


def events(data: bytes) -> None:
    """Keys out of any packets: known ones, never longer than told, none left down."""
    receiver, now = EventReceiver(), 0.0
    pieces = data.split(CUT)
    told = 0
    for piece in pieces:
        (timestamp,), payload = numbers(piece, "!I")
        for press in receiver.receive(timestamp, payload, now):
            assert press.digit in DIGITS and press.duration_ms >= 0
            told += 1
        now += 0.02
    told += len(receiver.expire(now + 10))
    assert told <= len(pieces)
    assert not receiver.pressed


def _keys() -> bytes:
    sender = EventSender()
    sender.press("5")
    frames = []
    while sender:
        frame = sender.next()
        if frame is not None:
            frames.append((4000).to_bytes(4, "big") + frame.payload)
    return CUT.join(frames)


_TORTURE = tuple(
    body
    for message in read_all()
    if b"v=0\r\n" in (body := message.data.partition(b"\r\n\r\n")[2]) and body.startswith(b"v=0")
)
_PACKET = build(Packet(8, True, 65535, 2**32 - 1, 7, b"\x55" * 160))

TARGETS = (
    Target(
        "sdp",
        description,
        (
            sdp("192.0.2.9"),
            build_offer("192.0.2.1", 20000, (Codec("PCMA", 8),), ORIGIN),
            sdp("2001:db8::9").replace(b"IP4", b"IP6") + b"a=rtcp:53020 IN IP4 192.0.2.4\r\na=ptime:20\r\n",
            *_TORTURE,
        ),
        (
            *(b"m=audio 0 RTP/AVP 0\r\n", b"m=video 9 RTP/SAVPF 96\r\n", b"a=rtpmap:8 PCMA/8000\r\n", b"a="),
            *(
                b"c=IN IP4 0.0.0.0\r\n",
                b"c=IN IP4 127.0.0.1\r\n",
                b"a=sendonly\r\n",
                b"\n",
                b"\r",
                b"\0",
                b" ",
            ),
            *(b"/", b"=", b":", b"\xff", b"a=fmtp:101 0-16\r\n", b"o=- 1 1 IN IP4 h\r\n", b"b=AS:64\r\n"),
        ),
    ),
    Target("rtp", rtp, (_PACKET, b"\x90" + _PACKET[1:], b"\xb3" + _PACKET[1:]), (b"\xff\xff", b"\0", CUT)),
    Target(
        "rtcp",
        rtcp,
        (build_report(Report(1), "a@b"), build_bye(1, "c")),
        (b"\x80\xc9", b"\x9f\xc8", b"\xff\xff", b"\0" * 4),
    ),
    Target("rtp-events", events, (_keys(),), (CUT, b"\x8a", b"\xff\xff")),
)
