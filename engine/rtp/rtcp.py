"""RTCP: what we send (SR or RR, SDES with CNAME, BYE) and what we read of the peer's (RFC 3550 §6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from engine.rtp.packet import Buffer

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, BYE = 200, 201, 202, 203
CNAME = 1
NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970."""

_HEADER = Struct("!BBH")
_SENDER = Struct("!IIIIII")
_BLOCK = Struct("!IB3sIIII")
_VERSION = 0x80


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """One receiver's view of one sender (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the report before."""
    lost: int
    """Cumulative, signed 24 bits."""
    highest_sequence: int
    jitter: int
    last_report: int
    """Middle 32 bits of the NTP time of the last SR received, 0 for none."""
    delay: int
    """Since that SR, in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class Report:
    """An SR, or an RR where `ntp` is None."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    ntp: int | None = None
    """64-bit NTP time at which `timestamp` was current."""
    timestamp: int = 0
    packets: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Goodbye:
    ssrcs: tuple[int, ...]


def ntp_time(unix_s: float) -> int:
    """64-bit NTP time of a wall clock reading."""
    return int((unix_s + NTP_EPOCH_S) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def middle(ntp: int) -> int:
    """The 32 bits that reports echo as `last_report`."""
    return ntp >> 16 & 0xFFFF_FFFF


def round_trip_s(block: ReportBlock, now: int) -> float | None:
    """Round trip told by a block that arrived at NTP time `now`; None before our first SR was heard."""
    if not block.last_report:
        return None
    units = (middle(now) - block.last_report - block.delay) & 0xFFFF_FFFF
    return units / 65_536 if units < 0x8000_0000 else 0.0


def build_report(report: Report, cname: str) -> bytes:
    """The compound packet of SR or RR and SDES (RFC 3550 §6.1)."""
    body = b"".join(_pack_block(block) for block in report.blocks)
    if report.ntp is None:
        first = _packet(RECEIVER_REPORT, len(report.blocks), report.ssrc.to_bytes(4, "big") + body)
    else:
        sender = _SENDER.pack(
            report.ssrc,
            report.ntp >> 32,
            report.ntp & 0xFFFF_FFFF,
            report.timestamp,
            report.packets & 0xFFFF_FFFF,
            report.octets & 0xFFFF_FFFF,
        )
        first = _packet(SENDER_REPORT, len(report.blocks), sender + body)
    name = cname.encode()[:255]
    item = report.ssrc.to_bytes(4, "big") + bytes((CNAME, len(name))) + name
    item += bytes(4 - len(item) % 4)  # at least one zero ends the list
    return first + _packet(SOURCE_DESCRIPTION, 1, item)


def build_bye(ssrc: int, cname: str) -> bytes:
    """The compound packet that ends a stream: an empty RR, SDES and BYE (RFC 3550 §6.6)."""
    return build_report(Report(ssrc), cname) + _packet(BYE, 1, ssrc.to_bytes(4, "big"))


def parse(data: Buffer) -> list[Report | Goodbye]:
    """Reports and goodbyes of a compound packet; nothing at all if its structure is broken."""
    found: list[Report | Goodbye] = []
    for kind, count, body in _packets(bytes(data)):
        if kind == SENDER_REPORT and len(body) >= _SENDER.size:
            ssrc, high, low, timestamp, packets, octets = _SENDER.unpack_from(body)
            blocks = _blocks(body[_SENDER.size :], count)
            found.append(Report(ssrc, blocks, high << 32 | low, timestamp, packets, octets))
        elif kind == RECEIVER_REPORT and len(body) >= 4:
            found.append(Report(int.from_bytes(body[:4], "big"), _blocks(body[4:], count)))
        elif kind == BYE and len(body) >= 4 * count:
            ssrcs = tuple(int.from_bytes(body[at : at + 4], "big") for at in range(0, 4 * count, 4))
            found.append(Goodbye(ssrcs))
    return found


def _packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, count and body of each packet, if all of them are well-formed (RFC 3550 A.2)."""
    parts: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            return
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first & 0xC0 != _VERSION or end > len(data):
            return
        parts.append((kind, first & 0x1F, data[at + 4 : end]))
        at = end
    if parts and parts[0][0] in (SENDER_REPORT, RECEIVER_REPORT):
        yield from parts


def _blocks(body: bytes, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for at in range(0, min(count * _BLOCK.size, len(body) - _BLOCK.size + 1), _BLOCK.size):
        ssrc, fraction, lost, highest, jitter, last, delay = _BLOCK.unpack_from(body, at)
        total = int.from_bytes(lost, "big", signed=True)
        blocks.append(ReportBlock(ssrc, fraction, total, highest, jitter, last, delay))
    return tuple(blocks)


def _pack_block(block: ReportBlock) -> bytes:
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost,
        block.lost.to_bytes(3, "big", signed=True),
        block.highest_sequence & 0xFFFF_FFFF,
        block.jitter & 0xFFFF_FFFF,
        block.last_report,
        block.delay,
    )


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(_VERSION | count, kind, len(body) // 4) + body
