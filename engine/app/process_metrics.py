"""What every process tells of itself: how late its loop is, how long the garbage collector stops it."""

from __future__ import annotations

import asyncio
import gc
import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from engine.app.looking import LOOK_S
from engine.model.moments import next_moment

LAG_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
GENERATIONS: Final = 3


class Histogram:
    """Counts of values in buckets of plain integers; `bounds` rise."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self.largest = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value
        self.largest = max(self.largest, value)

    def family(self, name: str, help: str) -> HistogramMetricFamily:
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), list(self._counts), strict=True):
            total += count
            buckets.append((str(bound) if bound != float("inf") else "+Inf", float(total)))
        return HistogramMetricFamily(name, help, buckets=buckets, sum_value=self._sum)


class LoopLag:
    """How much later than asked for a timer fires: what every datagram waits at that moment."""

    def __init__(self) -> None:
        self.seconds = Histogram(LAG_BOUNDS_S)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """On the running loop."""
        self._loop = asyncio.get_running_loop()
        self._wait(self._loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = next_moment(loop.time(), LOOK_S)
        self._timer = loop.call_at(self._due, self._fired)

    def _fired(self) -> None:
        assert self._loop is not None
        self.seconds.add(max(0.0, time.monotonic() - self._due))
        self._wait(self._loop)


class GcPauses:
    """How long collections took, by generation, from the interpreter's own callbacks."""

    def __init__(self) -> None:
        self.collections = [0] * GENERATIONS
        self.seconds = [0.0] * GENERATIONS
        self.longest_s = 0.0
        self._began = 0.0

    def start(self) -> None:
        gc.callbacks.append(self._called)

    def stop(self) -> None:
        gc.callbacks.remove(self._called)

    def _called(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
            return
        took_s = time.perf_counter() - self._began
        generation = info["generation"]
        self.collections[generation] += 1
        self.seconds[generation] += took_s
        self.longest_s = max(self.longest_s, took_s)


class ProcessFigures:
    """A collector of these; `start` on the loop that is to be watched."""

    def __init__(self, process: str, version: str) -> None:
        self._process = process
        self._version = version
        self.lag = LoopLag()
        self.pauses = GcPauses()

    def start(self) -> None:
        self.lag.start()
        self.pauses.start()

    def stop(self) -> None:
        self.lag.stop()
        self.pauses.stop()

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "ringward_build",
            "What runs here.",
            value={"process": self._process, "version": self._version},
        )
        yield self.lag.seconds.family(
            "ringward_event_loop_lag_seconds",
            "How late a timer of the event loop fires, four times a second.",
        )
        yield GaugeMetricFamily(
            "ringward_event_loop_lag_max_seconds",
            "The longest of these since the start.",
            value=self.lag.seconds.largest,
        )
        collections = CounterMetricFamily(
            "ringward_gc_collections", "Garbage collections.", labels=["generation"]
        )
        seconds = CounterMetricFamily(
            "ringward_gc_pause_seconds", "Time in garbage collections.", labels=["generation"]
        )
        for generation in range(GENERATIONS):
            collections.add_metric([str(generation)], self.pauses.collections[generation])
            seconds.add_metric([str(generation)], self.pauses.seconds[generation])
        yield collections
        yield seconds
        yield GaugeMetricFamily(
            "ringward_gc_pause_max_seconds",
            "The longest garbage collection since the start.",
            value=self.pauses.longest_s,
        )
