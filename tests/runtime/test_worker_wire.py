"""An engine worker on a real socket: calls, and everything that is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from engine.model.events import CallEnded, CallStarted
from engine.model.screening import Action, Level
from engine.sip.message import Request, Response
from engine.sip.parse import parse
from tests.call.peer import sdp
from tests.runtime.bench import Bench, read, reply
from tests.runtime.net import PATIENCE_S
from tests.screening.kit import entry

pytestmark = pytest.mark.wire


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.close()


async def connected(bench: Bench) -> tuple[Request, Response]:
    bench.carrier.send(bench.request("INVITE", body=sdp(bench.carrier.address[0])), bench.target)
    invite = await read(bench.phone, "INVITE")
    assert isinstance(invite, Request)
    bench.phone.send(reply(invite, 200, bench.phone, sdp(bench.phone.address[0])), bench.target)
    answer = await read(bench.carrier, "200")
    assert isinstance(answer, Response)
    bench.carrier.send(bench.request("ACK", branch="ack", answer=answer), bench.target)
    return invite, answer


async def test_a_call(bench: Bench) -> None:
    invite, answer = await connected(bench)
    bench.carrier.send(bench.request("BYE", branch="bye", cseq=2, answer=answer), bench.target)
    theirs = await read(bench.phone, "BYE")
    assert isinstance(theirs, Request)
    assert theirs.call_id == invite.call_id
    bench.phone.send(reply(theirs, 200, bench.phone), bench.target)
    await read(bench.carrier, "200")
    await bench.alive()
    assert bench.worker.calls == 0
    (ended,) = [event for event in bench.journal.events if isinstance(event, CallEnded)]
    assert str(ended.outcome) == "caller/hung_up"


async def test_a_reject(bench: Bench) -> None:
    bench.table.entries["+8613800000001"] = entry(Level.RED, action=Action.REJECT)
    bench.carrier.send(bench.request("INVITE", "13900000002", b"", "Feature-Caps: *;+sip.608"), bench.target)
    await read(bench.carrier, "608")
    await read(bench.phone, "MESSAGE")
    assert [popup.popup.kind for popup in bench.bus.popups] == ["fraud_blocked"]
    assert bench.worker.calls == 0


async def test_an_answer_is_repeated_by_the_clock(bench: Bench) -> None:
    """Timer G: nobody acknowledges the refusal."""
    bench.carrier.send(bench.request("INVITE", "13900000002", b"nonsense"), bench.target)
    first = await read(bench.carrier, "488")
    assert (await read(bench.carrier, "488")).rows("To") == first.rows("To")


def garbage(bench: Bench) -> list[bytes]:
    """Everything a hostile or broken host may send; the same on each run."""
    chance = Random(1)
    honest = bench.request("INVITE", body=sdp(bench.carrier.address[0]), branch="garbage")
    found = [b"", b"\r\n\r\n", b"\0" * 20, b"\xff" * 1000, b"SIP/2.0 200 OK\r\n\r\n", b"INVITE"]
    found += [honest[:cut] for cut in range(0, len(honest), 13)]
    found += [chance.randbytes(chance.randrange(1, 600)) for _ in range(100)]
    for _ in range(200):
        damaged = bytearray(honest)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        found.append(bytes(damaged))
    for number in range(50):
        found.append(bench.request(chance.choice(["FETCH", "invite", "X" * 500]), branch=f"unknown-{number}"))
    for number in range(100):
        body = chance.choice([b"nonsense", b"v=0\r\n", sdp("224.0.0.1"), chance.randbytes(300)])
        found.append(bench.request("INVITE", body=body, branch=f"sdp-{number}"))
    found.append(bench.request("INVITE", "1", b"", "X-Long: " + "x" * 60_000, branch="long"))
    found.append(bench.request("INVITE", "1", b"v=0\r\n" * 12_000, branch="body"))
    found.append(bench.request("OPTIONS", "1", b"", *[f"X-{row}: 1" for row in range(2_000)], branch="rows"))
    return found


async def test_garbage_of_all_kinds(bench: Bench) -> None:
    for count, data in enumerate(garbage(bench)):
        bench.carrier.send(data, bench.target)
        bench.phone.send(data, bench.target)
        if count % 20 == 0:  # no faster than a socket's buffer is read
            await bench.alive()
    await bench.alive()
    ringing = {parse(data).call_id for data in bench.phone.unread() if data.startswith(b"INVITE ")}
    assert bench.worker.calls == len(ringing) < 20  # some damage does not hurt
    assert bench.worker.counts()["dialogs"] == 0
    started = [event for event in bench.journal.events if isinstance(event, CallStarted)]
    ended = [event for event in bench.journal.events if isinstance(event, CallEnded)]
    assert len(started) - len(ringing) == len(ended) >= 100
    assert bench.worker.discarded > 100


async def test_draining_says_goodbye(bench: Bench) -> None:
    await connected(bench)
    draining = asyncio.create_task(bench.worker.drain(0.0, asyncio.Event()))
    for socket in (bench.phone, bench.carrier):
        bye = await read(socket, "BYE")
        assert isinstance(bye, Request)
        socket.send(reply(bye, 200, socket), bench.target)
    await draining
    assert bench.worker.calls == 0
    bench.carrier.send(bench.request("INVITE", branch="late"), bench.target)
    await read(bench.carrier, "503")


async def test_draining_waits_for_no_answer_in_a_hurry(bench: Bench) -> None:
    await connected(bench)
    hurry = asyncio.Event()
    draining = asyncio.create_task(bench.worker.drain(PATIENCE_S, hurry))
    bench.carrier.send(bench.request("INVITE", branch="late"), bench.target)
    await read(bench.carrier, "503")
    bench.carrier.send(bench.request("OPTIONS", branch="asks"), bench.target)
    await read(bench.carrier, "503")
    assert bench.worker.calls == 1  # the call goes on
    hurry.set()
    await draining
    await read(bench.phone, "BYE")
    assert bench.worker.calls == 1
