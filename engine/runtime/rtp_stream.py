"""One RTP stream of a user agent: speaks frames every 20 ms, hears samples and keys.

For the agent and the lab's phones; calls of the engine go through the media worker.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from engine.model.address import Address
from engine.model.media import Codec
from engine.rtp.events import EventReceiver, EventSender
from engine.rtp.g711 import FRAME_MS, FRAME_SAMPLES, SILENCE, Law, Samples, decode, encode
from engine.rtp.packet import Packet, build, parse
from engine.runtime.udp import UdpSocket

FRAME_S = FRAME_MS / 1000


@dataclass(slots=True)
class _Utterance:
    samples: Samples
    done: Callable[[], None]
    position: int = 0


class RtpStream:
    """Bound at once, on a port of the kernel's choice; from `start` on it sends speech, or silence."""

    def __init__(
        self,
        host: str,
        *,
        on_audio: Callable[[Samples], None] | None = None,
        on_key: Callable[[str], None] | None = None,
    ) -> None:
        self._socket = UdpSocket(host, 0, self._datagram)
        self.address = Address(*self._socket.address)
        self._loop = asyncio.get_running_loop()
        self._socket.start()
        self._on_audio = on_audio
        self._on_key = on_key
        self._remote: tuple[str, int] | None = None
        self._law = Law.of("PCMA")
        self._codec = Codec("PCMA", 8)
        self._event_type: int | None = None
        self._speech: deque[_Utterance] = deque()
        self._keys = EventSender()
        self._events = EventReceiver()
        self._sequence = secrets.randbelow(1 << 15)
        self._timestamp = secrets.randbelow(1 << 31)
        self._event_timestamp = 0
        self._ssrc = secrets.randbelow(1 << 32)
        self._next_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.packets_heard = 0

    def start(self, host: str, port: int, codec: Codec, telephone_event: int | None) -> None:
        """Begin to send, or go on to another target."""
        self._remote = (host, port)
        self._codec, self._law = codec, Law.of(codec.name)
        self._event_type = telephone_event
        if self._timer is None:
            self._next_at = self._loop.time()
            self._tick()

    def say(self, samples: Samples, done: Callable[[], None] = lambda: None) -> None:
        """Queue speech (8 kHz); `done` is called when its last frame has left."""
        self._speech.append(_Utterance(samples, done))

    def be_quiet(self) -> None:
        """Drop what is queued; its `done` is not called."""
        self._speech.clear()

    def press(self, digit: str) -> None:
        """One key as RFC 4733 event; without a negotiated type there is no key to press."""
        if self._event_type is not None:
            self._keys.press(digit)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._remote = None
        self._speech.clear()
        self._socket.close()

    # --- out ---

    def _tick(self) -> None:
        finished = self._send_frame()
        self._next_at += FRAME_S
        late = self._loop.time() - self._next_at
        if late > 0.2:  # the process was held up: do not send a burst
            self._next_at += late
        self._timer = self._loop.call_at(self._next_at, self._tick)
        if finished is not None:
            finished()

    def _send_frame(self) -> Callable[[], None] | None:
        """One packet; returns the `done` of an utterance that has just ended."""
        if self._remote is None:
            return None
        event = self._keys.next() if self._keys else None
        finished = None
        payload_type, marker, timestamp = self._codec.payload_type, False, self._timestamp
        if event is not None and self._event_type is not None:
            if event.first:
                self._event_timestamp = self._timestamp
            payload, payload_type = event.payload, self._event_type
            marker, timestamp = event.first, self._event_timestamp
        else:
            payload, finished = self._frame()
        packet = Packet(payload_type, marker, self._sequence, timestamp, self._ssrc, payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        try:
            self._socket.send(build(packet), self._remote)
        except OSError:
            return finished  # nobody listens there; the call's signalling will tell
        return finished

    def _frame(self) -> tuple[bytes, Callable[[], None] | None]:
        silence = SILENCE[self._law] * FRAME_SAMPLES
        if not self._speech:
            return silence, None
        utterance = self._speech[0]
        part = utterance.samples[utterance.position : utterance.position + FRAME_SAMPLES]
        utterance.position += FRAME_SAMPLES
        payload = encode(part, self._law)
        payload += silence[len(payload) :]
        if utterance.position < len(utterance.samples):
            return payload, None
        self._speech.popleft()
        return payload, utterance.done

    # --- in ---

    def _datagram(self, data: bytes, source: tuple[str, int]) -> None:
        packet = parse(data)
        if packet is None:
            return
        self.packets_heard += 1
        if packet.payload_type == self._event_type:
            for press in self._events.receive(packet.timestamp, packet.payload, time.monotonic()):
                if self._on_key is not None:
                    self._on_key(press.digit)
        elif packet.payload_type in (0, 8) and self._on_audio is not None:
            self._on_audio(decode(packet.payload, Law.of("PCMU" if packet.payload_type == 0 else "PCMA")))
