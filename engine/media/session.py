"""One call's media: its endpoints, who hears whom, what is played and recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.media.capture import Capture
from engine.media.disk import Disk
from engine.media.endpoint import Endpoint, Feed
from engine.media.failures import (
    ENDPOINT_EXISTS,
    NO_TELEPHONE_EVENT,
    PLAYBACK_EXISTS,
    RECORDING_EXISTS,
    UNKNOWN_ENDPOINT,
    UNKNOWN_PLAYBACK,
    UNKNOWN_RECORDING,
    CommandError,
)
from engine.media.ports import PortPool
from engine.media.settings import WorkerSettings
from engine.media.sounds import Playback, SoundLibrary
from engine.media.ticker import Ticker
from engine.model.ids import PlaybackId, RecordingId, SessionId
from engine.model.media import (
    AnyMediaEvent,
    DtmfReceived,
    Play,
    PlaybackFinished,
    PlayTone,
    Route,
    RtpTimeout,
    SendDtmf,
    SessionClosed,
    SessionOpened,
    SetRemote,
    StartCapture,
)
from engine.rtp.events import DIGITS, Press
from engine.rtp.playout import PlayoutBuffer


@dataclass(slots=True)
class Surroundings:
    """What the sessions of a worker share."""

    settings: WorkerSettings
    ports: PortPool
    sounds: SoundLibrary
    disk: Disk
    tell: Callable[[AnyMediaEvent], None]
    on_disk_done: Callable[[Callable[[], None]], Callable[[], None]]
    """Wraps a callback so that the writer thread may call it: it then runs on the loop."""
    watch: Callable[[Endpoint], None]
    """Read the endpoint's sockets from now on."""
    unwatch: Callable[[Endpoint], None]
    ticker: Ticker
    keys_down: set[Endpoint] = field(default_factory=set)
    """Endpoints with a press that may have lost its end."""


class Session:
    """Raises `CommandError` from every method that carries out a command."""

    def __init__(self, session_id: SessionId, worker: Surroundings) -> None:
        self.id = session_id
        self._worker = worker
        self.endpoints: dict[str, Endpoint] = {}
        self.captures: dict[RecordingId, Capture] = {}
        self._routes: tuple[Route, ...] = ()
        self._relayed_from: dict[str, str | None] = {}
        """Destination → the one source it is relayed from, if it is."""
        self._closing_files = 0
        self._farewell: SessionClosed | None = None

    # --- endpoints ---

    def open(self, names: tuple[str, ...], now: float) -> None:
        """Reserve ports for all of the endpoints or for none."""
        try:
            ports = {name: self._add(name, now) for name in names}
        except CommandError:
            for name in list(self.endpoints):
                self._drop(name)
            raise
        self._worker.tell(SessionOpened(session=self.id, ports=ports))

    def add_endpoint(self, name: str, now: float) -> None:
        address = self._add(name, now)
        self._plan()
        self._worker.tell(SessionOpened(session=self.id, ports={name: address}))

    def remove_endpoint(self, name: str) -> None:
        endpoint = self._endpoint(name)
        for playback in list(endpoint.playbacks):
            self.stop_playback(playback)
        self._drop(name)
        self._plan()

    def set_remote(self, command: SetRemote, now: float) -> None:
        self._endpoint(command.endpoint).set_remote(command, now)

    def set_routes(self, routes: tuple[Route, ...]) -> None:
        for route in routes:
            self._endpoint(route.source)
            self._endpoint(route.destination)
        self._routes = routes
        self._plan()

    # --- playing ---

    def play(self, command: Play) -> None:
        sounds = [self._worker.sounds.prompt(slug, command.language) for slug in command.prompts]
        playback = Playback.of_prompts(sounds, max(1, command.repeat), max(0, command.gap_ms))
        self._begin(command.playback, command.endpoint, playback)

    def play_tone(self, command: PlayTone) -> None:
        playback = Playback([self._worker.sounds.tone(command.tone)], loop=True)
        self._begin(command.playback, command.endpoint, playback)

    def stop_playback(self, playback: PlaybackId) -> None:
        self._end_playback(playback, stopped=True)

    def send_dtmf(self, command: SendDtmf) -> None:
        endpoint = self._endpoint(command.endpoint)
        if endpoint.out.telephone_event is None or not set(command.digits) <= set(DIGITS):
            raise CommandError(NO_TELEPHONE_EVENT, command.endpoint)
        for digit in command.digits:
            endpoint.keys_out.press(digit, command.duration_ms)
        self._plan()

    # --- recording ---

    def start_capture(self, command: StartCapture, now: float) -> None:
        if command.recording in self.captures:
            raise CommandError(RECORDING_EXISTS, command.recording)
        left, right = self._endpoint(command.left), self._endpoint(command.right)
        file = self._worker.disk.capture(command, datetime.now(UTC), (left.law, right.law))
        capture = Capture(
            file, (command.left, command.right), (left.law, right.law), now, command.with_prompts
        )
        self.captures[command.recording] = capture
        self._attach_channels()

    def stop_capture(self, recording: RecordingId, reason: str, now: float) -> None:
        capture = self.captures.pop(recording, None)
        if capture is None:
            raise CommandError(UNKNOWN_RECORDING, recording)
        self._attach_channels()
        capture.flush(now, last=True)
        self._closing_files += 1
        capture.file.close(reason, self._worker.on_disk_done(self._file_closed))

    def flush_captures(self, now: float) -> None:
        for capture in self.captures.values():
            capture.flush(now)

    # --- the end ---

    def close(self, reason: str, now: float) -> None:
        """Close captures, release the ports; `SessionClosed` is told when the files are closed."""
        for recording in list(self.captures):
            self.stop_capture(recording, reason, now)
        statistics = {name: endpoint.statistics() for name, endpoint in self.endpoints.items()}
        for name in list(self.endpoints):
            self._drop(name)
        self._farewell = SessionClosed(session=self.id, statistics=statistics)
        self._tell_closed()

    def _file_closed(self) -> None:
        self._closing_files -= 1
        self._tell_closed()

    def _tell_closed(self) -> None:
        if self._farewell is not None and not self._closing_files:
            self._worker.tell(self._farewell)

    # --- what endpoints tell ---

    def pressed(self, endpoint: Endpoint, press: Press) -> None:
        self._worker.tell(
            DtmfReceived(
                session=self.id, endpoint=endpoint.name, digit=press.digit, duration_ms=press.duration_ms
            )
        )
        for destination in self.endpoints.values():
            if endpoint.name in destination.feeds and destination.out.telephone_event is not None:
                destination.keys_out.press(press.digit, press.duration_ms)

    def key_down(self, endpoint: Endpoint) -> None:
        self._worker.keys_down.add(endpoint)

    def played(self, playback: PlaybackId) -> None:
        self._end_playback(playback, stopped=False)

    def keys_sent(self) -> None:
        """The last queued key has left: a leg that only pressed keys is relayed to again."""
        self._plan()

    def check_silence(self, now: float) -> None:
        """Tell of endpoints that have been silent for too long, once for each silence."""
        limit = self._worker.settings.rtp_timeout_s
        for endpoint in self.endpoints.values():
            silent_s = now - endpoint.heard_at
            if limit and endpoint.expects_rtp and not endpoint.timeout_told and silent_s >= limit:
                endpoint.timeout_told = True
                self._worker.tell(
                    RtpTimeout(session=self.id, endpoint=endpoint.name, silent_s=round(silent_s, 1))
                )

    # --- inside ---

    def _endpoint(self, name: str) -> Endpoint:
        try:
            return self.endpoints[name]
        except KeyError:
            raise CommandError(UNKNOWN_ENDPOINT, name) from None

    def _add(self, name: str, now: float) -> tuple[str, int]:
        if name in self.endpoints:
            raise CommandError(ENDPOINT_EXISTS, name)
        host = self._worker.settings.host
        pair = self._worker.ports.open()
        endpoint = Endpoint(name, pair, host, self)
        endpoint.heard_at = now
        self.endpoints[name] = endpoint
        self._attach_channels()
        self._worker.watch(endpoint)
        return host, pair.port

    def _drop(self, name: str) -> None:
        endpoint = self.endpoints.pop(name)
        endpoint.send_goodbye()
        self._worker.unwatch(endpoint)
        self._worker.ticker.discard(endpoint)
        self._worker.keys_down.discard(endpoint)
        self._worker.ports.give_back(endpoint.pair)
        self._routes = tuple(route for route in self._routes if name not in (route.source, route.destination))
        self._relayed_from.pop(name, None)

    def _begin(self, playback_id: PlaybackId, name: str, playback: Playback) -> None:
        endpoint = self._endpoint(name)
        if any(playback_id in other.playbacks for other in self.endpoints.values()):
            raise CommandError(PLAYBACK_EXISTS, playback_id)
        endpoint.playbacks[playback_id] = playback
        self._plan()

    def _end_playback(self, playback: PlaybackId, *, stopped: bool) -> None:
        for endpoint in self.endpoints.values():
            if endpoint.playbacks.pop(playback, None) is not None:
                self._plan()
                self._worker.tell(PlaybackFinished(session=self.id, playback=playback, stopped=stopped))
                return
        raise CommandError(UNKNOWN_PLAYBACK, playback)

    def _attach_channels(self) -> None:
        for name, endpoint in self.endpoints.items():
            endpoint.channels = [
                capture.channels[name] for capture in self.captures.values() if name in capture.channels
            ]

    def _plan(self) -> None:
        """Settle for every destination whether packets are relayed to it as they come, or it is mixed for."""
        for endpoint in self.endpoints.values():
            endpoint.relays, endpoint.mixers = [], []
        for name, destination in self.endpoints.items():
            heard = {route.source: route.gain_db for route in self._routes if route.destination == name}
            plain = len(heard) == 1 and set(heard.values()) == {0.0}
            source = None
            if plain and not (destination.playbacks or destination.keys_out):
                (source,) = heard
                self.endpoints[source].relays.append(destination.out)
                destination.feeds = {}
            else:
                destination.feeds = {
                    origin: Feed(self._buffer(destination, origin), gain_db)
                    for origin, gain_db in heard.items()
                }
                for origin, feed in destination.feeds.items():
                    self.endpoints[origin].mixers.append(feed.buffer)
            if self._relayed_from.get(name) != source:
                self._relayed_from[name] = source
                destination.out.change_source()
            if destination.mixing:
                self._worker.ticker.add(destination)
            else:
                self._worker.ticker.discard(destination)

    def _buffer(self, destination: Endpoint, origin: str) -> PlayoutBuffer:
        feed = destination.feeds.get(origin)
        return PlayoutBuffer() if feed is None else feed.buffer
