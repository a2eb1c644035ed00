"""Ringward and Asterisk 22 side by side: processor time a call, set-up delay, highest clean rate.

One program at a time on one processor, SIPp on the other, in turns, so that what else the machine does meets
both alike. Two paths: a call refused because of its caller, and a call put through without media. Figures are
medians of three runs; nothing here is a test.
"""

import asyncio
import os
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lab.bench import systems
from lab.bench.capture import Packet, call_delays_ms, capture, reject_delays_ms
from lab.bench.systems import SITE, Running
from lab.peers import packages, scenarios, sipp
from lab.peers.asterisk_root import asterisk_root, unavailable
from lab.peers.process import PeerError

PathName = Literal["reject", "call"]

RATES: dict[PathName, float] = {"reject": 500.0, "call": 150.0}
_CEILINGS: dict[PathName, float] = {"reject": 16_000.0, "call": 4_000.0}
_ROUNDS = 3
_RUN_S = 8.0
_PROBE_S = 3.0
_BISECTIONS = 3
_TALK_MS = 300
_PROGRAM_CORE, _LOAD_CORE = 0, 1
_CLEAN_REPEATS = 0.001
_DEFAULT_BUFFER = Path("/proc/sys/net/core/rmem_default")
_BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the result; delays are what the program itself adds. None: could not be measured here."""

    system: str
    path: PathName
    rate: float
    cpu_ms_per_call: float
    max_clean_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    def row(self) -> dict[str, object]:
        """The figure as the JSON file has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Run:
    clean: bool
    cpu_ms_per_call: float
    delays_ms: Sequence[float]


async def measure(folder: Path, cache: Path, say: Callable[[str], None]) -> list[Figure]:
    """Run the whole comparison, four to six minutes; `say` gets a line for each step.

    `folder`, which exists, takes logs and configuration; `cache` holds Asterisk's root. Without root there is
    no Asterisk and there are no delays; `say` tells so. Raises PeerError where SIPp or a second processor is
    missing.
    """
    if not packages.have("sipp"):
        raise PeerError(packages.reason("sipp"))
    if not {_PROGRAM_CORE, _LOAD_CORE} <= os.sched_getaffinity(0):
        raise PeerError("the comparison needs two processors: one for the program, one for the load")
    os.sched_setaffinity(0, {_LOAD_CORE})
    async with AsyncExitStack() as stack:
        say(stack.enter_context(_large_buffers()))
        running = [await stack.enter_async_context(systems.ours(folder / "ringward", _PROGRAM_CORE))]
        why_not = unavailable()
        if why_not is None:
            root = await asyncio.to_thread(asterisk_root, cache)
            peer = systems.asterisk_22(root, folder / "asterisk", _PROGRAM_CORE)
            running.append(await stack.enter_async_context(peer))
        else:
            say(f"without Asterisk and without delays: {why_not}")
        bench = _Bench(folder, say)
        return [figure for path in RATES for figure in await bench.path(path, running)]


class _Bench:
    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._numbers = {path: folder / f"numbers-{path}.csv" for path in RATES}
        for path, file in self._numbers.items():
            file.write_text(_numbers(path), encoding="ascii")

    async def path(self, path: PathName, running: Sequence[Running]) -> list[Figure]:
        """Both programs in turns at the fixed rate, then the highest clean rate of each."""
        rate = RATES[path]
        runs: dict[str, list[_Run]] = {program.name: [] for program in running}
        for program in running:
            await self._run(program, path, rate, 1.0)  # warm: caches, first imports, thread pools
        for round_number in range(1, _ROUNDS + 1):
            for program in running:
                run = await self._run(program, path, rate, _RUN_S)
                runs[program.name].append(run)
                told = f"{run.cpu_ms_per_call:.3f} ms a call{'' if run.clean else ', not clean'}"
                self._say(f"{path} {rate:g}/s, round {round_number}: {program.name} {told}")
        figures = []
        for program in running:
            highest = await self._highest(program, path)
            self._say(f"{path}: {program.name} is clean up to {highest:g}/s")
            figures.append(_figure(program.name, path, rate, runs[program.name], highest))
        return figures

    async def _highest(self, program: Running, path: PathName) -> float:
        """Double the rate until it is not clean or the ceiling is passed, then halve the gap."""
        good, bad = 0.0, 0.0
        rate = RATES[path]
        while not bad and rate <= _CEILINGS[path]:
            if await self._clean(program, path, rate):
                good, rate = rate, rate * 2
            else:
                bad = rate
        for _ in range(_BISECTIONS if bad else 0):
            middle = float(round((good + bad) / 2))
            if await self._clean(program, path, middle):
                good = middle
            else:
                bad = middle
        return good

    async def _clean(self, program: Running, path: PathName, rate: float) -> bool:
        """Whether a rate is clean; tried again where it was not, for the machine may have been busy."""
        for _ in range(2):
            if (await self._run(program, path, rate, _PROBE_S)).clean:
                return True
        return False

    async def _run(self, program: Running, path: PathName, rate: float, seconds: float) -> _Run:
        calls = round(rate * seconds)
        load = sipp.Load(
            calls=calls,
            per_second=rate,
            pause_ms=_TALK_MS,
            deadline_s=seconds * 2 + 20,
            at_once=round(rate * 4),
            numbers=self._numbers[path],
            core=_LOAD_CORE,
            trace=False,
        )
        scenario = scenarios.CALL if path == "call" else scenarios.refused(program.refusal)
        caller = sipp.Line(SITE.carrier, 5060, self._folder / "caller")
        callee = _callee(self._folder / "callee") if path == "call" else nullcontext()
        async with callee:
            with _watched() as packets:
                before = program.cpu_ms()
                result = await sipp.place_calls(scenario, caller, f"{program.address}:5060", "", "", load)
                used = program.cpu_ms() - before
        if not program.peer.alive:
            raise program.peer.error("ended under load")
        # What is left of a run (closing transactions, a backlog) is not charged to the next one.
        await asyncio.sleep(1 if result.failed == 0 else 5)
        clean = result.succeeded == calls and result.retransmissions <= calls * _CLEAN_REPEATS
        return _Run(clean, used / max(result.created, 1), _delays(path, packets, program.address))


def _watched() -> AbstractContextManager[list[Packet]]:
    return capture() if packages.is_root() else nullcontext([])


def _delays(path: PathName, packets: Sequence[Packet], address: str) -> list[float]:
    reading = call_delays_ms if path == "call" else reject_delays_ms
    return reading(packets, (address, 5060))


def _figure(system: str, path: PathName, rate: float, runs: Sequence[_Run], highest: float) -> Figure:
    """Medians of the runs; a percentile is that of each run, then the median of these."""
    cuts = [statistics.quantiles(run.delays_ms, n=100) for run in runs if len(run.delays_ms) > 1]

    def percentile(number: int) -> float | None:
        return round(statistics.median(cut[number - 1] for cut in cuts), 3) if cuts else None

    cpu = round(statistics.median(run.cpu_ms_per_call for run in runs), 4)
    return Figure(system, path, rate, cpu, highest, percentile(50), percentile(95), percentile(99))


@asynccontextmanager
async def _callee(folder: Path) -> AsyncIterator[None]:
    load = sipp.Load(pause_ms=0, deadline_s=120, core=_LOAD_CORE, trace=False)
    async with sipp.answering(scenarios.ANSWERS, sipp.Line(SITE.access, 5060, folder), load):
        yield


def _numbers(path: PathName) -> str:
    """SIPp's rows: called numbers that differ, and red callers where the call is to be refused."""
    if path == "call":
        rows = [f"1390{n:07d};+86138{n:08d}" for n in range(10_000)]
    else:
        rows = [f"1390{n:07d};{systems.RED}{n % systems.RED_CALLERS:08d}" for n in range(10_000)]
    return "\n".join(["SEQUENTIAL", *rows, ""])


@contextmanager
def _large_buffers() -> Iterator[str]:
    """Give every socket opened meanwhile a receive buffer of 4 MB by default: Asterisk cannot ask for one.

    Yields a line about it. The machine's own setting comes back at the end.
    """
    before = _DEFAULT_BUFFER.read_text(encoding="ascii")
    try:
        _DEFAULT_BUFFER.write_text(str(_BUFFER_BYTES), encoding="ascii")
    except OSError:
        yield f"receive buffers: {int(before)} bytes by default, as the machine has it"
        return
    try:
        yield f"receive buffers: {_BUFFER_BYTES} bytes for every program"
    finally:
        _DEFAULT_BUFFER.write_text(before, encoding="ascii")
