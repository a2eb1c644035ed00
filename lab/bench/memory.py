"""Memory of a program while many calls are up at once: set up at a bounded rate, held, and torn down."""

import asyncio
from pathlib import Path

from lab.bench.figures import Held
from lab.bench.ground import LOAD_CORE
from lab.bench.processes import memory_mb
from lab.bench.signalling import answering
from lab.bench.systems import SITE, Running
from lab.peers import scenarios, sipp


async def hold(
    program: Running,
    folder: Path,
    calls: int,
    per_second: float,
    *,
    hold_s: float = 5.0,
    after_s: float = 35.0,
) -> Held:
    """Put through `calls` calls that are all up at the same time. Raises PeerError where SIPp cannot run.

    `hold_s` is between the last call's set-up and the first one's end. After `after_s` the transactions of
    the last BYE are over too (RFC 3261 timer J, 64·T1).
    """
    setting_up_s = calls / per_second
    load = sipp.Load(
        calls=calls,
        per_second=per_second,
        pause_ms=round((setting_up_s + hold_s) * 1000),
        deadline_s=setting_up_s * 2 + hold_s + 60,
        core=LOAD_CORE,
        trace=False,
    )
    scenario = scenarios.CALL if program.to_contact else scenarios.CALL.to_target()
    caller = sipp.Line(SITE.carrier, 5060, folder / "caller")
    before = memory_mb(program.peer.pid)
    async with answering(folder / "callee", load.deadline_s):
        placing = asyncio.create_task(
            sipp.place_calls(
                scenario, caller, f"{program.address}:5060", "+8613800000001", "13900000002", load
            )
        )
        most = before
        while not placing.done():
            await asyncio.wait([placing], timeout=1.0)
            most = max(most, memory_mb(program.peer.pid))
        result = await placing
    await asyncio.sleep(after_s)
    after = memory_mb(program.peer.pid)
    whole = result.succeeded == calls
    return Held(program.name, calls, round(before, 1), round(most, 1), round(after, 1), whole)
