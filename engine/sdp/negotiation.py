"""Offer and answer for one audio stream (RFC 3264), and the pass-through of direct media."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.model.media import Codec
from engine.sdp.description import (
    Connection,
    Direction,
    Line,
    Media,
    Origin,
    RtpMap,
    SessionDescription,
    parse,
)
from engine.sdp.errors import SdpError
from engine.sdp.passing import origin_place

DEFAULT_PTIME_MS = 20
OUR_CODECS = ("PCMA", "PCMU")

_PLAIN_RTP = ("RTP/AVP", "RTP/AVPF")
_STATIC = {
    0: RtpMap("PCMU", 8000),
    3: RtpMap("GSM", 8000),
    4: RtpMap("G723", 8000),
    8: RtpMap("PCMA", 8000),
    9: RtpMap("G722", 8000),
    13: RtpMap("CN", 8000),
    15: RtpMap("G728", 8000),
    18: RtpMap("G729", 8000),
}
"""Audio payload types that need no a=rtpmap (RFC 3551 §6)."""
_ONE_WAY = (b"a=sendonly", b"a=recvonly", b"a=inactive")
_NOT_SPEECH = ("TELEPHONE-EVENT", "CN", "RED")


@dataclass(frozen=True, slots=True)
class AudioTarget:
    """Where and how the writer of a description wants its audio."""

    index: int
    """Position of the m= line."""
    host: str
    port: int
    rtcp_port: int
    codecs: tuple[Codec, ...]
    """Mono speech codecs in the writer's order, also those we have no use for."""
    telephone_event: int | None
    """Payload type of RFC 4733 events at 8000 Hz."""
    direction: Direction
    """As written; 0.0.0.0 is told by `wants_audio` and `sends_audio`."""
    ptime_ms: int
    blackholed: bool = False
    """The address is 0.0.0.0 or ::, hold of the old kind (RFC 3264 §8.4)."""

    @property
    def wants_audio(self) -> bool:
        """The writer is ready to receive (`SetRemote.send`)."""
        return self.direction.receives and not self.blackholed

    @property
    def sends_audio(self) -> bool:
        """The writer may send (`SetRemote.receive`)."""
        return self.direction.sends


def audio_target(sdp: SessionDescription) -> AudioTarget | None:
    """The first audio line of plain RTP that is not refused (port 0); None where there is none.

    Raises `SdpError` if that line has no connection address or one that is a host name.
    """
    for index, media in enumerate(sdp.media):
        if media.kind == "audio" and media.port and media.proto in _PLAIN_RTP:
            return _target(sdp, index, media)
    return None


def choose_codec(offered: AudioTarget, ours: Sequence[str] = OUR_CODECS) -> Codec | None:
    """The first codec of the offer that we speak: the offerer's order wins."""
    return next((codec for codec in offered.codecs if codec.name in ours and codec.rate_hz == 8000), None)


def answer_direction(offered: Direction, wanted: Direction = Direction.SENDRECV) -> Direction:
    """What an answer may say to `offered`, at most `wanted` (RFC 3264 §6.1)."""
    return Direction.of(sends=offered.receives and wanted.sends, receives=offered.sends and wanted.receives)


def build_offer(
    host: str,
    port: int,
    codecs: Sequence[Codec],
    origin: Origin,
    *,
    telephone_event: int | None = 101,
    direction: Direction = Direction.SENDRECV,
    ptime_ms: int = DEFAULT_PTIME_MS,
) -> bytes:
    """An offer of one audio stream on `host`:`port`."""
    audio = _audio(port, "RTP/AVP", codecs, telephone_event, direction, ptime_ms)
    return SessionDescription(origin, connection=_connection(host), media=(audio,)).to_bytes()


def build_answer(
    offer: SessionDescription,
    host: str,
    port: int,
    codec: Codec,
    origin: Origin,
    *,
    telephone_event: int | None = None,
    direction: Direction = Direction.SENDRECV,
) -> bytes:
    """Accept the offer's audio line with one codec and refuse every other line (RFC 3264 §6).

    `codec` and `telephone_event` carry the offer's payload types. `direction` is what we want; the answer
    says what the offer allows of it. Raises `SdpError("no_audio")` where there is nothing to accept.
    """
    target = audio_target(offer)
    if target is None:
        raise SdpError("no_audio")
    chosen = offer.media[target.index]
    audio = _audio(
        port,
        chosen.proto,
        (codec,),
        telephone_event,
        answer_direction(target.direction, direction),
        target.ptime_ms,
    )
    media = tuple(
        audio if index == target.index else Media(line.kind, 0, line.proto, line.formats)
        for index, line in enumerate(offer.media)
    )
    times = tuple(line for line in offer.others if line.type == "t") or (Line("t", "0 0"),)
    answer = SessionDescription(origin, connection=_connection(host), media=media, others=times)
    return answer.to_bytes()


def build_refusal(offer: bytes, origin: Origin) -> bytes:
    """An answer that refuses every line of the offer (RFC 3264 §6). Raises `SdpError` where `parse` would."""
    offered = parse(offer)
    media = tuple(Media(line.kind, 0, line.proto, line.formats) for line in offered.media)
    return SessionDescription(origin, connection=_connection(origin.address), media=media).to_bytes()


def rewrite_origin(body: bytes, origin: Origin) -> bytes:
    """`body` with our o= line and otherwise byte for byte as it came: direct media, several m= lines.

    Raises `SdpError` where `parse` would.
    """
    begin, end = origin_place(body)
    return body[:begin] + f"o={origin.line}".encode("utf-8", "surrogateescape") + body[end:]


def both_ways(body: bytes) -> bytes:
    """A description without hold; sendrecv is what it says then (RFC 3264 §6.1)."""
    lines = body.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.strip(b" ") not in _ONE_WAY)


def _target(sdp: SessionDescription, index: int, media: Media) -> AudioTarget:
    connection = sdp.connection_of(media)
    if connection is None:
        raise SdpError("connection", "missing")
    if not connection.is_literal:
        raise SdpError("address", connection.address)
    maps = _STATIC | media.rtpmaps
    codecs: list[Codec] = []
    telephone_event: int | None = None
    for word in media.formats:
        if not (word.isascii() and word.isdigit() and len(word) <= 3):
            continue
        number = int(word)
        encoding = maps.get(number)
        if encoding is None:
            continue
        name = encoding.encoding.upper()
        if name not in _NOT_SPEECH and encoding.channels == 1:
            codecs.append(Codec(name, number, encoding.rate_hz))
        elif name == "TELEPHONE-EVENT" and encoding.rate_hz == 8000 and telephone_event is None:
            telephone_event = number
    return AudioTarget(
        index=index,
        host=connection.address,
        port=media.port,
        rtcp_port=media.rtcp[0] if media.rtcp else min(media.port + 1, 65_535),
        codecs=tuple(codecs),
        telephone_event=telephone_event,
        direction=sdp.direction_of(media),
        ptime_ms=media.ptime_ms or DEFAULT_PTIME_MS,
        blackholed=connection.unspecified,
    )


def _audio(
    port: int,
    proto: str,
    codecs: Sequence[Codec],
    telephone_event: int | None,
    direction: Direction,
    ptime_ms: int,
) -> Media:
    attributes = [f"rtpmap:{codec.payload_type} {codec.name}/{codec.rate_hz}" for codec in codecs]
    formats = [str(codec.payload_type) for codec in codecs]
    if telephone_event is not None:
        formats.append(str(telephone_event))
        attributes.append(f"rtpmap:{telephone_event} telephone-event/8000")
        attributes.append(f"fmtp:{telephone_event} 0-15")
    attributes.append(f"ptime:{ptime_ms}")
    attributes.append(direction.value)
    return Media("audio", port, proto, tuple(formats), attributes=tuple(attributes))


def _connection(host: str) -> Connection:
    return Connection(host, "IP6" if ":" in host else "IP4")
