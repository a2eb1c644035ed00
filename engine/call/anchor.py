"""One call's media session as seen from the call: offers, answers, routes, prompts.

Session descriptions go in, media commands come out; the worker's ports are known once `opened`.
"""

from __future__ import annotations

from engine.call.legs import Leg
from engine.call.wire import Wire
from engine.model.ids import PlaybackId, RecordingId, SessionId
from engine.model.media import (
    CloseSession,
    Codec,
    OpenSession,
    Play,
    PlayTone,
    Route,
    SetRemote,
    SetRoutes,
    StartCapture,
    StopCapture,
    StopPlayback,
)
from engine.sdp import (
    AudioTarget,
    Direction,
    Origin,
    OwnAddresses,
    SdpError,
    answer_direction,
    audio_target,
    build_answer,
    build_offer,
    check_targets,
    choose_codec,
    parse,
)

OUR_CODECS: tuple[Codec, ...] = (Codec("PCMA", 8), Codec("PCMU", 0))
_ANY_ORIGIN = Origin("-", 0, 0, "0.0.0.0")  # noqa: S104 (the leg puts its own in its place)


class Anchor:
    """Media of one call, anchored at a media worker. Endpoints are named by the legs' roles."""

    __slots__ = ("_codecs", "_own", "_ports", "_sent", "_talking", "_wire", "session")

    def __init__(self, wire: Wire, roles: tuple[str, ...], own: OwnAddresses) -> None:
        self._wire = wire
        self._own = own
        self.session = SessionId(wire.ids.token())
        self._ports: dict[str, tuple[str, int]] = {}
        self._codecs: dict[str, Codec] = {}
        self._sent: dict[str, bytes] = {}
        self._talking: set[str] = set()
        wire.media(OpenSession(session=self.session, endpoints=roles))

    def opened(self, ports: dict[str, tuple[str, int]]) -> None:
        self._ports.update(ports)

    # --- offers and answers ---

    def offer(self, leg: Leg, *, like: bytes = b"", direction: Direction = Direction.SENDRECV) -> bytes:
        """Our offer on `leg`, codecs in the order of the description `like`. Raises `SdpError`.

        Also where `like` has no codec of ours: better now than when the other side has answered.
        """
        codecs = OUR_CODECS
        if like:
            target = self._usable(like)
            _codec_of(target)
            names = [codec.name for codec in target.codecs]
            codecs = tuple(
                sorted(
                    OUR_CODECS,
                    key=lambda codec: names.index(codec.name) if codec.name in names else len(names),
                )
            )
        host, port = self._ports[leg.role]
        body = leg.own(build_offer(host, port, codecs, _ANY_ORIGIN, direction=direction))
        self._sent[leg.role] = body
        return body

    def accept_answer(self, leg: Leg, body: bytes) -> Direction:
        """The peer's answer to our offer: media can go there now. Raises `SdpError`."""
        target = self._usable(body)
        self._point(leg.role, target, _codec_of(target))
        return target.direction

    def answer(self, leg: Leg, offer: bytes, *, direction: Direction = Direction.SENDRECV) -> bytes:
        """Our answer to the peer's offer, in the other leg's codec if the peer has it. Raises `SdpError`."""
        description = parse(offer)
        target = self._usable(offer)
        used = [codec.name for role, codec in self._codecs.items() if role != leg.role]
        codec = choose_codec(target, used) or _codec_of(target)
        self._point(leg.role, target, codec)
        host, port = self._ports[leg.role]
        body = build_answer(
            description,
            host,
            port,
            codec,
            _ANY_ORIGIN,
            telephone_event=target.telephone_event,
            direction=direction,
        )
        body = self._sent[leg.role] = leg.own(body)
        return body

    def must_send(self, role: str) -> bool:
        """Whether silence from that leg is a fault: it talks, and neither side holds the other."""
        return role in self._talking

    def sent(self, role: str) -> bytes:
        """Our last description on that leg, or empty."""
        return self._sent.get(role, b"")

    def offered_direction(self, offer: bytes) -> Direction:
        """What the other leg is to be offered when this one wants `offer`. Raises `SdpError`."""
        target = self._usable(offer)
        if target.blackholed:  # hold of the old kind: the peer sends but does not hear
            return answer_direction(Direction.of(sends=False, receives=target.sends_audio))
        return target.direction

    def answerable(self, offer: bytes) -> Direction:
        """What the answer to `offer` says before the call is through. Raises `SdpError`."""
        return answer_direction(self.offered_direction(offer))

    def _usable(self, body: bytes) -> AudioTarget:
        """Where that description wants its sound; hold by 0.0.0.0 is for calls both sides have joined."""
        description = parse(body)
        check_targets(description, self._own, hold=len(self._codecs) > 1)
        target = audio_target(description)
        if target is None:
            raise SdpError("no_audio")
        ours = next(iter(self._ports.values()), None)
        if ours is not None and (":" in ours[0]) != (":" in target.host):
            raise SdpError("address_family", target.host)  # one socket cannot reach it
        return target

    def _point(self, role: str, target: AudioTarget, codec: Codec) -> None:
        self._codecs[role] = codec
        if target.wants_audio and target.sends_audio:
            self._talking.add(role)
        else:
            self._talking.discard(role)
        self._wire.media(
            SetRemote(
                session=self.session,
                endpoint=role,
                host=target.host,
                port=target.port,
                codec=codec,
                telephone_event=target.telephone_event,
                rtcp_port=target.rtcp_port,
                send=target.wants_audio,
                receive=target.sends_audio,
            )
        )

    # --- sound ---

    def route(self, *pairs: tuple[str, str]) -> None:
        """Let each pair's second endpoint hear the first; nobody else hears anything."""
        routes = tuple(Route(source, destination) for source, destination in pairs)
        self._wire.media(SetRoutes(session=self.session, routes=routes))

    def play(self, role: str, prompt: str, language: str, repeat: int = 1) -> PlaybackId:
        playback = PlaybackId(self._wire.ids.token())
        self._wire.media(
            Play(
                session=self.session,
                playback=playback,
                endpoint=role,
                prompts=(prompt,),
                language=language,
                repeat=repeat,
                gap_ms=1000,
            )
        )
        return playback

    def ringback(self, role: str) -> PlaybackId:
        playback = PlaybackId(self._wire.ids.token())
        self._wire.media(PlayTone(session=self.session, playback=playback, endpoint=role, tone="ringback"))
        return playback

    def stop(self, playback: PlaybackId) -> None:
        self._wire.media(StopPlayback(session=self.session, playback=playback))

    def capture(self, command: StartCapture) -> None:
        self._wire.media(command)

    def stop_capture(self, recording: RecordingId) -> None:
        self._wire.media(StopCapture(session=self.session, recording=recording))

    def close(self) -> None:
        self._wire.media(CloseSession(session=self.session))


def _codec_of(target: AudioTarget) -> Codec:
    codec = choose_codec(target)
    if codec is None:
        raise SdpError("no_codec")
    return codec
