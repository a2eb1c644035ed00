"""RTCP of one leg: reports sent every five seconds, the peer's read."""

from __future__ import annotations

import os
from collections.abc import Sequence

from engine.rtp.rtcp import (
    Goodbye,
    Report,
    ReportBlock,
    build_bye,
    build_report,
    middle,
    ntp_time,
    round_trip_s,
)
from engine.rtp.statistics import Reception

INTERVAL_S = 5.0


class Reports:
    """What we tell the peer of its stream, and what it tells us of ours."""

    __slots__ = ("_cname", "_heard_at", "_last_report", "_packets_told", "remote_lost", "round_trip_ms")

    def __init__(self, host: str) -> None:
        self._cname = f"{os.urandom(12).hex()}@{host}"  # RFC 7022 §4.2: unique, tells nothing
        self._last_report = 0
        self._heard_at = 0.0
        self._packets_told = 0
        self.round_trip_ms: float | None = None
        self.remote_lost = 0

    def build(
        self, ssrc: int, timestamp: int, packets: int, octets: int, reception: Reception | None, wall_s: float
    ) -> bytes:
        """The next report: an SR if we have sent since the last one, else an RR (RFC 3550 §6.4)."""
        blocks = (self._block(reception, wall_s),) if reception is not None else ()
        if packets == self._packets_told:
            return build_report(Report(ssrc, blocks), self._cname)
        self._packets_told = packets
        return build_report(Report(ssrc, blocks, ntp_time(wall_s), timestamp, packets, octets), self._cname)

    def goodbye(self, ssrc: int) -> bytes:
        return build_bye(ssrc, self._cname)

    def read(self, packets: Sequence[Report | Goodbye], ssrc: int, wall_s: float) -> None:
        """Take in a compound packet of the peer; `ssrc` is our own."""
        for report in packets:
            if not isinstance(report, Report):
                continue
            if report.ntp is not None:
                self._last_report, self._heard_at = middle(report.ntp), wall_s
            for block in report.blocks:
                if block.ssrc == ssrc:
                    self.remote_lost = max(0, block.lost)
                    trip_s = round_trip_s(block, ntp_time(wall_s))
                    if trip_s is not None:
                        self.round_trip_ms = trip_s * 1000

    def _block(self, reception: Reception, wall_s: float) -> ReportBlock:
        delay = int((wall_s - self._heard_at) * 65_536) & 0xFFFF_FFFF if self._last_report else 0
        return ReportBlock(
            reception.ssrc,
            reception.fraction_lost(),
            reception.lost,
            reception.highest_sequence,
            reception.jitter,
            self._last_report,
            delay,
        )
