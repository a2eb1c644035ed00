"""Troubles that touch many calls: told once when one begins and once when it is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.model.events import Alarm
from engine.model.ids import CallId

STEADY_S: Final = 10.0
"""Without the trouble for so long it is over: at the edge of what we can carry it comes and goes."""

MEDIA: Final = "media_failed"
PORTS: Final = "media_ports_exhausted"
RECORDING: Final = "recording_failing"
OVER: Final = {MEDIA: "media_recovered", PORTS: "media_ports_free", RECORDING: "recording_recovered"}
"""Alarm → the notice that takes it back."""


class Troubles:
    """Those of one core."""

    __slots__ = ("_emit", "_last")

    def __init__(self, emit: Callable[[Alarm], None]) -> None:
        self._emit = emit
        self._last: dict[str, float] = {}
        """Slug → when it was last seen."""

    def seen(self, slug: str, detail: str, now: float, call_id: CallId) -> None:
        """A call has met with it."""
        if slug not in self._last:
            self._emit(Alarm(slug=slug, detail=detail, call_id=call_id))
        self._last[slug] = now

    def passed(self, now: float, *slugs: str) -> None:
        """A call has met with none of them, where it would have."""
        for slug in slugs:
            last = self._last.get(slug)
            if last is not None and now - last >= STEADY_S:
                del self._last[slug]
                self._emit(Alarm(slug=OVER[slug], detail=f"no {slug} for {STEADY_S:.0f} s"))
