"""The RTP header (RFC 3550 §5.1): bytes in, small integers out; nothing here allocates on the relay path.

The relay reads and rewrites headers in place with `HEADER`; everything else uses `parse` and `build`.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

HEADER = Struct("!BBHII")
"""Version/padding/extension/CSRC count, marker/payload type, sequence, timestamp, SSRC."""
HEADER_BYTES = HEADER.size
PLAIN = 0x80
"""First byte of a packet with neither padding, extension nor CSRCs: the payload starts at byte 12."""
MARKER = 0x80

SEQUENCE_MASK = 0xFFFF
TIMESTAMP_MASK = 0xFFFF_FFFF

Buffer = bytes | bytearray | memoryview


class Packet(NamedTuple):
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def payload_bounds(data: Buffer, size: int) -> tuple[int, int] | None:
    """Start and end of the payload in the first `size` bytes; None for what is no RTP packet.

    RTCP that strays onto the RTP port (payload types 72–76 with the marker bit, RFC 5761 §4) is none.
    """
    if size < HEADER_BYTES or data[0] & 0xC0 != 0x80 or 200 <= data[1] <= 207:
        return None
    first = data[0]
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > size:
            return None
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
    end = size
    if first & 0x20:
        padding = data[size - 1]
        if padding == 0:
            return None
        end -= padding
    return (start, end) if start <= end else None


def parse(data: Buffer) -> Packet | None:
    """The packet, without extension, CSRCs and padding; None for what is no RTP packet."""
    bounds = payload_bounds(data, len(data))
    if bounds is None:
        return None
    _, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    payload = bytes(data[bounds[0] : bounds[1]])
    return Packet(second & 0x7F, second >= MARKER, sequence, timestamp, ssrc, payload)


def build(packet: Packet) -> bytes:
    """The packet on the wire."""
    second = packet.payload_type | (MARKER if packet.marker else 0)
    return HEADER.pack(PLAIN, second, packet.sequence, packet.timestamp, packet.ssrc) + packet.payload


def timestamp_distance(newer: int, older: int) -> int:
    """`newer - older` modulo 2^32, from -2^31 to 2^31 - 1."""
    return ((newer - older + 0x8000_0000) & TIMESTAMP_MASK) - 0x8000_0000
