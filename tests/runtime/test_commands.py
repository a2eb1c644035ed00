"""Commands from the bus: carried out once, always answered, refused with a slug that says why."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from engine.model.commands import Acknowledgement, AnyCommand, EndCall, PlaceDissuasionCall
from engine.model.config import DissuasionSection
from engine.model.events import CallStarted
from engine.model.ids import CallId, CaseId, CommandId, TenantId
from engine.model.trunk_sections import TrunkSection
from engine.runtime.commands import REMEMBERED
from engine.sip.message import Request
from tests.runtime.bench import Bench, read

pytestmark = pytest.mark.wire

NUMBER = "+8613900000002"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.close()


def place(number: str = NUMBER, id: str = "c1", deadline: float | None = None) -> PlaceDissuasionCall:
    return PlaceDissuasionCall(
        id=CommandId(id),
        tenant=TenantId("lab"),
        deadline=time.time() + 60 if deadline is None else deadline,
        case_id=CaseId("case-1"),
        number=number,
        language="en",
        script="general",
    )


async def ask(bench: Bench, command: AnyCommand) -> Acknowledgement:
    bench.worker.commands.take(msgspec.json.encode(command))
    return await bench.bus.answer()


def started(bench: Bench) -> list[CallStarted]:
    return [event for event in bench.journal.events if isinstance(event, CallStarted)]


async def test_a_dissuasion_call_is_placed(bench: Bench) -> None:
    answer = await ask(bench, place())
    invite = await read(bench.phone, "INVITE")
    assert isinstance(invite, Request)
    assert invite.uri.user == NUMBER
    assert invite.from_.uri.user == "96110"
    (event,) = started(bench)
    assert answer == Acknowledgement(id=CommandId("c1"), ok=True, call_id=event.call_id)
    assert (event.direction, event.case_id) == ("dissuasion", "case-1")


async def test_the_same_command_again_is_the_same_call(bench: Bench) -> None:
    first = await ask(bench, place())
    assert await ask(bench, place()) == first
    assert await ask(bench, place(NUMBER[:-1] + "3")) == first
    assert len(started(bench)) == 1


async def test_only_so_many_are_remembered(bench: Bench) -> None:
    for count in range(REMEMBERED + 1):
        await ask(bench, place("110", f"c{count}"))
    assert (await ask(bench, place(id="c1"))).error == "invalid"
    assert (await ask(bench, place(id="c0"))).ok


@pytest.mark.parametrize("number", ["110", "+86110", "96110", "120", "", "nobody", "+861", "13900", "12345"])
async def test_numbers_that_are_not_called(bench: Bench, number: str) -> None:
    assert (await ask(bench, place(number))).error == "invalid"
    assert started(bench) == []


async def test_too_late(bench: Bench) -> None:
    assert (await ask(bench, place(deadline=time.time() - 1))).error == "expired"
    assert (await ask(bench, place())).error == "expired"
    assert started(bench) == []


@pytest.mark.parametrize("error", ["disabled", "no_route"])
async def test_what_the_configuration_does_not_allow(error: str) -> None:
    section = DissuasionSection(enabled=error != "disabled", caller="96110")
    trunks = {} if error == "no_route" else {"access": TrunkSection(side="access")}
    bench = Bench(dissuasion=section, trunk=trunks)
    assert (await ask(bench, place())).error == error
    await bench.close()


async def test_ending_a_call(bench: Bench) -> None:
    placed = await ask(bench, place())
    assert placed.call_id is not None
    end = EndCall(
        id=CommandId("c2"),
        tenant=TenantId("lab"),
        deadline=time.time() + 60,
        call_id=placed.call_id,
        reason="operator",
    )
    await read(bench.phone, "INVITE")
    assert (await ask(bench, end)).ok
    unknown = msgspec.structs.replace(end, id=CommandId("c3"), call_id=CallId("nothing"))
    assert (await ask(bench, unknown)).error == "unknown_call"


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"\xff", b'{"command": "shut_down"}', b'{"command": "end_call", "id": 5}', b"[]"]
)
async def test_what_cannot_be_read_is_not_answered(bench: Bench, payload: bytes) -> None:
    bench.worker.commands.take(payload)
    assert (await ask(bench, place())).ok
    assert bench.bus.answers.empty()
