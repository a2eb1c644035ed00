"""One leg's RTP: what comes in, who gets it, what is played out."""

from __future__ import annotations

import ipaddress
import time
from typing import NamedTuple, Protocol

from engine.media.capture import Channel
from engine.media.failures import BAD_ADDRESS, UNSUPPORTED_CODEC, CommandError
from engine.media.outgoing import BUFFER, Outgoing
from engine.media.ports import PortPair
from engine.media.reports import Reports
from engine.media.sounds import Playback, Sound
from engine.model.ids import PlaybackId
from engine.model.media import EndpointStatistics, SetRemote
from engine.rtp import g711
from engine.rtp.events import EventReceiver, EventSender, Press
from engine.rtp.g711 import Law, Samples
from engine.rtp.packet import HEADER, HEADER_BYTES, MARKER, PLAIN, payload_bounds
from engine.rtp.playout import PlayoutBuffer
from engine.rtp.rtcp import parse
from engine.rtp.source import SocketAddress, SourceLock
from engine.rtp.statistics import Reception

COMFORT_NOISE = 13
MOST_PACKETS_S = 400
"""What a leg may send in a second, eight times the usual: more is a flood or a loop of our own packets."""


class Feed(NamedTuple):
    """A source as heard by an endpoint that mixes."""

    buffer: PlayoutBuffer
    gain_db: float


class EndpointListener(Protocol):
    def pressed(self, endpoint: Endpoint, press: Press) -> None: ...
    def key_down(self, endpoint: Endpoint) -> None:
        """A press has begun whose end may get lost: `expire_keys` is to be asked."""

    def played(self, playback: PlaybackId) -> None: ...
    def keys_sent(self) -> None: ...


class Endpoint:
    """One leg: a pair of sockets, the lock on its source, the stream towards it.

    `relays` are the legs that get its packets as they arrive, `mixers` the playout buffers of those that hear
    it mixed; both are the session's plan. `feeds` are what this leg itself hears mixed.
    """

    def __init__(self, name: str, pair: PortPair, host: str, listener: EndpointListener) -> None:
        self.name = name
        self.pair = pair
        self.out = Outgoing(pair.rtp)
        self.relays: list[Outgoing] = []
        self.mixers: list[PlayoutBuffer] = []
        self.feeds: dict[str, Feed] = {}
        self.playbacks: dict[PlaybackId, Playback] = {}
        self.keys_out = EventSender()
        self.channels: list[Channel] = []
        self.reports = Reports(host)
        self.next_report_at = 0.0
        self.expects_rtp = False
        self.heard_at = 0.0
        """Monotonic time of the last packet, or since when one is expected."""
        self.timeout_told = False
        self._listener = listener
        self._ip_version = ipaddress.ip_address(host).version
        self._lock: SourceLock | None = None
        self._rtcp_lock: SourceLock | None = None
        self._laws: dict[int, Law] = {}
        self._telephone_event: int | None = None
        self._keys_in = EventReceiver()
        self._reception: Reception | None = None
        self._received = self._refused = self._lost_before = 0
        self._allowance = MOST_PACKETS_S

    # --- set-up ---

    def set_remote(self, command: SetRemote, now: float) -> None:
        """Raises `CommandError` and changes nothing if the address or the codec cannot be used."""
        signalled = self._address(command.host, command.port)
        rtcp = self._address(command.host, command.rtcp_port or min(command.port + 1, 65_535))
        try:
            law = Law.of(command.codec.name)
        except KeyError:
            raise CommandError(UNSUPPORTED_CODEC, command.codec.name) from None
        on_hold = ipaddress.ip_address(command.host).is_unspecified  # RFC 3264 §8.4: nowhere to send to
        if self._lock is None or self._rtcp_lock is None:
            self._lock, self._rtcp_lock = SourceLock(signalled), SourceLock(rtcp)
        elif not on_hold:
            self._lock.reopen(signalled)
            self._rtcp_lock.reopen(rtcp)
        # A peer may use any format of its description, and the static types mean what they always mean.
        self._laws = {0: Law.PCMU, 8: Law.PCMA, command.codec.payload_type: law}
        self._telephone_event = command.telephone_event
        self._laws.pop(-1 if command.telephone_event is None else command.telephone_event, None)
        out = self.out
        out.law, out.payload_type, out.telephone_event = (
            law,
            command.codec.payload_type,
            command.telephone_event,
        )
        out.target = self._lock.target
        wanted = command.send and not on_hold
        if wanted and not out.open:
            out.change_source()
        out.open = wanted
        self.expects_rtp = command.receive and wanted  # who holds the other may be silent
        self.heard_at, self.timeout_told = now, False

    @property
    def law(self) -> Law:
        return self.out.law

    @property
    def mixing(self) -> bool:
        """Something of our own making is to be sent: the ticker is needed."""
        return bool(self.playbacks or self.keys_out or self.feeds)

    def _address(self, host: str, port: int) -> SocketAddress:
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            raise CommandError(BAD_ADDRESS, host) from None
        if version != self._ip_version or not 0 < port < 65_536:
            raise CommandError(BAD_ADDRESS, f"{host} port {port}")
        return (host, port) if version == 4 else (str(ipaddress.ip_address(host)), port, 0, 0)

    # --- in ---

    def readable(self) -> None:
        """Take one packet off the RTP socket.

        A phone sends one every 20 ms: asking for a second would nearly always cost a system call for nothing,
        and where there is one the loop calls again.
        """
        try:
            size, source = self.pair.rtp.recvfrom_into(BUFFER)
        except OSError:
            return
        self._packet(size, source, time.monotonic())

    def _packet(self, size: int, source: SocketAddress, now: float) -> None:
        lock = self._lock
        if lock is None or size < HEADER_BYTES or size == len(BUFFER) or not self._allowance:
            self._refused += 1
            return
        if BUFFER[0] != PLAIN:
            size = _normalise(size)
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(BUFFER)
        payload_type = second & 0x7F
        law = self._laws.get(payload_type)
        event = payload_type == self._telephone_event
        if first != PLAIN or (law is None and not event and payload_type != COMFORT_NOISE):
            self._refused += 1
            return
        if source != lock.locked:
            if not lock.admit(source):
                self._refused += 1
                return
            self.out.target = source
        self._allowance -= 1
        self._received += 1
        self.heard_at = now
        self.timeout_told = False
        reception = self._reception
        if reception is None or reception.ssrc != ssrc:
            reception = self._new_reception(ssrc, sequence, timestamp, now)
        reception.add(sequence, timestamp, now)
        if event:
            self._event(size, second, sequence, timestamp, ssrc, now)
        elif law is None:
            for relay in self.relays:
                relay.skip(ssrc, sequence)
        else:
            if self.channels or self.mixers:
                self._hear(bytes(BUFFER[HEADER_BYTES:size]), law, timestamp, ssrc, now)
            for relay in self.relays:
                relay.forward(size, second & MARKER, law, ssrc, sequence, timestamp, now)

    def _hear(self, payload: bytes, law: Law, timestamp: int, ssrc: int, now: float) -> None:
        for channel in self.channels:
            channel.hear(ssrc, timestamp, payload, law, now)
        if self.mixers:
            samples = g711.decode(payload, law)
            for mixer in self.mixers:
                mixer.put(ssrc, timestamp, samples)

    def _event(self, size: int, second: int, sequence: int, timestamp: int, ssrc: int, now: float) -> None:
        payload = bytes(BUFFER[HEADER_BYTES:size])
        for press in self._keys_in.receive(timestamp, payload, now):
            self._listener.pressed(self, press)
        if self._keys_in.pressed:
            self._listener.key_down(self)
        for relay in self.relays:
            relay.forward_event(size, second & MARKER, ssrc, sequence, timestamp, now)

    def renew_allowance(self) -> None:
        """To be called every second."""
        self._allowance = MOST_PACKETS_S

    def expire_keys(self, now: float) -> bool:
        """Tell of a press whose end was lost; whether a key is still down."""
        for press in self._keys_in.expire(now):
            self._listener.pressed(self, press)
        return self._keys_in.pressed

    def _new_reception(self, ssrc: int, sequence: int, timestamp: int, now: float) -> Reception:
        if self._reception is not None:
            self._lost_before += max(0, self._reception.lost)
        self._reception = Reception(ssrc, sequence, timestamp, now)
        return self._reception

    # --- out ---

    def tick(self, now: float) -> None:
        """Send the frame of this 20 ms, if there is one."""
        heard = [
            g711.gain(samples, feed.gain_db)
            for feed in self.feeds.values()
            if (samples := feed.buffer.take()) is not None
        ]
        frames: list[tuple[Sound, int]] = []
        finished = []
        for playback_id, playback in self.playbacks.items():
            frame = playback.take()
            if frame is not None:
                frames.append(frame)
            if playback.finished:
                finished.append(playback_id)
        pressing = bool(self.keys_out)
        event = self.keys_out.next() if pressing else None
        if self.out.open:
            if event is not None:
                self.out.press(event, now)
            elif heard or frames:
                self._speak(heard, frames, now)
            else:
                self.out.change_source()
        for playback_id in finished:
            self._listener.played(playback_id)
        if pressing and not self.keys_out:
            self._listener.keys_sent()

    def _speak(self, heard: list[Samples], frames: list[tuple[Sound, int]], now: float) -> None:
        out = self.out
        if len(frames) == 1 and not heard:
            sound, frame = frames[0]
            out.speak(sound.coded(frame, out.law), now)
        else:
            parts = heard + [sound.samples(frame) for sound, frame in frames]
            out.speak(g711.encode(g711.mix(parts), out.law), now)
        if frames and self.channels:
            played = g711.mix([sound.samples(frame) for sound, frame in frames])
            for channel in self.channels:
                channel.play(out.timestamp, played, now)

    # --- reports ---

    def rtcp_readable(self) -> None:
        """Take one packet off the RTCP socket; who is believed is locked as for RTP."""
        try:
            size, source = self.pair.rtcp.recvfrom_into(BUFFER)
        except OSError:
            return
        lock = self._rtcp_lock
        if lock is not None and source[0] == lock.target[0]:
            packets = parse(bytes(BUFFER[:size]))
            if packets and lock.admit(source):
                self.reports.read(packets, self.out.ssrc, time.time())
                return
        self._refused += 1

    def send_report(self) -> None:
        if self._rtcp_lock is not None:
            out = self.out
            self._send_rtcp(
                self.reports.build(
                    out.ssrc, out.timestamp, out.packets, out.octets, self._reception, time.time()
                )
            )

    def send_goodbye(self) -> None:
        if self._rtcp_lock is not None and self.out.packets:
            self._send_rtcp(self.reports.goodbye(self.out.ssrc))

    def _send_rtcp(self, data: bytes) -> None:
        assert self._rtcp_lock is not None
        try:
            self.pair.rtcp.sendto(data, self._rtcp_lock.target)
        except OSError:
            return

    def statistics(self) -> EndpointStatistics:
        reception = self._reception
        return EndpointStatistics(
            packets_received=self._received,
            packets_sent=self.out.packets,
            packets_lost=self._lost_before + (max(0, reception.lost) if reception else 0),
            packets_refused=self._refused,
            jitter_ms=round(reception.jitter_ms, 3) if reception else 0.0,
            round_trip_ms=self.reports.round_trip_ms,
            remote_packets_lost=self.reports.remote_lost,
        )


def _normalise(size: int) -> int:
    """Make a packet with CSRCs, extension or padding in `BUFFER` a plain one; its new size."""
    bounds = payload_bounds(BUFFER, size)
    if bounds is None:
        return size  # its first byte still says that it is not plain
    payload = BUFFER[bounds[0] : bounds[1]]
    size = HEADER_BYTES + len(payload)
    BUFFER[HEADER_BYTES:size] = payload
    BUFFER[0] = PLAIN
    return size
