"""ringward beside its peers, at the same rates on one core, load on the other.

All programs are up during the whole run and are measured in turns, so that what else the machine does meets
all alike. Three paths: a call refused because of its caller, the same after an announcement in early media
(ringward alone), and a call put through without media. Figures are medians; nothing here is a test.
"""

import asyncio
import resource
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from lab.bench import systems
from lab.bench.capture import Packet, call_delays_ms, capture, reject_delays_ms
from lab.bench.figures import Delays, Figure, PathName, delays, highest_clean
from lab.bench.ground import LOAD_CORE
from lab.bench.systems import SITE, Running
from lab.peers import packages, scenarios, sipp

_TALK_MS = 300
_CLEAN_REPEATS = 0.001
_LOAD_FULL = 0.85

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; rates are calls a second."""

    rates: Mapping[PathName, float] = field(
        default_factory=lambda: {"reject": 500.0, "announced": 10.0, "call": 150.0}
    )
    ceilings: Mapping[PathName, float] = field(
        default_factory=lambda: {"reject": 32_000.0, "announced": 640.0, "call": 8_000.0}
    )
    rounds: int = 3
    run_s: float = 8.0
    probe_s: float = 4.0
    tries: int = 2
    """A rate is tried again where it was not clean, for the machine may have been busy."""
    bisections: int = 3
    headroom: float = 12.0
    """The search goes on to so many times Asterisk's highest rate, whatever the ceiling is."""
    settle_s: float = 1.0
    """After each run: what is left of it is not charged to the next one."""
    slow_rate: float = 50.0
    delays_s: float = 5.0


SHORT = Plan(
    rates={"reject": 50.0, "announced": 2.0, "call": 20.0},
    ceilings={"reject": 100.0, "announced": 2.0, "call": 20.0},
    rounds=1,
    run_s=1.0,
    probe_s=1.0,
    tries=1,
    bisections=0,
    headroom=1.0,
    settle_s=0.1,
    slow_rate=20.0,
    delays_s=1.0,
)
"""Seconds a path: to see that everything works, not to measure."""


@dataclass(frozen=True, slots=True)
class Run:
    clean: bool
    load_share: float
    """Of the load's processor, that SIPp used: near 1 it is the load that can do no more."""
    cpu_ms_per_call: float
    delays_ms: Sequence[float]


class Bench:
    """Runs SIPp against programs that are up. `folder`, which exists, takes its logs."""

    def __init__(self, folder: Path, plan: Plan, say: Say) -> None:
        self._folder = folder
        self._plan = plan
        self._say = say
        self._numbers: dict[PathName, Path] = {}
        for path in plan.rates:
            self._numbers[path] = folder / f"numbers-{path}.csv"
            self._numbers[path].write_text(_numbers(path), encoding="ascii")

    async def path(
        self, path: PathName, running: Sequence[Running], after_fixed: Callable[[], None] = lambda: None
    ) -> list[Figure]:
        """All programs in turns at the fixed rate, the highest clean rate of each, delays in turns again.

        `after_fixed` is called before anything is overloaded.
        """
        cpu = await self._costs(path, running)
        after_fixed()
        highest: dict[str, tuple[float, bool]] = {}
        for program in sorted(running, key=lambda program: program.name != "asterisk"):
            known = highest.get("asterisk", (0.0, True))[0]
            ceiling = max(self._plan.ceilings[path], self._plan.headroom * known)
            highest[program.name] = await self._highest(program, path, ceiling)
            rate, at_ceiling = highest[program.name]
            more = " or more: the highest the load could make or was told to" if at_ceiling else ""
            self._say(f"{path}: {program.name} is clean up to {rate:g}/s{more}")
        slow = await self._delays(path, running, {each.name: self._plan.slow_rate for each in running})
        half = await self._delays(
            path, running, {name: round(rate / 2) for name, (rate, _) in highest.items()}
        )
        rate = self._plan.rates[path]
        return [
            Figure(name, path, rate, cpu[name], *highest[name], slow[name], half[name])
            for name in (program.name for program in running)
        ]

    async def _costs(self, path: PathName, running: Sequence[Running]) -> dict[str, float]:
        """CPU ms per call at the fixed rate."""
        rate = self._plan.rates[path]
        costs: dict[str, list[float]] = {program.name: [] for program in running}
        for program in running:
            await self.run(program, path, rate, 1.0)  # warm: caches, first imports, thread pools
        for round_number in range(1, self._plan.rounds + 1):
            for program in running:
                run = await self.run(program, path, rate, self._plan.run_s)
                costs[program.name].append(run.cpu_ms_per_call)
                told = f"{run.cpu_ms_per_call:.3f} ms a call{'' if run.clean else ', not clean'}"
                self._say(f"{path} {rate:g}/s, round {round_number}: {program.name} {told}")
        return {name: round(statistics.median(found), 4) for name, found in costs.items()}

    async def _highest(self, program: Running, path: PathName, ceiling: float) -> tuple[float, bool]:
        by_load: dict[float, bool] = {}

        async def clean(rate: float) -> bool:
            for _ in range(self._plan.tries):
                run = await self.run(program, path, rate, self._plan.probe_s)
                if run.clean:
                    return True
                by_load[rate] = run.load_share > _LOAD_FULL
            return False

        good, at_ceiling = await highest_clean(self._plan.rates[path], ceiling, self._plan.bisections, clean)
        failed = min((rate for rate in by_load if rate > good), default=0.0)
        return good, at_ceiling or by_load.get(failed, False)

    async def _delays(
        self, path: PathName, running: Sequence[Running], rates: Mapping[str, float]
    ) -> dict[str, Delays | None]:
        """What each program adds at its rate; None without root, and where an announcement comes first."""
        found: dict[str, list[Sequence[float]]] = {program.name: [] for program in running}
        watched = path != "announced" and packages.is_root()
        for _ in range(self._plan.rounds if watched else 0):
            for program in running:
                rate = rates[program.name]
                if rate:
                    run = await self.run(program, path, rate, self._plan.delays_s, watch=True)
                    found[program.name].append(run.delays_ms)
        return {name: delays(rates[name], runs) for name, runs in found.items()}

    async def run(
        self, program: Running, path: PathName, rate: float, seconds: float, *, watch: bool = False
    ) -> Run:
        """One run of SIPp; with `watch` delays are taken from a capture. Raises PeerError where it ends."""
        calls = max(round(rate * seconds), 1)
        load = sipp.Load(
            calls=calls,
            per_second=rate,
            pause_ms=_TALK_MS,
            deadline_s=seconds * 2 + 30,
            at_once=round(rate * 4) if path != "announced" else calls,
            numbers=self._numbers[path],
            core=LOAD_CORE,
            trace=False,
        )
        scenario = scenarios.CALL if path == "call" else scenarios.refused(program.refusal)
        if not program.to_contact:
            scenario = scenario.to_target()
        caller = sipp.Line(SITE.carrier, 5060, self._folder / "caller")
        callee = answering(self._folder / "callee", load.deadline_s) if path == "call" else nullcontext()
        began, load_before = time.monotonic(), _ended_children_s()
        async with callee:
            with _watched(watch) as packets:
                before = program.cpu_ms()
                result = await sipp.place_calls(scenario, caller, f"{program.address}:5060", "", "", load)
                used, took_s = program.cpu_ms() - before, time.monotonic() - began
        load_share = (_ended_children_s() - load_before) / took_s
        if not program.peer.alive:
            raise program.peer.error("ended under load")
        await asyncio.sleep(self._plan.settle_s * (1 if result.failed == 0 else 5))
        clean = result.succeeded == calls and result.retransmissions <= calls * _CLEAN_REPEATS
        return Run(clean, load_share, used / max(result.created, 1), _read(path, packets, program.address))


def _ended_children_s() -> float:
    """Processor time of all our children that have ended: both SIPps of a run, once it is over."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watched(watch: bool) -> AbstractContextManager[list[Packet]]:
    return capture() if watch else nullcontext([])


def _read(path: PathName, packets: Sequence[Packet], address: str) -> list[float]:
    reading = call_delays_ms if path == "call" else reject_delays_ms
    return reading(packets, (address, 5060))


@asynccontextmanager
async def answering(folder: Path, deadline_s: float) -> AsyncIterator[None]:
    """Subscribers who answer at once, from the load's core."""
    load = sipp.Load(pause_ms=0, deadline_s=deadline_s + 10, core=LOAD_CORE, trace=False)
    async with sipp.answering(scenarios.ANSWERS, sipp.Line(SITE.access, 5060, folder), load):
        yield


def _numbers(path: PathName) -> str:
    """SIPp's rows: called numbers that differ, and red callers where the call is to be refused."""
    if path == "call":
        rows = [f"1390{n:07d};+86138{n:08d}" for n in range(10_000)]
    else:
        rows = [f"1390{n:07d};{systems.RED}{n % systems.RED_CALLERS:08d}" for n in range(10_000)]
    return "\n".join(["SEQUENTIAL", *rows, ""])
