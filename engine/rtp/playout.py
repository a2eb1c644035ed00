"""A playout buffer: packets in as they arrive, one frame out for each tick."""

from __future__ import annotations

import numpy as np

from engine.rtp.g711 import FRAME_SAMPLES, Samples
from engine.rtp.packet import timestamp_distance

_RING = 8192
"""Samples kept, about one second; a power of two."""
DEPTH_SAMPLES = 2 * FRAME_SAMPLES
"""Delay given to the first packet: what jitter of the network and of our own tick may use up."""
MOST_SAMPLES = 12 * FRAME_SAMPLES
"""More than so much waiting is delay without use: jump forward."""


class PlayoutBuffer:
    """Samples of one source laid out by timestamp; what did not come in time is silence.

    Any packet length goes in. A stream that restarts, pauses or runs slow begins anew with the first delay.
    """

    __slots__ = ("_end", "_next", "_ring", "_ssrc", "late")

    def __init__(self) -> None:
        self._ring: Samples = np.zeros(_RING, np.int16)
        self._ssrc: int | None = None
        self._next = 0
        """Timestamp of the sample the next frame starts with."""
        self._end = 0
        """Timestamp after the newest sample."""
        self.late = 0
        """Packets that came after their time."""

    def put(self, ssrc: int, timestamp: int, samples: Samples) -> None:
        count = len(samples)
        if count > _RING // 2:
            return
        ahead = timestamp_distance(timestamp, self._next)
        if ssrc != self._ssrc or not -MOST_SAMPLES < ahead < _RING // 2 or self.empty:
            self._begin(ssrc, timestamp)
            ahead = DEPTH_SAMPLES
        elif ahead < 0:
            self.late += 1
            return
        start = timestamp % _RING
        stop = start + count
        if stop <= _RING:
            self._ring[start:stop] = samples
        else:
            self._ring[start:] = samples[: _RING - start]
            self._ring[: stop - _RING] = samples[_RING - start :]
        if ahead + count > timestamp_distance(self._end, self._next):
            self._end = timestamp + count
        if ahead > MOST_SAMPLES:
            self._skip(timestamp - DEPTH_SAMPLES)

    def take(self) -> Samples | None:
        """The next frame of `FRAME_SAMPLES`; None where nothing is waiting."""
        if self.empty:
            return None
        start = self._next % _RING
        stop = start + FRAME_SAMPLES
        if stop <= _RING:
            frame = self._ring[start:stop].copy()
            self._ring[start:stop] = 0
        else:
            frame = np.concatenate((self._ring[start:], self._ring[: stop - _RING]))
            self._ring[start:] = 0
            self._ring[: stop - _RING] = 0
        self._next += FRAME_SAMPLES
        return frame

    @property
    def empty(self) -> bool:
        return self._ssrc is None or timestamp_distance(self._end, self._next) <= 0

    def _begin(self, ssrc: int, timestamp: int) -> None:
        self._ring[:] = 0
        self._ssrc = ssrc
        self._next = timestamp - DEPTH_SAMPLES
        self._end = timestamp

    def _skip(self, until: int) -> None:
        """Drop what waits before `until`."""
        while timestamp_distance(until, self._next) >= FRAME_SAMPLES:
            self.take()
