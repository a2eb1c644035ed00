"""Outages under steady calls, and the proof by event ids that nothing was lost or doubled.

`await outage(which, seconds, system)` hurts a running system for so long and tells what it found. A run of
the tests takes a few seconds each; `make soak` takes sixty.
"""

from __future__ import annotations

import asyncio
import resource
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from engine.model.address import Address
from engine.model.events import CallEnded, CallStarted
from lab.soak.system import System
from lab.soak.traffic import Traffic

AROUND_S = 0.5
"""Of calls before and after the outage."""
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
FULL = (0, resource.RLIM_INFINITY)
"""As file sizes: every write to a file fails, as on a full disk."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What became of the calls and events of one run."""

    calls: int
    statuses: dict[int, int]
    """Final status towards the caller → calls."""
    cut: int
    """Calls the engine hung up."""
    unknown: int
    """Calls that the journal does not know, or knows twice."""
    open: int
    """Calls that began and have no end, or more than one."""
    events: int
    lost: int
    """Events of the journal that are not in the store."""
    doubled: int
    """Events that are in journal or store more than once."""
    alarms: list[str]
    """Slugs of the engine's alarms, in order."""

    @property
    def whole(self) -> bool:
        """Nothing was lost or doubled, in calls and events."""
        return not (self.unknown or self.open or self.lost or self.doubled)


@dataclass(frozen=True, slots=True)
class Outage:
    hurt: Callable[[System], AbstractAsyncContextManager[None]]
    alarms: tuple[str, ...] = ()
    """Slugs that the engine's journal is to have, each once."""


@asynccontextmanager
async def _full(pid: int) -> AsyncIterator[None]:
    """For this process."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, FULL)
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, NO_LIMIT)


def store_full(system: System) -> AbstractAsyncContextManager[None]:
    """The disk of an SQLite store takes nothing."""
    return _full(system.centre.pid)


@asynccontextmanager
async def broker_down(system: System) -> AsyncIterator[None]:
    await system.broker.stop(signal.SIGKILL)
    try:
        yield
    finally:
        await system.start_broker()


def disk_full(system: System) -> AbstractAsyncContextManager[None]:
    """The engine's disk takes nothing: neither journal nor anything else."""
    return _full(system.engine.pid)


@asynccontextmanager
async def media_killed(system: System) -> AsyncIterator[None]:
    system.kill_media_worker(signal.SIGKILL)
    yield


@asynccontextmanager
async def media_hung(system: System) -> AsyncIterator[None]:
    system.kill_media_worker(signal.SIGSTOP)
    yield


OUTAGES: dict[str, Outage] = {
    # the store cannot keep an alarm of its own: open pages and the log have it
    "store full": Outage(store_full),
    "broker down": Outage(broker_down, ("bus_down", "bus_up")),
    # that the journal fails is told past it, by the bus
    "disk full": Outage(disk_full, ("journal_recovered",)),
    "media worker killed": Outage(media_killed, ("media_failed", "media_recovered")),
    "media worker hung": Outage(media_hung, ("media_failed", "media_recovered")),
}


async def outage(which: Outage, seconds: float, system: System, interval_s: float = 0.1) -> Findings:
    """Calls before, during and after; then wait for the store to have everything. Raises TimeoutError."""
    site, told = system.site, len(system.alarms())
    traffic = Traffic(site.carrier, site.access, Address(site.engine, 5060))
    try:
        await traffic.run(AROUND_S, interval_s)
        async with which.hurt(system):
            await traffic.run(seconds, interval_s)
        await traffic.run(AROUND_S, interval_s)
        await traffic.finish()
    finally:
        traffic.close()
    await _journal_knows(system, traffic)
    await _told(system, told + len(which.alarms))
    await system.all_stored()
    return await findings(system, traffic, told)


async def _journal_knows(system: System, traffic: Traffic, limit_s: float = 30.0) -> None:
    """Wait until every call's end is in the journal: after a full disk it is written late."""
    async with asyncio.timeout(limit_s):
        while True:
            records = await asyncio.to_thread(system.journal)
            begun = {
                record.event.call_id
                for record in records
                if isinstance(record.event, CallStarted) and record.event.calling.number in traffic.callers
            }
            ended = {record.event.call_id for record in records if isinstance(record.event, CallEnded)}
            if len(begun & ended) >= len(traffic.callers):
                return
            await asyncio.sleep(0.2)


async def _told(system: System, count: int, limit_s: float = 30.0) -> None:
    """Wait for so many alarms: what is well again is noticed at the next try."""
    async with asyncio.timeout(limit_s):
        while True:
            if len(await asyncio.to_thread(system.alarms)) >= count:
                return
            await asyncio.sleep(0.2)


async def findings(system: System, traffic: Traffic, told: int = 0) -> Findings:
    """What is there now; of the alarms those after the first `told`."""
    records = await asyncio.to_thread(system.journal)
    written = Counter((record.id.node, record.id.boot, record.id.seq) for record in records)
    stored = Counter(await system.stored())
    started = [record.event for record in records if isinstance(record.event, CallStarted)]
    ends = Counter(record.event.call_id for record in records if isinstance(record.event, CallEnded))
    known = Counter(event.calling.number for event in started)
    return Findings(
        calls=len(traffic.callers),
        statuses=dict(traffic.statuses),
        cut=traffic.cut,
        unknown=sum(known[caller] != 1 for caller in traffic.callers),
        open=sum(ends[event.call_id] != 1 for event in started),
        events=len(written),
        lost=len(written.keys() - stored.keys()),
        doubled=sum(count > 1 for counts in (written, stored) for count in counts.values()),
        alarms=system.alarms()[told:],
    )
