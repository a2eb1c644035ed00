"""One SSRC and continuous sequence and timestamps towards a leg, whatever its sources are."""

from __future__ import annotations

from engine.rtp.packet import SEQUENCE_MASK, TIMESTAMP_MASK

_OURSELVES = -1
"""Stands for an SSRC where we make the packets."""
_RESTART_SEQUENCES = 3000
"""A jump larger than this within one SSRC is a restarted sender (RFC 3550 A.1, MAX_DROPOUT)."""


class StreamRewriter:
    """Maps the headers of relayed and of generated packets onto one outgoing stream.

    Losses and reordering within one source stay visible; at a change of source the sequence goes on by one
    and the timestamp by the time that has passed. The first packet after a change carries the marker.
    """

    __slots__ = (
        "_frame",
        "_rate_hz",
        "_sequence_shift",
        "_source",
        "_spoken_at",
        "_timestamp_shift",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(
        self, ssrc: int, sequence: int, timestamp: int, rate_hz: int = 8000, frame: int = 160
    ) -> None:
        """Start values are random ones (RFC 3550 §5.1), `frame` the samples of a usual packet."""
        self.ssrc = ssrc
        self.sequence = (sequence - 1) & SEQUENCE_MASK
        """Of the newest packet sent."""
        self.timestamp = (timestamp - frame) & TIMESTAMP_MASK
        self._frame = frame
        self._rate_hz = rate_hz
        self._spoken_at: float | None = None
        self._source: int | None = None
        self._sequence_shift = 0
        self._timestamp_shift = 0

    def leave(self) -> None:
        """The next packet comes from another source, even if it should have the same SSRC."""
        self._source = None

    def relay(self, ssrc: int, sequence: int, timestamp: int, now: float) -> tuple[int, int, bool]:
        """Sequence, timestamp and forced marker for a packet of source `ssrc` forwarded at `now` (s)."""
        if ssrc == self._source:
            out = (sequence + self._sequence_shift) & SEQUENCE_MASK
            out_timestamp = (timestamp + self._timestamp_shift) & TIMESTAMP_MASK
            step = (out - self.sequence) & SEQUENCE_MASK
            if step < _RESTART_SEQUENCES:
                self.sequence = out
                if (out_timestamp - self.timestamp) & TIMESTAMP_MASK < 0x8000_0000:
                    self.timestamp = out_timestamp
                self._spoken_at = now
                return out, out_timestamp, False
            if step > SEQUENCE_MASK - _RESTART_SEQUENCES:  # late
                return out, out_timestamp, False
        self._source = ssrc
        self._advance(self._pause(now), now)
        self._sequence_shift = self.sequence - sequence
        self._timestamp_shift = self.timestamp - timestamp
        return self.sequence, self.timestamp, True

    def skip(self, ssrc: int, sequence: int) -> None:
        """A packet of the source is not forwarded: close the gap it would leave, if it came in order."""
        if ssrc == self._source and (sequence + self._sequence_shift - 1) & SEQUENCE_MASK == self.sequence:
            self._sequence_shift -= 1

    def generate(self, now: float) -> tuple[int, int, bool]:
        """Sequence, timestamp and marker for a frame of our own, made on a steady tick."""
        changed = self._source != _OURSELVES
        self._source = _OURSELVES
        self._advance(self._pause(now) if changed else self._frame, now)
        return self.sequence, self.timestamp, changed

    def _advance(self, samples: int, now: float) -> None:
        self.sequence = (self.sequence + 1) & SEQUENCE_MASK
        self.timestamp = (self.timestamp + samples) & TIMESTAMP_MASK
        self._spoken_at = now

    def _pause(self, now: float) -> int:
        """Timestamp units since the newest packet, in whole frames, one at least."""
        if self._spoken_at is None:
            return self._frame
        frames = round((now - self._spoken_at) * self._rate_hz / self._frame)
        return max(1, frames) * self._frame
