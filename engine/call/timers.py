"""Timers of calls and of legs, beside those of the transactions: few, long, nearly always cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Generic, TypeVar

import msgspec

from engine.model.ids import CallId

LATE_S: Final = 0.05
"""A timer may be looked at so much after it came due, but no later if it was set twice as far ahead."""

_SPARE: Final = 64
"""So many cancelled timers may lie about before they are swept, however few live."""

RUNNING: Final = ("no_answer", "hop", "key", "progress", "dial_pause", "media", "audit")
"""Timers that a call may have until its outcome is known."""

T = TypeVar("T")


class Timer(msgspec.Struct, Generic[T], order=True):
    """One running timer, in its place by time. It holds what it is for only as long as it runs."""

    at: float
    serial: int
    """No two have the same: what follows is never compared."""
    timers: Timers[T]
    what: T | None
    """None: fired, or cancelled."""

    def cancel(self) -> None:
        """Also after it has fired."""
        if self.what is not None:
            self.what = None
            timers = self.timers
            timers.live -= 1
            if len(timers.heap) > 2 * timers.live + _SPARE:
                timers.sweep()


class Timers(Generic[T]):
    """A heap of them, swept when most of it is cancelled, so that memory follows the living."""

    __slots__ = ("_serial", "heap", "live")

    def __init__(self) -> None:
        self.heap: list[Timer[T]] = []
        self.live = 0
        """Of them, those that are neither cancelled nor fired."""
        self._serial = 0

    def add(self, at: float, what: T) -> Timer[T]:
        """Let `what` come due at `at`, monotonic seconds."""
        self._serial += 1
        self.live += 1
        timer = Timer(at, self._serial, self, what)
        heappush(self.heap, timer)
        return timer

    def sweep(self) -> None:
        """Let go of what was cancelled."""
        self.heap = [timer for timer in self.heap if timer.what is not None]
        heapify(self.heap)

    def _due(self, now: float) -> Iterator[T]:
        """Take out what has come due, in order; meanwhile others may be set and cancelled."""
        while self.heap and self.heap[0].at <= now:
            timer = heappop(self.heap)
            what, timer.what = timer.what, None
            if what is not None:
                self.live -= 1
                yield what

    @property
    def soonest(self) -> float:
        """Nothing is due before; it may be of a timer that was cancelled, infinite where there is none."""
        return self.heap[0].at if self.heap else inf

    def next(self) -> float | None:
        """When something is due next; cancelled timers are dropped on the way."""
        while self.heap:
            timer = self.heap[0]
            if timer.what is not None:
                return timer.at
            heappop(self.heap)
        return None

    @property
    def held(self) -> int:
        """Entries in memory, cancelled ones included."""
        return len(self.heap)

    def __len__(self) -> int:
        return self.live


Action = Callable[[], None]
LegTimer = Timer[Action]


class LegTimers(Timers[Action]):
    """Actions to be run."""

    __slots__ = ()

    def run(self, now: float) -> None:
        """Run all that have come due, in order; one may cancel another."""
        if self.heap and self.heap[0].at <= now:
            for action in self._due(now):
                action()


class CallTimers(Timers[tuple[CallId, str]]):
    """Named timers for each call; setting one again moves it."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        super().__init__()
        self._set: dict[CallId, dict[str, Timer[tuple[CallId, str]]]] = {}

    def set(self, call_id: CallId, name: str, at: float, instead: Iterable[str] = ()) -> None:
        """Let `name` come due at `at`, and those of the names `instead` no more."""
        self._serial += 1
        self.live += 1
        timer = Timer(at, self._serial, self, (call_id, name))
        heappush(self.heap, timer)
        running = self._set.get(call_id)
        if running is None:
            self._set[call_id] = {name: timer}
            return
        if instead or name in running:
            for other in (name, *instead):
                if other in running:
                    running.pop(other).what = None
                    self.live -= 1
            if len(self.heap) > 2 * self.live + _SPARE:
                self.sweep()
        running[name] = timer

    def cancel(self, call_id: CallId, *names: str) -> None:
        """Those of these names that are running."""
        running = self._set.get(call_id)
        if running is None:
            return
        for name in names:
            if name in running:
                running.pop(name).what = None
                self.live -= 1
        if not running:
            del self._set[call_id]
        if len(self.heap) > 2 * self.live + _SPARE:
            self.sweep()

    def due(self, now: float) -> Iterator[tuple[CallId, str]]:
        """Take out what has come due, in order and one by one: each may cancel those behind it, or fail."""
        for call_id, name in self._due(now):
            running = self._set[call_id]
            del running[name]
            if not running:
                del self._set[call_id]
            yield call_id, name
