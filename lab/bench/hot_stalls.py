"""How long an event loop stands still while the hot table changes under it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import uvloop

from engine.app.collector import Collector
from engine.app.looking import LOOK_S
from scoring.numbers import Level, Number, NumberKind, RiskRow, Source
from scoring.numbers.hot_files import delta_path
from scoring.numbers.hot_publish import CHANGES_MAX, change, fold
from scoring.numbers.table_view import TableView

CHANGED = 100_000
_BEAT_S = 0.001
_ROUNDS = 3
_TENANT = "bench"
_QUIET_S = 5.0
_CHANGE_S = 300.0
"""A change that does not count after so long never will."""
_WINDOW = 50
_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Run:
    """`worst_ms` is the longest delay of a heartbeat; `own_ms` the same without the time for which the loop's
    thread could run and another process had the processor, and without those moments of `_WINDOW` heartbeats,
    `stolen` in number, in which the host of a virtual machine took a processor away. `seconds`: until the
    last change counted."""

    worst_ms: float
    own_ms: float
    stolen: int
    seconds: float


def stalls(path: Path, listed: np.ndarray[Any, np.dtype[np.uint64]]) -> dict[str, Any]:
    """Change `CHANGED` rows, and as many as still go by the delta file, three times each.

    Another process changes the table, as the centre does; this one runs a uvloop loop that looks at the disk
    as an engine does, makes a look-up at each heartbeat (1 ms), and counts how late a heartbeat is. Beside it
    the same without any change, which is the machine's own share.
    """
    asked = [Number(NumberKind.E164, str(value)) for value in listed[:1000]]
    found: dict[str, Any] = {"delta_rows": CHANGED, "small_delta_rows": CHANGES_MAX}
    for name, rows in (("quiet", 0), ("small_delta", CHANGES_MAX), ("delta", CHANGED)):
        runs = []
        for round_ in range(_ROUNDS):
            if delta_path(path).exists() and delta_path(path).stat().st_size:
                fold(path, _AT)  # each round begins without changes beside the table
            runs.append(_run(path, asked, rows, round_))
        found[f"{name}_stall_ms"] = round(median(run.worst_ms for run in runs), 2)
        found[f"{name}_stall_ms_min"] = round(min(run.worst_ms for run in runs), 2)
        found[f"{name}_own_stall_ms"] = round(median(run.own_ms for run in runs), 2)
        found[f"{name}_own_stall_ms_min"] = round(min(run.own_ms for run in runs), 2)
        found[f"{name}_stolen"] = sum(run.stolen for run in runs)
        found[f"{name}_s"] = round(median(run.seconds for run in runs), 2)
    return found


def _run(path: Path, asked: list[Number], rows: int, round_: int) -> Run:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    writer = context.Process(target=_change, args=(path, rows, round_, ready, go))
    writer.start()
    ready.wait(60)
    try:
        with Collector(lambda: True), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_beside(path, asked, rows, round_, go, writer))
    finally:
        writer.join()


async def _beside(
    path: Path, asked: list[Number], rows: int, round_: int, go: Event, writer: BaseProcess
) -> Run:
    view = TableView.open(path)
    view.take(await asyncio.to_thread(view.look))
    heart = _Heart(lambda beat: view.lookup(_TENANT, asked[beat % len(asked)], _AT))
    looking = asyncio.create_task(_keep_looking(view))
    heart.start()
    go.set()
    started = perf_counter()
    if rows:
        last = _row(rows - 1, round_)
        number = Number(NumberKind.E164, last.number[1:])
        async with asyncio.timeout(_CHANGE_S):
            while (entry := view.lookup(_TENANT, number, _AT)) is None or entry.row != last.row:
                if writer.exitcode:
                    raise RuntimeError("the process that changes the table has failed")
                await asyncio.sleep(0.01)
        seconds = perf_counter() - started
        await asyncio.sleep(2 * LOOK_S)  # what is let go of afterwards counts too
    else:
        await asyncio.sleep(_QUIET_S)
        seconds = _QUIET_S
    looking.cancel()
    view.close()
    heart.stop()
    return Run(heart.worst_s * 1e3, heart.own_s * 1e3, heart.stolen, seconds)


async def _keep_looking(view: TableView) -> None:
    while True:
        behind = True
        while behind:
            found = await asyncio.to_thread(view.look)
            view.take(found)
            behind = found.behind
        await asyncio.sleep(LOOK_S)


class _Heart:
    """Beats every millisecond and keeps the longest delay of a beat, as `Run` has it."""

    def __init__(self, work: Callable[[int], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self._beats = 0
        self.worst_s = self.own_s = self._due = 0.0
        self._last_s = self._now_s = 0.0
        """The longest of the last moment, and of the present one."""
        self.stolen = self._waited = 0
        self._timer: asyncio.TimerHandle | None = None
        self._schedule = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._machine = os.open("/proc/stat", os.O_RDONLY)
        self._stolen_ticks = self._stolen()

    def start(self) -> None:
        self._waited = self._waiting_ns()
        self._due = perf_counter() + _BEAT_S
        self._timer = self._loop.call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        late = perf_counter() - self._due  # uvloop counts whole milliseconds: up to one is its own
        self.worst_s = max(self.worst_s, late)
        own = late - (self._waiting_ns() - self._waited) / 1e9
        self._beats += 1
        self._now_s = max(self._now_s, own)
        if self._beats % _WINDOW == 0:
            self._judge()
        self._work(self._beats)
        self.start()

    def _waiting_ns(self) -> int:
        """For how long this thread has waited for a processor so far (proc(5), schedstat)."""
        return int(os.pread(self._schedule, 100, 0).split()[1])

    def _judge(self) -> None:
        """What the host takes is told a little late: a moment counts once the next one is clean too."""
        before, self._stolen_ticks = self._stolen_ticks, self._stolen()
        if self._stolen_ticks == before:
            self.own_s, self._last_s = max(self.own_s, self._last_s), self._now_s
        else:
            self.stolen += 1
            self._last_s = 0.0
        self._now_s = 0.0

    def _stolen(self) -> int:
        """For how many ticks the host has had a processor that was wanted here (proc_stat(5), steal)."""
        return int(os.pread(self._machine, 200, 0).split(maxsplit=9)[8])

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._judge()
        self._judge()
        os.close(self._schedule)
        os.close(self._machine)


def _change(path: Path, rows: int, round_: int, ready: Event, go: Event) -> None:
    """In another process."""
    puts = [_row(place, round_) for place in range(rows)]
    ready.set()
    go.wait(60)
    if puts:
        change(path, _AT, puts)


def _row(place: int, round_: int) -> RiskRow:
    """Rows that are in no table yet, other ones in each round."""
    return RiskRow(
        _TENANT,
        f"+8614{round_ * 1_000_000 + place:09}",
        Level.RED,
        None,
        "reported",
        None,
        Source.PERSON,
        20_000_000 + round_ * 1_000_000 + place,
        confirmed=True,
    )
