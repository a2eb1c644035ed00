"""What a stopped engine leaves closed, and how soon a killed one serves again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.model.events import CallEnded, RecordingClosed
from engine.sip.message import Request, Response
from lab.soak.system import System
from recordings.archive import Archive
from recordings.capture import Capture
from tests.app.test_engine_process import CLEAN, RED, Engine
from tests.call.peer import sdp
from tests.runtime.bench import read, reply
from tests.wire.ports import free_ports
from tests.wire.test_faults_process import PATIENCE_S, SITE, RecordedCall

pytestmark = pytest.mark.wire

SERVICE_S = 5.0
"""From the start after a kill -9 to the answer to a call: promised."""


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(SITE, tmp_path, free_ports(25_000))
    yield system
    await system.stop()


async def test_a_recording_is_closed_when_the_engine_is_told_to_stop(system: System) -> None:
    await system.start_engine_alone(sip__drain_s="0")
    call = RecordedCall()
    try:
        await call.recorded(system)
        await asyncio.sleep(1.2)  # of speech
        os.kill(system.engine.pid, signal.SIGTERM)
        assert await system.engine.ended(PATIENCE_S) == 0
    finally:
        call.close()
    events = [record.event for record in system.journal()]
    assert [str(event.outcome) for event in events if isinstance(event, CallEnded)] == ["engine/shutdown"]
    (closed,) = [event for event in events if isinstance(event, RecordingClosed)]
    assert not closed.interrupted
    assert closed.duration_ms >= 1000
    with Capture.open(Archive(system.data / "recordings").locate(closed.path)) as capture:
        assert capture.reason is not None
        assert not capture.interrupted


async def test_a_killed_engine_serves_again_at_once(tmp_path: Path) -> None:
    """Calls and blocks within the time promised; requests for calls that were lost get 481."""
    engine = Engine(tmp_path)
    await engine.start()
    write = engine.invite(CLEAN)
    invite = await asked_invite(engine)
    engine.phone.send(reply(invite, 200, engine.phone, sdp(engine.phone.address[0])), (engine.host, 5060))
    answer = await read(engine.carrier, "200")
    assert isinstance(answer, Response)
    engine.send(write("ACK", 1, answer))
    await read(engine.phone, "ACK")
    engine.kill()
    await engine.ended()
    async with asyncio.timeout(SERVICE_S):
        await engine.start()
        engine.send(write("BYE", 2, answer))
        await read(engine.carrier, "481")
        engine.invite(RED)
        await read(engine.carrier, "608")
        engine.invite(CLEAN)
        invite = await asked_invite(engine)
    engine.phone.send(reply(invite, 486, engine.phone), (engine.host, 5060))
    await read(engine.carrier, "486")
    await engine.stop()


async def asked_invite(engine: Engine) -> Request:
    found = await read(engine.phone, "INVITE")
    assert isinstance(found, Request)
    return found
