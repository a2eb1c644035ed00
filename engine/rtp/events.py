"""Telephone events (RFC 4733): key presses as RTP packets, in and out."""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import NamedTuple

from engine.rtp.packet import TIMESTAMP_MASK, timestamp_distance

DIGITS = "0123456789*#ABCD"
"""Event codes 0–15 (RFC 4733 §3.2); others are not keys."""
LOST_END_S = 0.3
"""An event without packets for so long has ended unheard."""
END_PACKETS = 3
MIN_DURATION_MS = 40
MAX_DURATION_MS = 5000

_PAYLOAD = Struct("!BBH")
_END = 0x80
_VOLUME = 10
"""dBm0 below zero, as phones send it."""
_LONGEST = 0xFFFF
_FRAME_MS = 20


class Press(NamedTuple):
    digit: str
    duration_ms: int


class EventReceiver:
    """One press for one key, however many packets tell of it.

    A press is known by its timestamp. It ends with its first end packet, with the start of another key, or
    (`expire`) when its end was lost.
    """

    __slots__ = ("_digit", "_duration", "_earlier", "_last_at", "_rate_hz", "_reported", "_timestamp")

    def __init__(self, rate_hz: int = 8000) -> None:
        self._rate_hz = rate_hz
        self._timestamp: int | None = None
        self._digit = ""
        self._duration = 0
        self._earlier = 0
        """Duration of the finished segments of a very long press (RFC 4733 §2.5.1.3)."""
        self._reported = True
        self._last_at = 0.0

    def receive(self, timestamp: int, payload: bytes, now: float) -> tuple[Press, ...]:
        """Presses this packet completes; `timestamp` is the RTP packet's, `now` in seconds."""
        if len(payload) < _PAYLOAD.size:
            return ()
        code, flags, duration = _PAYLOAD.unpack_from(payload)
        if code >= len(DIGITS):
            return ()
        presses: tuple[Press, ...] = ()
        if self._timestamp is None or timestamp_distance(timestamp, self._timestamp) > 0:
            if self._continues(timestamp, DIGITS[code]):
                self._earlier += self._duration
            else:
                presses = self._finish()
                self._earlier = 0
            self._timestamp, self._digit, self._duration = timestamp, DIGITS[code], 0
            self._reported = False
        elif timestamp != self._timestamp:
            return ()  # a late packet of an earlier press
        if self._reported:
            return presses
        self._last_at = now
        self._duration = max(self._duration, duration)
        return presses + self._finish() if flags & _END else presses

    def expire(self, now: float) -> tuple[Press, ...]:
        """The press whose end was lost, once `LOST_END_S` have passed without a packet of it."""
        return self._finish() if now - self._last_at > LOST_END_S else ()

    @property
    def pressed(self) -> bool:
        """A key is down as far as we know: `expire` is worth asking."""
        return not self._reported

    def _continues(self, timestamp: int, digit: str) -> bool:
        return (
            not self._reported
            and digit == self._digit
            and self._duration == _LONGEST
            and self._timestamp is not None
            and timestamp == (self._timestamp + _LONGEST) & TIMESTAMP_MASK
        )

    def _finish(self) -> tuple[Press, ...]:
        if self._reported:
            return ()
        self._reported = True
        return (Press(self._digit, (self._earlier + self._duration) * 1000 // self._rate_hz),)


class EventPacket(NamedTuple):
    """What to send in place of one frame of speech."""

    payload: bytes
    first: bool
    """Takes the timestamp of its frame and the marker; the others of the press repeat its timestamp."""


class EventSender:
    """Turns queued keys into one packet for each frame: growing durations, three end packets, a pause."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: deque[EventPacket | None] = deque()

    def press(self, digit: str, duration_ms: int = 100, pause_ms: int = 60) -> None:
        """Queue one key; ValueError for what is none. The duration is kept within sensible bounds."""
        code = DIGITS.find(digit)
        if len(digit) != 1 or code < 0:
            raise ValueError(f"no telephone event: {digit!r}")
        frames = max(MIN_DURATION_MS, min(MAX_DURATION_MS, duration_ms)) // _FRAME_MS
        for frame in range(1, frames + END_PACKETS):
            flags = _VOLUME | (_END if frame >= frames else 0)
            duration = min(frame, frames) * _FRAME_MS * 8
            self._frames.append(EventPacket(_PAYLOAD.pack(code, flags, duration), frame == 1))
        self._frames.extend([None] * (pause_ms // _FRAME_MS))

    def next(self) -> EventPacket | None:
        """This frame's packet; None in the pause between keys."""
        return self._frames.popleft()

    def __bool__(self) -> bool:
        return bool(self._frames)
