"""Leads become calls: claimed first, asked for once, tried again only where nobody can have been called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec
import pytest

from engine.app.dialling import MOST_ATTEMPTS, RETRY_AFTER, Dialler
from engine.bus.client import Bus, Handler, PublishResult
from engine.bus.topics import ACKNOWLEDGEMENTS, COMMANDS
from engine.model.commands import Acknowledgement, PlaceDissuasionCall
from engine.model.config import Config, DissuasionSection, SubscribersSection
from engine.model.events import CallStarted, Party, Record
from engine.model.ids import CallId, CaseId, CommandId, EventId, NumberId, TenantId
from engine.store.entries import LeadEntry, LeadRule
from engine.store.leads import CALL_LEASE, LEASE
from engine.store.store import Store
from tests.store.conftest import EPOCH, Node, file_number

LAB = TenantId("lab")
NOW = datetime.fromtimestamp(EPOCH + 100, UTC)
PATIENCE_S = 20.0
Worker = Callable[[PlaceDissuasionCall], Acknowledgement | None]


def taken(command: PlaceDissuasionCall) -> Acknowledgement:
    return Acknowledgement(id=command.id, ok=True)


class FakeBus:
    """Carries commands to one worker and its answers back."""

    def __init__(self) -> None:
        self.worker: Worker = taken
        self.asked: asyncio.Queue[PlaceDissuasionCall] = asyncio.Queue()
        self.handlers: dict[str, Handler] = {}

    async def subscribe(self, filter: str, handler: Handler) -> None:
        self.handlers[filter] = handler

    async def publish(self, topic: str, payload: bytes) -> PublishResult:
        assert topic == COMMANDS.name(LAB, node="node-1", worker="w1")
        command = msgspec.json.decode(payload, type=PlaceDissuasionCall)
        answer = self.worker(command)
        if answer is not None:
            await self.answer(answer)
        self.asked.put_nowait(command)
        return PublishResult.ACKNOWLEDGED

    async def answer(self, answer: Acknowledgement) -> None:
        topic = ACKNOWLEDGEMENTS.name(LAB, node="node-1", worker="w1")
        await self.handlers[topic](topic, msgspec.json.encode(answer))


class World:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.bus = FakeBus()
        self.now = NOW
        self.config = Config(
            tenant="lab",
            dissuasion=DissuasionSection(enabled=True, caller="96110", script="general"),
            subscribers=SubscribersSection(language="zh-CN", languages={"+8613800138000": "en"}),
        )
        self._running: asyncio.Task[None] | None = None

    def start(self, deadline_s: float = 0.05) -> None:
        bus = cast(Bus, self.bus)
        dialler = Dialler(self.config, self.store.leads, bus, lambda: self.now, deadline_s=deadline_s)
        self._running = asyncio.create_task(dialler.run())

    async def asked(self) -> PlaceDissuasionCall:
        return await asyncio.wait_for(self.bus.asked.get(), PATIENCE_S)

    async def lead(self, state: str) -> LeadEntry:
        """The lead, once it is in that state; seen from the end of time."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for lead in await self.store.leads.leads_to_call(NOW + timedelta(days=365)):
                    if lead.state == state:
                        return lead
                await asyncio.sleep(0.01)

    async def until_nothing_is_left(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                leads = self.store.leads
                if not (await leads.leads_left(self.now) or await leads.leads_to_call(self.now)):
                    return
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite'}"
    rule = LeadRule(enabled=True, delay_s=5.0)
    async with await Store.open(url, file_number=file_number, lead_rule=rule) as store:
        await store.ship(Node().call("c1", action="warn"))
        world = World(store)
        yield world
        await world.stop()


async def test_a_lead_is_called(world: World) -> None:
    world.start()
    command = await world.asked()
    assert (command.case_id, command.number, command.script) == ("case-c1", "+8613800138000", "general")
    assert command.language == "en"
    assert command.deadline == NOW.timestamp() + 0.05
    assert await world.store.leads.leads_to_call(NOW + timedelta(days=1)) == []


async def test_what_is_not_due_waits(world: World) -> None:
    world.now = NOW - timedelta(seconds=60)
    world.start()
    await asyncio.sleep(0)
    (lead,) = await world.store.leads.leads_to_call(NOW)
    assert (lead.state, lead.attempts) == ("new", 0)
    assert world.bus.asked.empty()


async def test_what_somebody_else_has_claimed_is_theirs(world: World) -> None:
    """Between the look and the claim."""
    (lead,) = await world.store.leads.leads_to_call(NOW)
    assert await world.store.leads.lead_started(LAB, lead.case_id, NOW)
    await world.store.ship(Node(boot=2).call("c2", action="warn", called="+8613800138001"))
    world.start()
    assert (await world.asked()).case_id == "case-c2"
    assert world.bus.asked.empty()


@pytest.mark.parametrize("error", ["invalid", "disabled", "no_route"])
async def test_what_cannot_succeed_is_not_tried_again(world: World, error: str) -> None:
    world.bus.worker = lambda command: Acknowledgement(id=command.id, ok=False, error=error)
    world.start()
    await world.asked()
    await world.store.ship(Node(boot=2).call("c2", action="warn", called="+8613800138001"))
    await world.asked()  # the next round
    assert not [
        lead
        for lead in await world.store.leads.leads_to_call(NOW + timedelta(days=365))
        if lead.case_id == CaseId("case-c1")
    ]


@pytest.mark.parametrize("error", ["no_worker", "expired", "draining"])
async def test_what_may_succeed_is_tried_again_later(world: World, error: str) -> None:
    world.bus.worker = lambda command: (
        None if error == "no_worker" else Acknowledgement(id=command.id, ok=False, error=error)
    )
    world.start()
    commands = [await world.asked()]
    for attempt in range(1, MOST_ATTEMPTS):
        lead = await world.lead("queued")
        assert (lead.attempts, lead.last_outcome, lead.due_at) == (attempt, error, world.now + RETRY_AFTER)
        world.now += RETRY_AFTER
        commands.append(await world.asked())
    # whoever did not answer may have heard: asked under the same id it calls nobody twice
    assert len({command.id for command in commands}) == (1 if error == "no_worker" else MOST_ATTEMPTS)
    await world.store.ship(Node(boot=2).call("c2", action="warn", called="+8613800138001"))
    assert (await world.asked()).case_id == "case-c2"
    assert (await world.lead("queued")).case_id == "case-c2"


async def test_an_answer_that_is_late_still_counts(world: World) -> None:
    """It was sent before the deadline: the victim is being called."""
    loop = asyncio.get_running_loop()

    def slow(command: PlaceDissuasionCall) -> None:
        late = world.bus.answer(taken(command))
        loop.call_later(1.1, lambda: loop.create_task(late))

    world.bus.worker = slow
    world.start(deadline_s=1.0)
    await world.asked()
    world.bus.worker = taken
    await world.store.ship(Node(boot=2).call("c2", action="warn", called="+8613800138001"))
    assert (await world.asked()).case_id == "case-c2"
    assert await world.store.leads.leads_to_call(NOW + timedelta(days=365)) == []


async def test_what_a_dead_centre_left_is_asked_for_again_under_the_same_id(world: World) -> None:
    (lead,) = await world.store.leads.leads_to_call(NOW)
    assert await world.store.leads.lead_started(LAB, lead.case_id, NOW, CommandId("first"))
    world.start()
    await world.store.ship(Node(boot=2).call("c2", action="warn", called="+8613800138001"))
    assert (await world.asked()).case_id == "case-c2"  # not while the claim lasts
    world.now += LEASE
    again = await world.asked()
    assert (again.case_id, again.id) == ("case-c1", "first")
    assert again.deadline == world.now.timestamp() + 0.05
    await world.until_nothing_is_left()


@pytest.mark.parametrize("known", ["claimed", "queued"])
async def test_a_call_that_the_store_knows_is_not_asked_for_again(world: World, known: str) -> None:
    """The worker heard the command and the centre did not hear the worker."""
    leads = world.store.leads
    assert await leads.lead_started(LAB, CaseId("case-c1"), NOW, CommandId("first"))
    if known == "queued":
        await leads.lead_ended(LAB, CaseId("case-c1"), "no_worker", NOW, unanswered=True)
    await world.store.ship([dissuasion(5, "d1")])
    world.now += LEASE
    world.start()
    await world.until_nothing_is_left()
    assert world.bus.asked.empty()
    assert await leads.leads_left(world.now + LEASE) == []
    (lost,) = await leads.leads_left(world.now + CALL_LEASE)
    assert (lost.case_id, lost.command, lost.called) == ("case-c1", None, True)


async def test_a_call_nobody_tells_of_any_more_is_over(world: World) -> None:
    world.start()
    await world.asked()
    world.now += LEASE
    await world.until_nothing_is_left()
    world.now += CALL_LEASE
    await world.until_nothing_is_left()
    assert world.bus.asked.empty()
    assert await world.store.leads.leads_to_call(NOW + timedelta(days=365)) == []


def dissuasion(seq: int, call_id: str) -> Record:
    """A dissuasion call of case-c1 has begun, on a node of its own."""
    calling, called = Party("96110", NumberId("n-96110")), Party("+8613800138000", NumberId("n-victim"))
    started = CallStarted(
        call_id=CallId(call_id),
        direction="dissuasion",
        trunk="",
        calling=calling,
        called=called,
        case_id=CaseId("case-c1"),
    )
    return Record(id=EventId("node-9", 1, seq), at=EPOCH + 90.0, tenant=LAB, event=started)
