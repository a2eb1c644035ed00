"""The programs themselves: `ringward engine` and `ringward edge`, a carrier before and phones behind them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.sip.message import Request, Response, response_to
from engine.sip.parse import parse
from tests.call.peer import sdp
from tests.runtime.net import PATIENCE_S, host
from tests.wire.edge_kit import EdgeLab, Phone

pytestmark = pytest.mark.wire

BOB = "13900000002"


class Programs(EdgeLab):
    """Both as processes of their own; in the engine's place of the kit stands the carrier's socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.carrier, self.engine_host = self.engine, host()
        self.file.write_text(
            f"""
            sip.listen = "{self.engine_host}:5060"
            screening.table = "{folder / "numbers.csv"}"
            [trunk.carrier]
            side = "carrier"
            match = ["{self.carrier.address[0]}"]
            next_hop = "{self.carrier.address[0]}:5060"
            announce_608 = false
            [trunk.access]
            side = "access"
            match = ["{self.host}"]
            next_hop = "{self.host}:5060"
            trusted_identity = true
            """
            + self.settings.replace(
                f'engine = "{self.carrier.address[0]}:5060"', f'engine = "{self.engine_host}:5060"'
            ).replace('data.folder = "', '[data]\nfolder = "')
        )
        (folder / "numbers.csv").write_text("number,level,action,reason,expires\n")
        self._running: dict[str, Process] = {}

    async def run(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as errors:
            self._running[name] = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "engine", name, "--config", str(self.file)),
                stdout=PIPE,
                stderr=errors,
                env={key: value for key, value in os.environ.items() if not key.startswith("RINGWARD_")},
            )
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert b"listening" in line, self.log(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    async def end(self, name: str, how: int = signal.SIGTERM) -> int:
        process = self._running.pop(name)
        process.send_signal(how)
        return await asyncio.wait_for(process.wait(), PATIENCE_S)

    async def close(self) -> None:
        for name in list(self._running):
            await self.end(name)
        await super().close()

    def call(self, method: str, cseq: int, answer: Response | None = None, body: bytes = b"") -> None:
        """The carrier's call to bob."""
        at = f"{self.carrier.address[0]}:5060"
        to = answer.rows("To")[0] if answer is not None else f"<sip:{BOB}@{self.engine_host}>"
        rows = [
            ("Via", f"SIP/2.0/UDP {at};branch=z9hG4bK-{method}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:+8613800000001@{at}>;tag=c"),
            ("To", to),
            ("Call-ID", "carrier-call"),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:{at}>"),
        ]
        rows += [("Content-Type", "application/sdp")] if body else []
        target = f"sip:{BOB}@{self.engine_host}:5060"
        self.carrier.send(Request(method, target, rows, body).to_bytes(), (self.engine_host, 5060))

    def refuse(self, invite: Request) -> None:
        """At the carrier: busy."""
        self.carrier.send(response_to(invite, 486, to_tag="c").to_bytes(), (self.engine_host, 5060))


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Programs]:
    lab = Programs(tmp_path)
    await asyncio.gather(lab.run("engine"), lab.run("edge"))
    yield lab
    await lab.close()


async def ringing(phone: Phone) -> Request:
    """The phone's INVITE; popups before it are taken."""
    while True:
        message = parse(await phone.line.receive())
        if isinstance(message, Request):
            if message.method == "INVITE":
                return message
            await phone.answer(message, 200)


async def test_a_carriers_call_reaches_a_browser_phone_and_ends(lab: Programs) -> None:
    phone = await lab.phone("wss")
    await phone.register()
    lab.call("INVITE", 1, body=sdp(lab.carrier.address[0]))
    invite = await ringing(phone)
    await phone.answer(invite, 200, sdp(phone.line.address[0]))
    answer = await lab.comes("200")
    lab.call("ACK", 1, answer)
    await phone.hear("ACK")
    lab.call("BYE", 2, answer)
    await phone.answer(await phone.hear("BYE"), 200)
    assert (await lab.comes("200")).cseq.method == "BYE"


async def test_a_phones_call_for_help_reaches_the_carrier_without_a_password(lab: Programs) -> None:
    stranger = await lab.phone("tls", "nobody")
    await stranger.send(described(stranger, stranger.make("INVITE", "110")))
    came = await lab.comes("INVITE")
    assert came.uri.user == "110"
    lab.refuse(came)
    await stranger.hear("486")


def described(phone: Phone, invite: Request) -> Request:
    """With a session description of the phone's."""
    headers = [*invite.headers, ("Content-Type", "application/sdp")]
    return Request(invite.method, invite.uri, headers, sdp(phone.line.address[0]))


async def test_a_phone_calls_as_itself_or_not_at_all(lab: Programs) -> None:
    """Whatever else it says of who it is goes no further than the edge."""
    forged = [("P-Asserted-Identity", "<sip:110@x>"), ("Diversion", "<sip:110@x>;reason=unconditional")]
    for transport in ("udp", "tls"):
        phone = await lab.phone(transport)
        await phone.register()
        for user, to in (("13900000003", "13800000001"), ("+8613800000009", "13800000001")):
            invite = described(phone, phone.make("INVITE", to, forged, user=user, call=transport + user))
            assert (await phone.ask(phone.with_credentials(invite, await phone.ask(invite)))).status == 403
        invite = described(phone, phone.make("INVITE", "13800000001", forged, call=transport))
        await phone.send(invite)
        if transport == "udp":
            await phone.send(phone.with_credentials(invite, await phone.hear("407")))
        came = await lab.comes("INVITE")
        assert came.from_.uri.user == BOB
        assert b"110" not in came.to_bytes().partition(b"\r\n\r\n")[0].replace(BOB.encode(), b"")
        lab.refuse(came)
        await phone.hear("486")


async def test_a_call_for_help_goes_out_from_whomever_and_however_it_is_written(lab: Programs) -> None:
    """Under another's number; malformed, and as if it were to replace a call."""
    phone, stranger = await lab.phone("udp"), await lab.phone("udp", "nobody")
    await phone.register()
    await phone.send(described(phone, phone.make("INVITE", "110", user="13900000003")))
    came = await lab.comes("INVITE")
    assert (came.uri.user, came.from_.uri.user) == ("110", "13900000003")
    lab.refuse(came)
    await phone.hear("486")
    invite = described(stranger, stranger.make("INVITE", "110", [("Replaces", "a;to-tag=b;from-tag=c")]))
    broken = [(name, "<sip:" if name == "Contact" else value) for name, value in invite.headers]
    broken += [("Max-Forwards", "many")]
    await stranger.send(Request("INVITE", invite.uri, broken, invite.body))
    came = await lab.comes("INVITE")
    assert came.uri.user == "110" and came.body
    lab.refuse(came)
    await stranger.hear("486")


async def test_who_called_for_help_is_called_back_though_the_engine_was_killed(lab: Programs) -> None:
    """RFC 7090: even from a number that is blocked."""
    await lab.end("engine", signal.SIGKILL)
    row = "+8613800000001,red,reject,police_list,\n"
    (lab.folder / "numbers.csv").write_text(f"number,level,action,reason,expires\n{row}")
    await lab.run("engine")
    phone = await lab.phone("tcp")
    await phone.register()
    lab.call("INVITE", 1, body=sdp(lab.carrier.address[0]))
    assert (await lab.comes("608")).cseq.method == "INVITE"
    lab.call("ACK", 1)
    await phone.send(described(phone, phone.make("INVITE", "110")))
    lab.refuse(await lab.comes("INVITE"))
    await phone.hear("486")
    await lab.end("engine", signal.SIGKILL)
    await lab.run("engine")
    lab.call("INVITE", 1, body=sdp(lab.carrier.address[0]))
    await phone.answer(await ringing(phone), 486)
    await lab.comes("486")
    held = (lab.folder / "data" / "callbacks").read_bytes()
    assert any(held) and BOB.encode() not in held


async def test_a_killed_edge_knows_its_phones_when_it_is_back(lab: Programs) -> None:
    desk = await lab.phone("udp")
    await desk.register()
    await lab.end("edge", signal.SIGKILL)
    await lab.run("edge")
    lab.call("INVITE", 1, body=sdp(lab.carrier.address[0]))
    await desk.answer(await ringing(desk), 486)
    assert (await lab.comes("486")).cseq.method == "INVITE"
    assert await lab.end("edge") == 0
    assert "secret" not in lab.log("edge")
