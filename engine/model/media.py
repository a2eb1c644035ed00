"""What the call logic asks of a media worker, and what the worker tells it.

Every value names its session. Commands are carried out in the order sent; a command that cannot be
carried out is answered with `MediaFailed`, never with silence.
"""

from __future__ import annotations

import msgspec

from engine.model.ids import PlaybackId, RecordingId, SessionId, TenantId


class Codec(msgspec.Struct, frozen=True, gc=False):
    """One RTP payload format as negotiated for one leg."""

    name: str
    """"PCMU" or "PCMA"."""
    payload_type: int
    rate_hz: int = 8000


class Route(msgspec.Struct, frozen=True, gc=False):
    """One cell of the routing matrix: `destination` hears `source` at `gain_db`."""

    source: str
    destination: str
    gain_db: float = 0.0


# --- commands: engine worker → media worker ------------------------------------


class MediaCommand(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    session: SessionId


class OpenSession(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Reserve one RTP/RTCP port pair for each named endpoint; answered by `SessionOpened`."""

    endpoints: tuple[str, ...]


class AddEndpoint(MediaCommand, frozen=True, tag=True, kw_only=True):
    """A leg joins mid-call; answered by `SessionOpened` naming the new port only."""

    endpoint: str


class RemoveEndpoint(MediaCommand, frozen=True, tag=True, kw_only=True):
    endpoint: str


class SetRemote(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Where the leg wants its RTP, and in which format.

    Packets are also accepted from there only: the source address is locked to the first valid packet
    (symmetric RTP), and re-locked when `SetRemote` names another address.
    """

    endpoint: str
    host: str
    port: int
    codec: Codec
    telephone_event: int | None = None
    """Payload type of RFC 4733 events towards the leg, or None where not negotiated."""
    send: bool = True
    """False while the leg does not want to receive (sendonly, inactive)."""
    receive: bool = True
    """False while the leg does not send (recvonly, inactive): silence from it is no fault."""
    rtcp_port: int | None = None
    """Of a=rtcp (RFC 3605); None: the port after `port`."""


class SetRoutes(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Replace the whole routing matrix."""

    routes: tuple[Route, ...]


class Play(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Play prompts one after the other to one endpoint, mixed over whatever is routed to it."""

    playback: PlaybackId
    endpoint: str
    prompts: tuple[str, ...]
    """Announcement slugs, as in dialplans/announcements.toml."""
    language: str
    """"en" or "zh-CN"."""
    repeat: int = 1
    gap_ms: int = 0


class PlayTone(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Play a supervisory tone until stopped: "ringback", "busy", "congestion"."""

    playback: PlaybackId
    endpoint: str
    tone: str


class StopPlayback(MediaCommand, frozen=True, tag=True, kw_only=True):
    playback: PlaybackId


class SendDtmf(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Press keys towards one endpoint as RFC 4733 events; what it hears otherwise pauses meanwhile."""

    endpoint: str
    digits: str
    duration_ms: int = 100


class StartCapture(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Record two endpoints as one two-channel recording; answered by `CaptureStarted`.

    A channel holds what that endpoint *says* (and what was played to it when `with_prompts`).
    """

    recording: RecordingId
    tenant: TenantId
    call_id: str
    left: str
    right: str
    number_ids: tuple[str, str] = ("", "")
    with_prompts: bool = False


class StopCapture(MediaCommand, frozen=True, tag=True, kw_only=True):
    recording: RecordingId


class CloseSession(MediaCommand, frozen=True, tag=True, kw_only=True):
    """Stop everything; a running capture is closed first. Answered by `SessionClosed`."""


# --- events: media worker → engine worker --------------------------------------


class MediaEvent(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    session: SessionId


class SessionOpened(MediaEvent, frozen=True, tag=True, kw_only=True):
    ports: dict[str, tuple[str, int]]
    """Endpoint → (host, RTP port) to put into SDP."""


class MediaFailed(MediaEvent, frozen=True, tag=True, kw_only=True):
    command: str
    """Name of the command that failed."""
    reason: str
    """A slug of engine.media.failures: no_ports, unknown_session, missing_prompt, disk, …"""
    detail: str = ""
    playback: PlaybackId | None = None
    recording: RecordingId | None = None

    @property
    def text(self) -> str:
        """For people who look into it."""
        return f"{self.command}: {self.reason} {self.detail}".rstrip()


class PlaybackFinished(MediaEvent, frozen=True, tag=True, kw_only=True):
    """The last sample has left, or the playback was stopped."""

    playback: PlaybackId
    stopped: bool = False


class DtmfReceived(MediaEvent, frozen=True, tag=True, kw_only=True):
    """One key press by RFC 4733 (one event for its three end packets)."""

    endpoint: str
    digit: str
    duration_ms: int


class RtpTimeout(MediaEvent, frozen=True, tag=True, kw_only=True):
    """An endpoint that should send has been silent on RTP for `silent_s`. Told once per silence."""

    endpoint: str
    silent_s: float


class CaptureStarted(MediaEvent, frozen=True, tag=True, kw_only=True):
    recording: RecordingId
    path: str
    """Relative to the recordings folder."""


class CaptureClosed(MediaEvent, frozen=True, tag=True, kw_only=True):
    """The file is complete and entered in the chain.

    Also told for recordings an earlier, killed worker left behind (`interrupted`), of sessions long gone.
    """

    recording: RecordingId
    path: str
    duration_ms: int
    size_bytes: int
    digest: str
    """SHA-256 of the stored bytes, hex."""
    interrupted: bool = False


class EndpointStatistics(msgspec.Struct, frozen=True, gc=False):
    packets_received: int
    packets_sent: int
    packets_lost: int
    packets_refused: int
    """From another source than the locked one, or malformed."""
    jitter_ms: float
    round_trip_ms: float | None = None
    """From the peer's RTCP; None while it sends none."""
    remote_packets_lost: int = 0
    """Of ours, by the peer's RTCP."""


class SessionClosed(MediaEvent, frozen=True, tag=True, kw_only=True):
    statistics: dict[str, EndpointStatistics] = {}


class WorkerLost(MediaEvent, frozen=True, tag=True, kw_only=True):
    """The media worker died or its link broke: every one of its sessions is gone."""


AnyMediaCommand = (
    OpenSession
    | AddEndpoint
    | RemoveEndpoint
    | SetRemote
    | SetRoutes
    | Play
    | PlayTone
    | StopPlayback
    | SendDtmf
    | StartCapture
    | StopCapture
    | CloseSession
)
AnyMediaEvent = (
    SessionOpened
    | MediaFailed
    | PlaybackFinished
    | DtmfReceived
    | RtpTimeout
    | CaptureStarted
    | CaptureClosed
    | SessionClosed
    | WorkerLost
)
