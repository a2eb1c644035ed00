"""Whether the other process still answers: a beat asked for each second, a limit for the answer."""

from __future__ import annotations

from enum import Enum
from typing import Final

BEAT_S: Final = 1.0
LIMIT_S: Final = 3.0
"""Without a sign of life for so long after a beat the worker hangs; less than a call waits for media."""
OWN_STALL_S: Final = 1.0
"""Looked at so much too late, it was we who stood still: the other gets its time anew."""


class Pulse(Enum):
    STEADY = "steady"
    BEAT = "ask for a sign of life"
    HUNG = "it has given none in time"


class Heartbeat:
    """Times are monotonic seconds. `look` is to be asked each `BEAT_S`; anything heard is a sign of life."""

    __slots__ = ("_asked_at", "_due")

    def __init__(self, now: float) -> None:
        self._due = now
        self._asked_at: float | None = None
        """When the oldest beat without an answer was asked for."""

    def heard(self) -> None:
        self._asked_at = None

    def look(self, now: float) -> Pulse:
        late, self._due = now - self._due > OWN_STALL_S, now + BEAT_S
        if self._asked_at is None or late:
            self._asked_at = now
            return Pulse.BEAT
        return Pulse.HUNG if now - self._asked_at >= LIMIT_S else Pulse.STEADY
