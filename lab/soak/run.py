"""`ringward soak`: very many calls of every kind through the real processes, and the proof that all is well.

Broker, centre, store and one engine run as in production; SIPp is carrier and subscribers. With outages the
store's disk fills, the broker is killed and the media worker is killed, each under calls.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from engine.journal import JournalReader
from engine.store.database import Database
from engine.store.tables import call as call_table
from engine.store.tables import journal_event
from lab.bench.processes import rss_mb
from lab.bench.systems import fetch_figures
from lab.peers import packages
from lab.peers.process import PeerError
from lab.peers.ringward import Site
from lab.soak import mixture
from lab.soak.outages import OUTAGES
from lab.soak.system import System
from lab.soak.verdicts import Boot, Ending, Ledger, Rise, Sample, Stored, faults, rise

SITE = Site("127.201")
_PORTS = (24_900, 24_901)
_METRICS_PORT = 9100
_STORED_S = 60.0
"""A store that takes nothing more for so long has all that it will have."""
_HELD = "ringward_sip_held/"
OUTAGE_NAMES = ("store full", "broker down", "media worker killed")


@dataclass(frozen=True, slots=True)
class Extent:
    calls: int = 1_000_000
    every: int = 10_000
    """Calls of a round; after each the figures are printed."""
    per_second: float = 100.0
    outages: bool = False
    outage_s: float = 60.0
    seed: int = 1
    quiet_s: float = 80.0
    """At the end, for what peers left behind: 64·T1 for transactions, twice that for calls with lost packets.

    0: what the engine still holds is not judged.
    """


async def soak(folder: Path, extent: Extent, say: Callable[[str], None]) -> list[str]:
    """Place the calls; what is not as it must be, a line each. `folder` is emptied first.

    Raises PeerError where something cannot be run.
    """
    if not packages.have("sipp"):
        raise PeerError(packages.reason("sipp"))
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await asyncio.to_thread(folder.mkdir, parents=True)
    table = folder / "numbers.csv"
    await asyncio.to_thread(table.write_text, mixture.risk_table(), encoding="ascii")
    settings = {
        **mixture.settings(SITE),
        "screening.table": str(table),
        "metrics.listen": f"{SITE.engine}:{_METRICS_PORT}",
    }
    async with AsyncExitStack() as stack:
        system = System(SITE, folder, _PORTS)
        stack.push_async_callback(system.stop)
        await system.start(**settings)
        return await _Soak(system, folder, extent, say).run()


class _Soak:
    def __init__(self, system: System, folder: Path, extent: Extent, say: Callable[[str], None]) -> None:
        self._system = system
        self._folder = folder
        self._extent = extent
        self._say = say
        self._random = random.Random(extent.seed)
        self._ledger = Ledger()
        self._cursors: dict[Path, int] = {}
        self._placed = 0
        self._wrong: Counter[str] = Counter()
        self._alarms: list[str] = []
        self._samples: list[Sample] = []

    async def run(self) -> list[str]:
        rounds = -(-self._extent.calls // self._extent.every)
        outages = _spread(OUTAGE_NAMES, rounds) if self._extent.outages else {}
        for number in range(rounds):
            calls = min(self._extent.every, self._extent.calls - self._placed)
            await self._round(calls, outages.get(number, ()))
        left = await self._quiet()
        await asyncio.to_thread(self._read_journal)
        end = Ending(
            placed=self._placed,
            went_wrong=self._wrong,
            ledger=self._ledger,
            stored=await self._stored(),
            left=left,
            memory=rise(self._samples),
            alarms=self._alarms,
        )
        self._say(_told(end))
        return faults(end)

    async def _round(self, calls: int, outages: Sequence[str]) -> None:
        """Calls, with an outage in their midst for each named."""
        began = time.monotonic()
        for name in outages:
            which = OUTAGES[name]
            self._say(f"  {name} for {self._extent.outage_s:g} s")
            self._alarms += which.alarms
            async with which.hurt(self._system):
                during = max(round(self._extent.outage_s * self._extent.per_second / 2), 1)
                during = min(during, calls)
                await asyncio.gather(self._place(during), asyncio.sleep(self._extent.outage_s))
            calls -= during
        if calls:
            await self._place(calls)
        await asyncio.to_thread(self._read_journal)
        await self._sample(time.monotonic() - began)

    async def _place(self, calls: int) -> None:
        counts = mixture.split(calls, self._random)
        placed = await mixture.place(SITE, self._folder, counts, self._extent.per_second)
        for kind, found in placed.items():
            self._placed += found.calls
            if kind.sure:
                self._wrong[kind.name] += found.wrong

    def _read_journal(self) -> None:
        """What is new in the journals."""
        for path in sorted((self._folder / "data" / "journal").glob("*.sqlite")):
            with closing(JournalReader(path)) as reader:
                while batches := reader.after(self._cursors.get(path, 0), limit=500):
                    for row, records in batches:
                        self._ledger.take(records)
                        self._cursors[path] = row

    async def _sample(self, took_s: float) -> None:
        system, ledger = self._system, self._ledger
        sample = Sample(self._placed, rss_mb(system.engine.pid))
        self._samples.append(sample)
        held = await self._held()
        others = ", ".join(
            f"{name} {rss_mb(pid):.0f}"
            for name, pid in (("media", system.media_worker()), ("centre", system.centre.pid))
        )
        size_mb = sum(path.stat().st_size for path in (self._folder / "data" / "journal").glob("*")) / 1e6
        self._say(
            f"{sample.calls:,} calls ({took_s:.0f} s): engine {sample.rss_mb:.1f} MB ({others});"
            f" up {held.get('calls', 0)}, held {sum(held.values())}; journal {size_mb:.1f} MB,"
            f" {sum(ledger.events.values()):,} events, {ledger.open} calls open,"
            f" {ledger.lost} lost, {ledger.doubled + ledger.begun_again + ledger.ended_again} doubled"
        )

    async def _held(self) -> dict[str, int]:
        """What the engine's SIP core holds, by kind."""
        figures = await asyncio.to_thread(fetch_figures, f"{SITE.engine}:{_METRICS_PORT}")
        return {
            name.removeprefix(_HELD): int(value) for name, value in figures.items() if name.startswith(_HELD)
        }

    async def _quiet(self) -> dict[str, int]:
        """Wait until nothing is held, at most so long; what is left."""
        until = time.monotonic() + self._extent.quiet_s
        held: dict[str, int] = {}
        while time.monotonic() < until:
            held = await self._held()
            if not any(held.values()):
                break
            await asyncio.sleep(1)
        return held

    async def _stored(self) -> Stored:
        """The store's counts once it has as much as the journals, or will not have it."""
        since, before = time.monotonic(), -1
        database = Database(self._system.store_url)
        event, call = journal_event.c, call_table.c
        by_boot = select(event.node, event.boot, func.count()).group_by(event.node, event.boot)
        by_call = select(func.count(), func.count(call.ended_at)).select_from(call_table)
        try:
            while True:
                await asyncio.to_thread(self._read_journal)
                async with database.read() as connection:
                    events: dict[Boot, int] = {
                        (str(node), int(boot)): int(count)
                        for node, boot, count in await connection.execute(by_boot)
                    }
                    calls, ended = (await connection.execute(by_call)).one()
                there = sum(events.values())
                if there > before:
                    since, before = time.monotonic(), there
                whole = there >= sum(self._ledger.events.values()) and not self._ledger.open
                if whole or time.monotonic() - since > _STORED_S:
                    return Stored(events, calls, calls - ended)
                await asyncio.sleep(1)
        finally:
            await database.close()


def _spread(names: Sequence[str], rounds: int) -> dict[int, list[str]]:
    """Round → outages in it, spread over the run; the first and the last round have none if they can."""
    found: dict[int, list[str]] = {}
    for place, name in enumerate(names, 1):
        found.setdefault(min(place * rounds // (len(names) + 1), rounds - 1), []).append(name)
    return found


def _told(end: Ending) -> str:
    outcomes = ", ".join(f"{name} {count}" for name, count in end.ledger.outcomes.most_common())
    return f"{end.placed:,} calls: {outcomes}; memory {_memory(end.memory)}"


def _memory(found: Rise | None) -> str:
    if found is None:
        return "not judged: too few rounds"
    return f"{found.bytes_per_call:+.1f} bytes a call after the warm-up ({found.mb:+.1f} MB)"
