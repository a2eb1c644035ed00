"""What is made of the runs' numbers: medians, percentiles, ratios, the highest clean rate. Pure."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

PathName = Literal["reject", "announced", "call"]


@dataclass(frozen=True, slots=True)
class Delays:
    """What a program adds to a call's set-up at `rate` calls a second, in ms."""

    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the result. None: could not be measured here."""

    system: str
    path: PathName
    rate: float
    cpu_ms_per_call: float
    max_clean_rate: float
    at_ceiling: bool
    """The highest rate that was tried is clean, or the load could not make more: it may go higher."""
    slow: Delays | None
    """At a low rate that is the same for all."""
    half: Delays | None
    """At half of the highest clean rate."""

    def row(self) -> dict[str, object]:
        """The figure as the JSON file has it."""
        return asdict(self)


def delays(rate: float, runs: Sequence[Sequence[float]]) -> Delays | None:
    """Of each run (its delays in ms) the percentiles, and of these the medians; None without two delays."""
    cuts = [statistics.quantiles(run, n=100) for run in runs if len(run) > 1]
    if not cuts:
        return None
    p50, p95, p99 = (round(statistics.median(cut[n - 1] for cut in cuts), 3) for n in (50, 95, 99))
    return Delays(rate, p50, p95, p99)


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """`ours` as a multiple of `theirs`; None where one is missing or there is nothing to divide by."""
    return None if ours is None or not theirs else ours / theirs


async def highest_clean(
    first: float, ceiling: float, bisections: int, clean: Callable[[float], Awaitable[bool]]
) -> tuple[float, bool]:
    """The highest rate that is clean, and whether it is the ceiling: nothing above was tried.

    Double from `first` until a rate is not clean, then halve the gap so many times. 0 where none is clean.
    """
    good, bad = 0.0, 0.0
    rate = first
    while not bad and good < ceiling:
        if await clean(rate):
            good, rate = rate, min(rate * 2, ceiling)
        else:
            bad = rate
    for _ in range(bisections if bad else 0):
        middle = float(round((good + bad) / 2))
        if middle in (good, bad):
            break
        if await clean(middle):
            good = middle
        else:
            bad = middle
    return good, not bad


@dataclass(frozen=True, slots=True)
class Served:
    """How often an honest party got what it asked for."""

    good: int
    attempts: int

    @property
    def share(self) -> float:
        return self.good / self.attempts if self.attempts else 0.0


@dataclass(frozen=True, slots=True)
class Flooded:
    """One program under a flood from one source, while others ask and call."""

    system: str
    flood_per_s: float
    options: Served
    calls: Served
    memory_before_mb: float
    memory_most_mb: float


@dataclass(frozen=True, slots=True)
class Held:
    """Memory of a program with so many calls up at once, in MB; `whole`: all were put through and ended."""

    system: str
    calls: int
    before_mb: float
    held_mb: float
    after_mb: float
    whole: bool
