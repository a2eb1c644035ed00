"""Places packets of a stream on the sample clock of a recording that other streams share."""

from __future__ import annotations

from engine.rtp.packet import timestamp_distance

RATE_HZ = 8000
_EARLY_SAMPLES = 480
"""How far ahead of the clock a packet may lie: so late may the packet have come that anchored the stream."""
_LATE_SAMPLES = 2400
"""How far behind: jitter, and the drift of the sender's clock until it is corrected in one step."""


class CaptureClock:
    """Samples since the start of a recording, for one channel.

    Within one stream positions follow the RTP timestamps exactly, so that jitter leaves no trace; the stream
    as a whole is anchored where its first packet arrived, and anew when it strays from the clock (another
    SSRC, a restarted or drifting sender).
    """

    __slots__ = ("_position", "_ssrc", "_start", "_timestamp")

    def __init__(self, start: float) -> None:
        """`start` is the monotonic time of sample 0, in seconds."""
        self._start = start
        self._ssrc: int | None = None
        self._timestamp = 0
        self._position = 0

    @property
    def anchored(self) -> bool:
        """A packet has been placed."""
        return self._ssrc is not None

    def now(self, now: float) -> int:
        """Position of the moment `now`."""
        return int((now - self._start) * RATE_HZ)

    def place(self, ssrc: int, timestamp: int, samples: int, now: float) -> int:
        """Position of the first sample of a packet of `samples` that arrived at `now`.

        Negative for what was spoken before the recording began.
        """
        newest = self.now(now) - samples
        position = self._position + timestamp_distance(timestamp, self._timestamp)
        if ssrc != self._ssrc or not newest - _LATE_SAMPLES <= position <= newest + _EARLY_SAMPLES:
            self._ssrc = ssrc
            position = newest
            self._timestamp, self._position = timestamp, position
        elif position > self._position:
            self._timestamp, self._position = timestamp, position
        return position
