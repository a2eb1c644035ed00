"""What a receiver knows of one stream: loss and jitter (RFC 3550 appendices A.1, A.3 and A.8)."""

from __future__ import annotations

from engine.rtp.packet import SEQUENCE_MASK, TIMESTAMP_MASK

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_MAX_LOST = 0x7F_FFFF


class Reception:
    """Counts packets of one SSRC; a new SSRC starts anew, totals of the leg are the caller's to add."""

    __slots__ = (
        "_bad",
        "_base",
        "_cycles",
        "_expected_before",
        "_jitter",
        "_last",
        "_received_before",
        "_transit",
        "rate_hz",
        "received",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int, timestamp: int, now: float, rate_hz: int = 8000) -> None:
        """Of the first packet, which is to be added as well."""
        self.ssrc = ssrc
        self.rate_hz = rate_hz
        self._restart(sequence)
        self._jitter = 0.0
        """In timestamp units."""
        self._transit = int(now * rate_hz) - timestamp

    def _restart(self, sequence: int) -> None:
        self._base = self._last = sequence
        self._cycles = 0
        self._bad = -1
        self.received = 0
        self._expected_before = self._received_before = 0

    def add(self, sequence: int, timestamp: int, now: float) -> None:
        """Count one packet that arrived at `now` (monotonic seconds)."""
        step = (sequence - self._last) & SEQUENCE_MASK
        if step < _MAX_DROPOUT:
            if sequence < self._last:
                self._cycles += 1 << 16
            self._last = sequence
        elif step <= SEQUENCE_MASK + 1 - _MAX_MISORDER:
            # A jump: the sender restarted if the next packet follows on (RFC 3550 A.1).
            if sequence != self._bad:
                self._bad = (sequence + 1) & SEQUENCE_MASK
                return
            self._restart(sequence)
        self.received += 1
        transit = int(now * self.rate_hz) - timestamp
        # Modulo 2^32, from -2^31 to 2^31 - 1; the first packet differs from itself by none.
        difference = ((transit - self._transit + 0x8000_0000) & TIMESTAMP_MASK) - 0x8000_0000
        self._jitter += (abs(difference) - self._jitter) * 0.0625
        self._transit = transit

    @property
    def highest_sequence(self) -> int:
        """Extended highest sequence number received."""
        return self._cycles + self._last

    @property
    def expected(self) -> int:
        return self.highest_sequence - self._base + 1

    @property
    def lost(self) -> int:
        """Expected and not received; negative with duplicates, limited to 24 bits."""
        return max(-_MAX_LOST - 1, min(_MAX_LOST, self.expected - self.received))

    @property
    def jitter(self) -> int:
        """Interarrival jitter in timestamp units."""
        return int(self._jitter)

    @property
    def jitter_ms(self) -> float:
        return self._jitter * 1000 / self.rate_hz

    def fraction_lost(self) -> int:
        """Share of 256 lost since this was last asked (once for each report)."""
        expected = self.expected - self._expected_before
        lost = expected - (self.received - self._received_before)
        self._expected_before, self._received_before = self.expected, self.received
        return 0 if expected <= 0 or lost <= 0 else min(255, (lost << 8) // expected)
