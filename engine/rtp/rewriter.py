"""One SSRC and continuous sequence and timestamps towards a leg, whatever its sources are (DESIGN)."""

from __future__ import annotations

from engine.rtp.packet import SEQUENCE_MASK, TIMESTAMP_MASK, sequence_distance, timestamp_distance

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
        changed = ssrc != self._source
        if not changed:
            out = (sequence + self._sequence_shift) & SEQUENCE_MASK
            step = sequence_distance(out, self.sequence)
            changed = not -_RESTART_SEQUENCES < step < _RESTART_SEQUENCES
        if changed:
            self._source = ssrc
            out = (self.sequence + 1) & SEQUENCE_MASK
            out_timestamp = (self.timestamp + self._pause(now)) & TIMESTAMP_MASK
            self._sequence_shift = out - sequence
            self._timestamp_shift = out_timestamp - timestamp
            step = 1
        else:
            out_timestamp = (timestamp + self._timestamp_shift) & TIMESTAMP_MASK
        if step > 0:
            self.sequence = out
            if timestamp_distance(out_timestamp, self.timestamp) > 0:
                self.timestamp = out_timestamp
            self._spoken_at = now
        return out, out_timestamp, changed

    def skip(self, ssrc: int, sequence: int) -> None:
        """A packet of the source is not forwarded: close the gap it would leave, if it came in order."""
        if ssrc == self._source and (sequence + self._sequence_shift - 1) & SEQUENCE_MASK == self.sequence:
            self._sequence_shift -= 1

    def generate(self, now: float) -> tuple[int, int, bool]:
        """Sequence, timestamp and marker for a frame of our own, made on a steady tick."""
        changed = self._source != -1
        advance = self._pause(now) if changed else self._frame
        self._source = -1
        self.sequence = (self.sequence + 1) & SEQUENCE_MASK
        self.timestamp = (self.timestamp + advance) & TIMESTAMP_MASK
        self._spoken_at = now
        return self.sequence, self.timestamp, changed

    def _pause(self, now: float) -> int:
        """Timestamp units since the newest packet, in whole frames, one at least."""
        if self._spoken_at is None:
            return self._frame
        frames = round((now - self._spoken_at) * self._rate_hz / self._frame)
        return max(1, frames) * self._frame
