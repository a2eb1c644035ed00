"""The engine as a process of its own: what changes while it runs, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from engine.app.paths import dialplans_folder
from engine.app.switches import turn_off, turn_on
from engine.journal import JournalReader
from engine.model.events import AnyEvent, CallEnded, KillSwitchChanged, PolicyLoaded
from engine.sip.message import Request, Response
from tests.call.peer import sdp
from tests.runtime.bench import read, reply
from tests.runtime.net import PATIENCE_S, Socket, host

pytestmark = pytest.mark.wire

RED, CLEAN, NUMBER = "+8617000000001", "+8613800000001", "13900000002"
TABLE = f"""number,level,action,reason,expires
not-a-number,red,reject,fraud,
{RED},red,reject,police_list,
+8617000000009,purple,reject,fraud,
"""
E = TypeVar("E", bound=AnyEvent)


class Engine:
    """One engine between two bare sockets, its files below `folder`."""

    def __init__(self, folder: Path, drain_s: float = 0.0) -> None:
        self.folder = folder
        self.drain_s = drain_s
        self.host = host()
        self.carrier, self.phone = Socket(host()), Socket(host())
        self.policy = folder / "policy.toml"
        self.switches = folder / "data" / "switches.json"
        self._process: Process | None = None
        self._calls = 0
        self._seen = 0
        default = dialplans_folder() / "screening" / "default.toml"
        self.policy.write_text(default.read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "numbers.csv").write_text(TABLE)
        (folder / "ringward.toml").write_text(
            f"""
            tenant = "lab"
            sip = {{ listen = "{self.host}:5060", drain_s = {self.drain_s} }}
            data.folder = "data"
            screening = {{ table = "numbers.csv", policy = "policy.toml" }}
            [trunk.carrier]
            side = "carrier"
            match = ["{self.carrier.address[0]}"]
            next_hop = "{self.carrier.address[0]}:{self.carrier.address[1]}"
            announce_608 = false
            [trunk.access]
            side = "access"
            match = ["{self.phone.address[0]}"]
            next_hop = "{self.phone.address[0]}:{self.phone.address[1]}"
            """
        )

    async def start(self) -> None:
        errors = (self.folder / "stderr").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine", "engine", "--config", str(self.folder / "ringward.toml")),
            stdout=PIPE,
            stderr=errors,
            env={name: value for name, value in os.environ.items() if not name.startswith("RINGWARD_")},
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE_S)
        assert b"listening" in line, self.said

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def said(self) -> str:
        """On standard error."""
        return (self.folder / "stderr").read_text()

    def mapped(self) -> str:
        """The files in its memory."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/maps").read_text()

    async def stop(self) -> int:
        """As an init system does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await self.ended()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    async def ended(self) -> int:
        """The exit code, once there is one."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    def invite(self, caller: str) -> Callable[..., bytes]:
        """An INVITE from the carrier is sent; returns what writes its later requests."""
        self._calls += 1
        call, address = self._calls, self.carrier.address

        def write(method: str, cseq: int, answer: Response | None = None, body: bytes = b"") -> bytes:
            to = answer.rows("To")[0] if answer is not None else f"<sip:{NUMBER}@{self.host}>"
            lines = [
                f"{method} sip:{NUMBER}@{self.host}:5060 SIP/2.0",
                f"Via: SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK-{call}-{method}",
                f"From: <sip:{caller}@{address[0]}>;tag=c{call}",
                f"To: {to}",
                f"Call-ID: call-{call}",
                f"CSeq: {cseq} {method}",
                "Max-Forwards: 70",
                f"Contact: <sip:c@{address[0]}:{address[1]}>",
                *(["Content-Type: application/sdp"] if body else []),
                f"Content-Length: {len(body)}",
            ]
            return "\r\n".join([*lines, "", ""]).encode() + body

        self.send(write("INVITE", 1, None, sdp(address[0])))
        return write

    def send(self, data: bytes) -> None:
        self.carrier.send(data, (self.host, 5060))

    async def event(self, kind: type[E], holds: Callable[[E], bool] = lambda event: True) -> E:
        """The next such event in the journal."""
        path = next((self.folder / "data" / "journal").glob("journal-*.sqlite"))
        reader = JournalReader(path)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for row, batch in reader.after(self._seen, 100):
                        self._seen = row
                        for record in batch:
                            if isinstance(record.event, kind) and holds(record.event):
                                return record.event
                    await asyncio.sleep(0.02)
        finally:
            reader.close()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path)
    await engine.start()
    yield engine
    if engine.running:
        await engine.stop()


async def test_a_malformed_line_of_the_table_is_named_and_the_rest_counts(engine: Engine) -> None:
    engine.invite(RED)
    await read(engine.carrier, "608")
    assert "numbers.csv:2" in engine.said
    assert "numbers.csv:4" in engine.said
    assert "purple" in engine.said


async def test_a_worker_holds_no_library_of_another_process(engine: Engine) -> None:
    """Neither to read its command line nor to build the table that it reads."""
    mapped = engine.mapped()
    assert "uvloop" in mapped
    assert not [name for name in ("numpy", "cryptography", "pydantic", "sqlalchemy") if f"/{name}" in mapped]


async def test_the_kill_switch_turns_blocks_into_labels_and_back(engine: Engine) -> None:
    engine.invite(RED)
    await read(engine.carrier, "608")
    now = datetime.now(UTC)
    turn_on(engine.switches, "li.na", "false positives", now, now + timedelta(hours=1))
    changed = await engine.event(KillSwitchChanged)
    assert (changed.on, changed.by, changed.reason) == (True, "li.na", "false positives")
    engine.invite(RED)
    invite = await read(engine.phone, "INVITE")
    assert isinstance(invite, Request) and invite.from_.display
    engine.phone.send(reply(invite, 486, engine.phone), (engine.host, 5060))
    await read(engine.carrier, "486")
    turn_off(engine.switches, "li.na", "mended", datetime.now(UTC))
    assert not (await engine.event(KillSwitchChanged)).on
    engine.invite(RED)
    await read(engine.carrier, "608")


async def test_an_unusable_policy_changes_nothing_and_is_told(engine: Engine) -> None:
    first = await engine.event(PolicyLoaded)
    assert first.error == ""
    engine.policy.write_text("name = 'broken'\n[[rule]\n")
    refused = await engine.event(PolicyLoaded)
    assert refused.version == first.version
    assert "policy.toml:2" in refused.error
    engine.invite(RED)
    await read(engine.carrier, "608")
    default = dialplans_folder() / "screening" / "default.toml"
    text = default.read_text(encoding="utf-8").replace('name = "default"', 'name = "changed"')
    engine.policy.write_text(text, encoding="utf-8")
    taken = await engine.event(PolicyLoaded)
    assert taken.error == "" and taken.version != first.version


async def test_sigterm_says_goodbye_on_connected_calls(engine: Engine) -> None:
    write = engine.invite(CLEAN)
    invite = await read(engine.phone, "INVITE")
    assert isinstance(invite, Request)
    engine.phone.send(reply(invite, 200, engine.phone, sdp(engine.phone.address[0])), (engine.host, 5060))
    answer = await read(engine.carrier, "200")
    assert isinstance(answer, Response)
    engine.send(write("ACK", 1, answer))
    stopping = asyncio.create_task(engine.stop())
    for socket in (engine.phone, engine.carrier):
        bye = await read(socket, "BYE")
        assert isinstance(bye, Request)
        socket.send(reply(bye, 200, socket), (engine.host, 5060))
    assert await stopping == 0
    ended = await engine.event(CallEnded)
    assert str(ended.outcome) == "engine/shutdown"


async def test_an_engine_that_cannot_start_says_why(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.policy.write_text("nonsense")
    with pytest.raises(AssertionError):
        await engine.start()
    assert await engine.ended() == 1
    assert "policy.toml:1: not valid TOML" in engine.said
    assert "Traceback" not in engine.said
