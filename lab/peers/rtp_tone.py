"""A party for the ear and the voice: sends a tone as G.711 RTP, presses keys, keeps what it hears.

It answers to where its first packet came from (symmetric RTP), so it needs no session description: SIPp does
the signalling and names this party's port. RTP after RFC 3550 §5.1, keys after RFC 4733 §2.3.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from lab.peers import tone

_HEADER = struct.Struct("!BBHII")
_FRAME = 160  # samples of 20 ms
_PTIME_S = 0.02
_KEYS = "0123456789*#"
_KEY_FRAMES = 5
_EVENT_TYPE = 101


class RtpParty(asyncio.DatagramProtocol):
    """One end of a stream. `sources` are the addresses it heard from, `keys` the ones pressed at it."""

    _transport: asyncio.DatagramTransport

    def __init__(self, tone_hz: float, payload_type: int) -> None:
        self.sources: set[tuple[str, int]] = set()
        self.keys: list[str] = []
        self.answering = asyncio.Event()
        self._payload_type = payload_type
        self._frames = tone.encode(tone.tone(tone_hz, 1), payload_type)
        self._heard: list[tuple[int, tone.Samples]] = []
        self._last_key = -1
        self._to: tuple[str, int] | None = None
        self._sequence = 0
        self._timestamp = 0
        self._due_keys: list[str] = []

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if len(data) < _HEADER.size or data[0] >> 6 != 2:
            return
        _, kind, _, timestamp, _ = _HEADER.unpack_from(data)
        self.sources.add(address)
        self._to = self._to or address
        self.answering.set()
        payload = data[_HEADER.size + 4 * (data[0] & 15) :]
        match kind & 127:
            case tone.PCMU | tone.PCMA as payload_type:
                self._heard.append((timestamp, tone.decode(payload, payload_type)))
            case kind_of_event if kind_of_event == _EVENT_TYPE and timestamp != self._last_key:
                self._last_key = timestamp
                self.keys.append(_KEYS[payload[0]])

    def heard(self) -> tone.Samples:
        """Everything heard so far, packet after packet as it came."""
        return np.concatenate([samples for _, samples in self._heard] or [np.zeros(0, np.int16)])

    def press(self, key: str) -> None:
        """Press one of 0–9, * and # instead of sounding the tone, from the next packet on."""
        if key not in _KEYS:
            raise ValueError(f"{key!r} is not a telephone key")
        self._due_keys.append(key)

    async def talk(self, transport: asyncio.DatagramTransport) -> None:
        """Send packets every 20 ms from the moment the first one came in, until cancelled."""
        self._transport = transport
        await self.answering.wait()
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self._due_keys:
                due = await self._send_key(self._due_keys.pop(0), due)
            start = self._timestamp % len(self._frames)
            self._send(self._payload_type, self._frames[start : start + _FRAME], self._timestamp)
            self._timestamp += _FRAME
            due += _PTIME_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _send_key(self, key: str, due: float) -> float:
        """One event: its packets share a timestamp, the last three say that it ended. Returns when it did."""
        loop = asyncio.get_running_loop()
        for frame in range(1, _KEY_FRAMES + 3):
            ended = frame >= _KEY_FRAMES
            duration = min(frame, _KEY_FRAMES) * _FRAME
            event = struct.pack("!BBH", _KEYS.index(key), 0x80 * ended | 10, duration)
            self._send(_EVENT_TYPE, event, self._timestamp, marker=frame == 1)
            due += _PTIME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
        self._timestamp += (_KEY_FRAMES + 2) * _FRAME
        return due

    def _send(self, kind: int, payload: bytes, timestamp: int, marker: bool = False) -> None:
        header = _HEADER.pack(0x80, 0x80 * marker | kind, self._sequence & 0xFFFF, timestamp, 0x52494E47)
        self._sequence += 1
        self._transport.sendto(header + payload, self._to)


@asynccontextmanager
async def rtp_party(
    address: str, port: int, tone_hz: float, payload_type: int = tone.PCMA
) -> AsyncIterator[RtpParty]:
    """A party at this address and port while the block lasts."""
    loop = asyncio.get_running_loop()
    transport, party = await loop.create_datagram_endpoint(
        lambda: RtpParty(tone_hz, payload_type), local_addr=(address, port)
    )
    talking = asyncio.create_task(party.talk(transport))
    try:
        yield party
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        transport.close()
