"""The stream towards one leg: relayed and generated packets under one SSRC."""

from __future__ import annotations

import os
import socket

from engine.rtp.events import EventPacket
from engine.rtp.g711 import TRANSCODE, Law
from engine.rtp.packet import HEADER, HEADER_BYTES, MARKER, PLAIN
from engine.rtp.rewriter import StreamRewriter
from engine.rtp.source import SocketAddress

BUFFER = bytearray(2048)
"""The packet being handled: one loop, one packet at a time. Relaying rewrites its header in place."""
_VIEWS = tuple(memoryview(BUFFER)[:size] for size in range(len(BUFFER) + 1))


class Outgoing:
    """Sends to `target` while `open`; what the leg does not want is not sent."""

    __slots__ = (
        "_event_timestamp",
        "_socket",
        "_stream",
        "law",
        "octets",
        "open",
        "packets",
        "payload_type",
        "target",
        "telephone_event",
    )

    def __init__(self, rtp: socket.socket) -> None:
        ssrc, sequence, timestamp = (int.from_bytes(os.urandom(size), "big") for size in (4, 2, 4))
        self._socket = rtp
        self._stream = StreamRewriter(ssrc, sequence, timestamp)
        self._event_timestamp = 0
        self.law = Law.PCMA
        self.payload_type = 8
        self.telephone_event: int | None = None
        self.target: SocketAddress = ("", 0)
        self.open = False
        self.packets = 0
        self.octets = 0

    @property
    def ssrc(self) -> int:
        return self._stream.ssrc

    @property
    def timestamp(self) -> int:
        """Of the newest packet."""
        return self._stream.timestamp

    def change_source(self) -> None:
        """What comes next is another source, or the same one after a pause."""
        self._stream.leave()

    def forward(
        self, size: int, marker: int, law: Law, ssrc: int, sequence: int, timestamp: int, now: float
    ) -> None:
        """Send the `size` bytes in `BUFFER` (a plain header, then speech of `law`) on to the leg."""
        if not self.open:
            return
        sequence, timestamp, changed = self._stream.relay(ssrc, sequence, timestamp, now)
        second = self.payload_type | (MARKER if changed else marker)
        HEADER.pack_into(BUFFER, 0, PLAIN, second, sequence, timestamp, self._stream.ssrc)
        table = TRANSCODE[law][self.law]
        if table is None:
            self._send(_VIEWS[size])
        else:
            self._send(BUFFER[:HEADER_BYTES] + BUFFER[HEADER_BYTES:size].translate(table))

    def forward_event(
        self, size: int, marker: int, ssrc: int, sequence: int, timestamp: int, now: float
    ) -> None:
        """Send the telephone event in `BUFFER` on, if the leg has negotiated such."""
        if not self.open:
            return
        if self.telephone_event is None:
            self._stream.skip(ssrc, sequence)
            return
        sequence, timestamp, _ = self._stream.relay(ssrc, sequence, timestamp, now)
        HEADER.pack_into(
            BUFFER, 0, PLAIN, self.telephone_event | marker, sequence, timestamp, self._stream.ssrc
        )
        self._send(_VIEWS[size])

    def skip(self, ssrc: int, sequence: int) -> None:
        """The source sent a packet that is not for the leg (comfort noise)."""
        self._stream.skip(ssrc, sequence)

    def speak(self, payload: bytes, now: float) -> None:
        """Send one frame of our own, in the leg's law."""
        sequence, timestamp, changed = self._stream.generate(now)
        self._send(self._packet(self.payload_type, changed, sequence, timestamp, payload))

    def press(self, event: EventPacket, now: float) -> None:
        """Send an event packet in place of a frame."""
        sequence, timestamp, _ = self._stream.generate(now)
        if event.first:
            self._event_timestamp = timestamp
        payload_type = self.telephone_event or 0
        packet = self._packet(payload_type, event.first, sequence, self._event_timestamp, event.payload)
        self._send(packet)

    def _packet(
        self, payload_type: int, marker: bool, sequence: int, timestamp: int, payload: bytes
    ) -> bytes:
        second = payload_type | MARKER if marker else payload_type
        return HEADER.pack(PLAIN, second, sequence, timestamp, self._stream.ssrc) + payload

    def _send(self, packet: bytes | bytearray | memoryview) -> None:
        try:
            self._socket.sendto(packet, self.target)
        except OSError:  # no route, or the send buffer is full: a lost packet like any other
            return
        self.packets += 1
        self.octets += len(packet) - HEADER_BYTES
