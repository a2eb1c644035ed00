"""One source floods a real engine as fast as a process can; everybody else is served."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from engine.sip.parse import parse
from lab.peers.ringward import Site, ringward
from tests.runtime.net import PATIENCE_S, Socket, host
from tests.wire.transport_kit import Call, Side

pytestmark = pytest.mark.wire

FLOOD_S = 3.0
MOST = 3_000_000
PAUSE_S = 0.02
ENOUGH_S = 2.0
"""An honest caller that has waited so long counts as not served."""
GROWTH_BYTES = 24 * 1024 * 1024


async def tries(work: Callable[[], Awaitable[object]], over: asyncio.Event) -> tuple[int, int]:
    """(successes, attempts) of the same thing again and again until it is over."""
    good = attempts = 0
    while not over.is_set():
        attempts += 1
        try:
            await asyncio.wait_for(work(), ENOUGH_S)
        except TimeoutError:
            continue
        good += 1
        await asyncio.sleep(PAUSE_S)
    return good, attempts


async def rss(pid: int, over: asyncio.Event) -> list[int]:
    engine = psutil.Process(pid)
    found = [engine.memory_info().rss]
    while not over.is_set():
        await asyncio.sleep(0.1)
        found.append(engine.memory_info().rss)
    return found


async def test_one_source_floods_and_others_are_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carrier, access = await Side(host()).open(), await Side(host()).open()
    engine, asking = host(), Socket(carrier.host)
    settings = {
        "sip.listen": f"{engine}:5060",
        "trunk.carrier.match": carrier.host,
        "trunk.carrier.next_hop": str(carrier.next_hop),
        "trunk.access.match": access.host,
        "trunk.access.next_hop": str(access.next_hop),
        "screening.table": "",
        "media.ports": "38000-38999",
    }
    target = (engine, 5060)

    async def call() -> None:
        made = Call(carrier, access, target)
        await made.connect()
        await made.hang_up()

    async def options() -> None:
        mine = f"{asking.address[0]}:{asking.address[1]}"
        text = Call(carrier, access, target).write("OPTIONS").decode()
        asking.send(text.replace(str(carrier.next_hop), mine).encode(), target)
        while f"call-{_id(text)}" != parse(await asking.receive()).call_id:
            pass

    async with ringward(Site("127.0"), tmp_path, settings) as running:
        await asyncio.wait_for(call(), PATIENCE_S)  # everything is loaded now
        flooder = await asyncio.create_subprocess_exec(
            *(sys.executable, Path(__file__).with_name("flooder.py")),
            *(host(), engine, "5060", str(FLOOD_S), str(MOST)),
            stdout=PIPE,
        )
        assert flooder.stdout is not None
        await asyncio.wait_for(flooder.stdout.readline(), PATIENCE_S)
        over = asyncio.Event()
        work = [
            asyncio.create_task(tries(options, over)),
            asyncio.create_task(tries(call, over)),
            asyncio.create_task(rss(running.peer.pid, over)),
        ]
        sent, took_s = map(
            float, (await asyncio.wait_for(flooder.stdout.readline(), FLOOD_S + PATIENCE_S)).split()
        )
        over.set()
        await flooder.wait()
        asked_for, called, memory = await asyncio.gather(*work)
    for side in (carrier, access):
        await side.close()
    asking.close()
    rows = {"OPTIONS": asked_for, "calls": called}
    with capsys.disabled():
        served = ", ".join(f"{name} {good} of {attempts}" for name, (good, attempts) in rows.items())
        grown = (max(memory) - memory[0]) / 1e6
        print(f"\nflood: {sent / took_s:.0f} messages/s from one source; {served}; memory +{grown:.1f} MB")
    for good, attempts in rows.values():
        assert attempts >= 20
        assert good / attempts >= 0.95
    assert max(memory) - memory[0] < GROWTH_BYTES
    assert "banned for flooding" in running.peer.log.read_text()


def _id(text: str) -> str:
    return text.partition("Call-ID: call-")[2].partition("\r\n")[0]
