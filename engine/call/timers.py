"""The calls' own timers, beside those of the transactions: few for each call, often cancelled."""

from __future__ import annotations

import heapq
from math import inf
from typing import Final

from engine.model.ids import CallId

_SPARE: Final = 64
"""So many cancelled timers may lie about before they are swept, however few live."""


class CallTimers:
    """Named timers for each call; setting one again moves it.

    Most are cancelled long before they are due: the heap is swept when they are most of it, so that memory
    follows the calls that are up.
    """

    __slots__ = ("_heap", "_serial", "_set")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, CallId, str]] = []
        self._set: dict[tuple[CallId, str], int] = {}
        self._serial = 0

    def set(self, call_id: CallId, name: str, at: float) -> None:
        self._serial += 1
        self._set[call_id, name] = self._serial
        heapq.heappush(self._heap, (at, self._serial, call_id, name))
        if len(self._heap) > 2 * len(self._set) + _SPARE:
            self._heap = [entry for entry in self._heap if self._set.get(entry[2:]) == entry[1]]
            heapq.heapify(self._heap)

    def cancel(self, call_id: CallId, name: str) -> None:
        self._set.pop((call_id, name), None)

    @property
    def held(self) -> int:
        """Entries in memory, cancelled ones included."""
        return len(self._heap)

    def due(self, now: float) -> list[tuple[CallId, str]]:
        """Take out what has come due, in order."""
        fired = []
        while self._heap and self._heap[0][0] <= now:
            _, serial, call_id, name = heapq.heappop(self._heap)
            if self._set.get((call_id, name)) == serial:
                del self._set[call_id, name]
                fired.append((call_id, name))
        return fired

    @property
    def soonest(self) -> float:
        """Nothing is due before; it may be of a timer that was cancelled, infinite where there is none."""
        return self._heap[0][0] if self._heap else inf

    def next(self) -> float | None:
        """When `due` has something next; cancelled timers are dropped on the way."""
        while self._heap:
            at, serial, call_id, name = self._heap[0]
            if self._set.get((call_id, name)) == serial:
                return at
            heapq.heappop(self._heap)
        return None

    def __len__(self) -> int:
        return len(self._set)
