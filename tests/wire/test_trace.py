"""SIP traces of a real engine process, as `ringward calls trace` prints them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.commands import command_line
from engine.model.events import CallEnded, CallStarted, TraceChanged
from engine.model.ids import CallId
from engine.sip.message import Request, Response
from engine.traces.files import read_trace
from tests.app.test_engine_process import CLEAN, NUMBER, RED, Engine
from tests.call.peer import sdp
from tests.runtime.bench import read, reply
from tests.runtime.net import PATIENCE_S

pytestmark = pytest.mark.wire

CALL_MESSAGES = 15
"""Of the call below."""


CALL = """\
TIME |-- INVITE sdp --------------->|                              |
TIME |                              * screened: allow by rule no_rule (clean)
TIME |<-- 100 Trying ---------------|                              |
TIME |                              * routed access
TIME |                              |-- INVITE sdp --------------->|
TIME |-- INVITE sdp (again) ------->|                              |
TIME |<-- 100 Trying (again) -------|                              |
TIME |                              |<-- 180 Whatever -------------|
TIME |                              * ringing
TIME |<-- 180 Ringing --------------|                              |
TIME |                              |<-- 200 Whatever sdp ---------|
TIME |                              * connected
TIME |                              |-- ACK ---------------------->|
TIME |<-- 200 OK sdp ---------------|                              |
TIME |-- ACK ---------------------->|                              |
TIME |-- BYE ---------------------->|                              |
TIME |<-- 200 OK, BYE --------------|                              |
TIME |                              * ended: caller/hung_up, 200 to the caller
TIME |                              |-- BYE ---------------------->|
TIME |                              |<-- 200 Whatever, BYE --------|
"""
BLOCK = """\
TIME |-- INVITE sdp --------------->|                              |
TIME |                              * screened: reject by rule named-by-table (red, police_list)
TIME |<-- 608 Rejected -------------|                              |
TIME |                              * ended: policy/rejected, 608 to the caller
TIME |                              |-- MESSAGE +body ------------>|
TIME |                              * popup fraud_blocked: phone 200, pages off
TIME |-- ACK ---------------------->|                              |
TIME |                              |<-- 200 Whatever, MESSAGE ----|
"""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path)
    yield engine
    if engine.running:
        await engine.stop()


def configured(engine: Engine, trace: str) -> None:
    path = engine.folder / "ringward.toml"
    text = path.read_text().replace("sip = { ", f'sip = {{ trace = "{trace}", ')
    assert trace in text
    path.write_text(text)


def ringward(engine: Engine, *arguments: str) -> str:
    options = [*arguments, "--config", str(engine.folder / "ringward.toml")]
    done = CliRunner().invoke(command_line("calls"), ["calls", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


async def kept(engine: Engine, call_id: CallId, messages: int) -> None:
    """Until so many messages of the call are in the files."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = read_trace(engine.folder / "data" / "traces", call_id)
            if found is not None and len([item for item in found.items if hasattr(item, "text")]) >= messages:
                return
            await asyncio.sleep(0.05)


async def clean_call(engine: Engine) -> CallId:
    """Answered after an INVITE that came twice, and ended by the caller."""
    write = engine.invite(CLEAN)
    target = (engine.host, 5060)
    invite = await read(engine.phone, "INVITE")
    assert isinstance(invite, Request)
    engine.send(write("INVITE", 1, None, sdp(engine.carrier.address[0])))
    await read(engine.carrier, "100")
    engine.phone.send(reply(invite, 180, engine.phone), target)
    await read(engine.carrier, "180")
    engine.phone.send(reply(invite, 200, engine.phone, sdp(engine.phone.address[0])), target)
    answer = await read(engine.carrier, "200")
    assert isinstance(answer, Response)
    await read(engine.phone, "ACK")
    engine.send(write("ACK", 1, answer))
    engine.send(write("BYE", 2, answer))
    bye = await read(engine.phone, "BYE")
    assert isinstance(bye, Request)
    engine.phone.send(reply(bye, 200, engine.phone), target)
    await read(engine.carrier, "200")
    return (await engine.event(CallStarted)).call_id


def untimed(line: str) -> str:
    """Times are the machine's; that there is one is part of the line."""
    return re.sub(r"^ *[0-9]+\.[0-9] ms +", "TIME ", line)


async def test_the_ladder_of_a_call_line_by_line(engine: Engine) -> None:
    configured(engine, "full")
    await engine.start()
    call_id = await clean_call(engine)
    await kept(engine, call_id, CALL_MESSAGES)
    lines = [untimed(line) for line in ringward(engine, "trace", call_id).split("\n")]
    assert re.fullmatch(rf"call {call_id}, inbound, 20[0-9-]+ [0-9:.]+ UTC", lines[0])
    assert lines[2].split() == ["carrier", "ringward", "access"]
    assert lines[3].split() == [
        f"{engine.carrier.address[0]}:{engine.carrier.address[1]}",
        f"{engine.host}:5060",
        f"{engine.phone.address[0]}:{engine.phone.address[1]}",
    ]
    assert "\n".join(lines[4:]) == CALL


async def test_a_block_is_a_short_ladder(engine: Engine) -> None:
    configured(engine, "headers")
    await engine.start()
    write = engine.invite(RED)
    answer = await read(engine.carrier, "608")
    assert isinstance(answer, Response)
    engine.send(write("ACK", 1, answer))
    popup = await read(engine.phone, "MESSAGE")
    assert isinstance(popup, Request)
    engine.phone.send(reply(popup, 200, engine.phone), (engine.host, 5060))
    call_id = (await engine.event(CallStarted)).call_id
    await kept(engine, call_id, 5)
    shown = ringward(engine, "trace", call_id, "--full")
    _, told, texts = shown.split("\n\n", 2)
    assert sorted(map(untimed, told.split("\n")[2:])) == sorted(BLOCK.split("\n")[:-1])
    assert NUMBER in texts
    assert "bytes withheld" in texts


async def test_the_list_names_calls_and_masks_numbers(engine: Engine) -> None:
    await engine.start()
    engine.invite(RED)
    await read(engine.carrier, "608")
    ended = await engine.event(CallEnded)
    masked, clear = (ringward(engine, "list", *options) for options in ((), ("--numbers",)))
    assert masked.startswith(f"{ended.call_id}  20")
    assert masked.endswith("  inbound     +86*********01 -> +86*********02  reject  policy/rejected\n")
    assert f"{RED} -> +86{NUMBER}" in clear
    (listed,) = json.loads(ringward(engine, "list", "--json"))
    assert (listed["call_id"], listed["status"], listed["called"]) == (ended.call_id, 608, "+86*********02")


async def test_a_trace_is_turned_on_for_a_while(engine: Engine) -> None:
    await engine.start()
    before = await clean_call(engine)
    ringward(engine, "trace-on", "--by", "li.na", "--for", "10m")
    changed = await engine.event(TraceChanged)
    assert (changed.mode, changed.by) == ("headers", "li.na")
    assert changed.expires is not None
    call_id = await clean_call(engine)
    await kept(engine, call_id, CALL_MESSAGES)
    told = json.loads(ringward(engine, "trace", call_id, "--json", "--full"))
    texts = [row["text"] for row in told["rows"] if "text" in row]
    assert len(texts) == CALL_MESSAGES
    assert not any("v=0" in text for text in texts)
    ringward(engine, "trace-off")
    assert (await engine.event(TraceChanged)).mode == "off"
    after = await clean_call(engine)
    await engine.stop()
    for other in (before, after):
        assert read_trace(engine.folder / "data" / "traces", other) is None
