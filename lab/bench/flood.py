"""One source floods a program as fast as it can while another asks and calls: who is still served?

The flood comes from an address that is nobody's trunk; the honest party is the trunk's. Both send from the
load's core, the program has its own.
"""

import asyncio
import math
import re
import sys
from pathlib import Path

from lab.bench.figures import Flooded, Served
from lab.bench.flooder import options
from lab.bench.ground import LOAD_CORE
from lab.bench.processes import memory_mb
from lab.bench.signalling import answering
from lab.bench.systems import SITE, Running
from lab.peers import scenarios, sipp
from lab.peers.process import Peer
from lab.peers.ringward import CHECKOUT

_SOURCE = f"{SITE.prefix}.66.6"
_MOST = 5_000_000
_PAUSE_S = 0.02
_PATIENCE_S = 2.0
"""An OPTIONS without an answer for so long was not served; it is sent once."""
_CALLS_PER_S = 20.0
_CALL_ID = re.compile(rb"\r\nCall-ID: ?([0-9]+)@", re.IGNORECASE)


class _Asker(asyncio.DatagramProtocol):
    """Counts the OPTIONS that get a final answer, whatever it is, soon enough."""

    def __init__(self) -> None:
        self.asked: dict[int, float] = {}
        """Number → loop time."""
        self.answered: set[int] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        found = _CALL_ID.search(data)
        if found is None or data.startswith(b"SIP/2.0 1"):
            return
        number = int(found[1])
        late = asyncio.get_running_loop().time() - self.asked.get(number, -math.inf)
        if late <= _PATIENCE_S:
            self.answered.add(number)


async def flooded(program: Running, folder: Path, seconds: float) -> Flooded:
    """Flood `program` for so long. Raises PeerError where SIPp or the flooder cannot run."""
    before = memory_mb(program.peer.pid)
    over = asyncio.Event()
    load = sipp.Load(
        calls=max(round(_CALLS_PER_S * seconds), 1),
        per_second=_CALLS_PER_S,
        pause_ms=100,
        deadline_s=seconds + 10,
        core=LOAD_CORE,
        trace=False,
    )
    scenario = scenarios.CALL if program.to_contact else scenarios.CALL.to_target()
    caller = sipp.Line(SITE.carrier, 5060, folder / "caller")
    command = [
        sys.executable,
        "-m",
        "lab.bench.flooder",
        _SOURCE,
        program.address,
        "5060",
        str(seconds),
        str(_MOST),
    ]
    async with answering(folder / "callee", load.deadline_s + 10):
        flooder = await Peer.start("flooder", command, folder / "flooder.log", cwd=CHECKOUT, core=LOAD_CORE)
        try:
            await flooder.said("flooding", 10)
            asking = asyncio.create_task(_ask(program.address, over))
            watching = asyncio.create_task(_most_memory(program.peer.pid, over))
            calling = asyncio.create_task(
                sipp.place_calls(
                    scenario, caller, f"{program.address}:5060", "+8613800000001", "13900000002", load
                )
            )
            await flooder.ended(seconds + 30)
            over.set()
            asked, most, called = await asyncio.gather(asking, watching, calling)
        finally:
            over.set()
            await flooder.stop()
    sent, took_s = map(float, flooder.lines[-1].split())
    calls = Served(called.succeeded, load.calls)
    return Flooded(
        program.name, round(sent / took_s), asked, calls, round(before, 1), round(max(before, most), 1)
    )


async def _ask(host: str, over: asyncio.Event) -> Served:
    """An OPTIONS each `_PAUSE_S` until it is over, each sent once; late answers are waited for."""
    loop = asyncio.get_running_loop()
    transport, asker = await loop.create_datagram_endpoint(
        _Asker, local_addr=(SITE.carrier, 5070), remote_addr=(host, 5060)
    )
    try:
        while not over.is_set():
            number = len(asker.asked)
            asker.asked[number] = loop.time()
            transport.sendto(options(f"{SITE.carrier}:5070", host, number))
            await asyncio.sleep(_PAUSE_S)
        await asyncio.sleep(_PATIENCE_S)
    finally:
        transport.close()
    return Served(len(asker.answered), len(asker.asked))


async def _most_memory(pid: int, over: asyncio.Event) -> float:
    most = 0.0
    while True:
        most = max(most, memory_mb(pid))
        if over.is_set():
            return most
        await asyncio.sleep(0.2)
