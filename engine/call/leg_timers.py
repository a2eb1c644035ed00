"""Timers of legs: few, long, nearly always cancelled before they fire."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf
from typing import Final

_SPARE: Final = 64
"""So many cancelled timers may lie about before they are swept, however few live."""


class LegTimer:
    """One running timer. It holds its owner only as long as it runs."""

    __slots__ = ("_action", "_timers", "at")

    def __init__(self, timers: LegTimers, at: float, action: Callable[[], None]) -> None:
        self._timers = timers
        self.at = at
        self._action: Callable[[], None] | None = action

    @property
    def running(self) -> bool:
        return self._action is not None

    def cancel(self) -> None:
        """Also after it has fired."""
        if self._action is not None:
            self._action = None
            self._timers.dropped()

    def take(self) -> Callable[[], None]:
        action, self._action = self._action, None
        assert action is not None
        return action


class LegTimers:
    """A heap of them, swept when most of it is cancelled, so that memory follows the living."""

    __slots__ = ("_heap", "_live", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, LegTimer]] = []
        self._live = 0
        self._serial = 0

    def set(self, at: float, action: Callable[[], None]) -> LegTimer:
        """Run `action` at `at`, monotonic seconds."""
        timer = LegTimer(self, at, action)
        self._serial += 1
        self._live += 1
        heapq.heappush(self._heap, (at, self._serial, timer))
        return timer

    def dropped(self) -> None:
        """One of ours was cancelled."""
        self._live -= 1
        if len(self._heap) > 2 * self._live + _SPARE:
            self._heap = [entry for entry in self._heap if entry[2].running]
            heapq.heapify(self._heap)

    def run(self, now: float) -> None:
        """Run all that have come due, in order; one may cancel another."""
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if timer.running:
                self._live -= 1
                timer.take()()

    @property
    def soonest(self) -> float:
        """Nothing is due before; it may be of a timer that was cancelled, infinite where there is none."""
        return self._heap[0][0] if self._heap else inf

    def next(self) -> float | None:
        """When `run` has something next."""
        while self._heap:
            at, _, timer = self._heap[0]
            if timer.running:
                return at
            heapq.heappop(self._heap)
        return None

    def __len__(self) -> int:
        return self._live
