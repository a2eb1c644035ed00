"""The worker around the core: one effect that fails takes no other with it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

from engine.call.core import CoreEffect, SipCore
from engine.call.timers import LATE_S
from engine.call.values import CallCommand, Drain, EventRaised
from engine.media.port import MediaPort
from engine.model.address import Address
from engine.model.config import Config, SipSection
from engine.model.events import Alarm, AnyEvent
from engine.model.ids import TenantId
from engine.runtime.screener import Screener
from engine.runtime.worker import TICK_S, EngineWorker, Publisher
from scoring.numbers import Numbering


class Core:
    """Answers every command with the same effects."""

    def __init__(self, effects: list[CoreEffect]) -> None:
        self.effects = effects
        self.soonest = math.inf

    def command(self, command: CallCommand, now: float) -> list[CoreEffect]:
        return self.effects

    def next_timer(self) -> float | None:
        return None


class FullJournal:
    """Refuses what it is asked first."""

    def __init__(self) -> None:
        self.asked: list[list[AnyEvent]] = []

    def extend(self, tenant: TenantId, events: Iterable[tuple[AnyEvent, float]]) -> None:
        self.asked.append([event for event, _ in events])
        if len(self.asked) == 1:
            raise OSError("no room")


def worker_of(core: Core, journal: FullJournal) -> EngineWorker:
    return EngineWorker(
        Config(sip=SipSection(listen=Address("127.0.0.1", 0))),
        cast(SipCore, core),
        cast(Screener, SimpleNamespace(counting=SimpleNamespace(count=lambda: None))),
        Numbering(),
        journal,
        cast(Publisher, None),
    )


async def test_what_follows_a_failure_is_still_done() -> None:
    journal = FullJournal()
    events: list[AnyEvent] = [Alarm(slug="first", detail=""), Alarm(slug="second", detail="")]
    worker = worker_of(Core([EventRaised(event) for event in events]), journal)
    worker.command(Drain(end_calls=False))
    worker.command(Drain(end_calls=True))
    await worker.close()
    assert journal.asked == [events, events]


async def test_no_timer_is_looked_at_later_than_the_core_counts_on() -> None:
    assert TICK_S <= LATE_S
    core = Core([])
    for early in (0.0, 0.001, 0.7 * TICK_S, TICK_S):
        core.soonest = at = time.monotonic() + 1000 + early
        worker = worker_of(core, FullJournal())
        worker.open(cast(MediaPort, None))
        assert 0.0 <= round(worker._timer_at - at, 6) <= LATE_S
        await worker.close()


async def test_what_happens_while_the_transports_close_is_told_too() -> None:
    journal = FullJournal()
    journal.asked.append([])  # there is room
    event = Alarm(slug="late", detail="")
    worker = worker_of(Core([EventRaised(event)]), journal)
    worker.open(cast(MediaPort, None))
    worker.command(Drain(end_calls=False))
    await worker.close()
    worker.command(Drain(end_calls=True))  # a connection fails whose last message waits, say
    assert journal.asked == [[], [event], [event]]


class Stumbling(Core):
    """Fails at a command, with effects of what it had done by then."""

    def __init__(self, effects: list[CoreEffect]) -> None:
        super().__init__([])
        self.left = effects
        self.asked = asyncio.Event()

    def command(self, command: CallCommand, now: float) -> list[CoreEffect]:
        raise RuntimeError("a fault of ours")

    def timer(self, now: float) -> list[CoreEffect]:
        self.asked.set()
        left, self.left = self.left, []
        return left


async def test_what_the_core_did_before_it_failed_waits_for_nobody() -> None:
    journal = FullJournal()
    journal.asked.append([])
    event = Alarm(slug="done", detail="")
    core = Stumbling([EventRaised(event)])
    worker = worker_of(core, journal)
    worker.open(cast(MediaPort, None))
    worker.command(Drain(end_calls=False))
    async with asyncio.timeout(30):
        await core.asked.wait()
    await worker.close()
    assert [event] in journal.asked
