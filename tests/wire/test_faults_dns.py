"""An engine process whose name server swallows every question, and trunks that are named.

A call to a name fails over or ends and says why, calls that need no name go on meanwhile, one alarm is told.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.journal import JournalReader
from engine.model.events import Alarm, AnyEvent, CallEnded
from engine.sip.message import Request
from lab.peers.process import Peer
from tests.call.peer import sdp
from tests.runtime.bench import read, reply
from tests.runtime.net import PATIENCE_S, Socket, host

pytestmark = pytest.mark.wire

DNS_TIMEOUT_S = 0.5
BOUND_S = 8.0
"""Of a call that waits for the DNS, on a busy machine: three kinds of questions have `DNS_TIMEOUT_S` each."""
OTHERS_S = 5.0
"""Of a call that needs no name."""
NAPTR_QUESTION = (35).to_bytes(2, "big") + (1).to_bytes(2, "big")
"""Type and class, at the end of a question (RFC 1035 §4.1.2)."""
NAME = "sip:pbx.example.org"
CALLER, CALLEE = "+8613800000001", "13900000002"


class Site:
    """The engine, a carrier that is two addresses, phones behind a name, and the black hole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = (host(), 5060)
        self.carrier, self.caller, self.phone, self.hole = self.sockets = [Socket(host()) for _ in range(4)]
        self.process: Peer | None = None
        self._calls = 0

    async def start(self, *hops: str) -> None:
        carrier, caller, phone, hole = (f"{s.address[0]}:{s.address[1]}" for s in self.sockets)
        named = ", ".join(f'{{ uri = "{uri}", priority = {place} }}' for place, uri in enumerate(hops))
        config = self.folder / "ringward.toml"
        config.write_text(
            f"""
            tenant = "lab"
            data.folder = "data"
            [sip]
            listen = "{self.engine[0]}:{self.engine[1]}"
            dns = ["{hole}"]
            dns_timeout_s = {DNS_TIMEOUT_S}
            drain_s = 0
            [trunk.carrier]
            side = "carrier"
            match = ["{carrier}", "{caller}"]
            next_hop = "{carrier}"
            [trunk.access]
            side = "access"
            match = ["{phone}"]
            next_hops = [{named}]
            """
        )
        command = [sys.executable, "-m", "engine", "engine", "--config", str(config)]
        self.process = await Peer.start("engine", command, self.folder / "engine.log")
        await self.process.said("listening", 60.0)

    def invite(self, source: Socket) -> None:
        """From the carrier to a subscriber, or the other way round."""
        self._calls += 1
        address = source.address
        caller, callee = (CALLEE, CALLER) if source is self.phone else (CALLER, CALLEE)
        body = sdp(address[0])
        lines = [
            f"INVITE sip:{callee}@{self.engine[0]} SIP/2.0",
            f"Via: SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK-{self._calls}",
            f"From: <sip:{caller}@{address[0]}>;tag=c{self._calls}",
            f"To: <sip:{callee}@{self.engine[0]}>",
            f"Call-ID: call-{self._calls}",
            "CSeq: 1 INVITE",
            "Max-Forwards: 70",
            f"Contact: <sip:c@{address[0]}:{address[1]}>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        source.send("\r\n".join([*lines, "", ""]).encode() + body, self.engine)

    async def refused_by(self, callee: Socket, caller: Socket) -> None:
        """The next call reaches that side, which is busy, and the other side hears so."""
        invite = await read(callee, "INVITE")
        assert isinstance(invite, Request)
        callee.send(reply(invite, 486, callee), self.engine)
        await read(caller, "486")

    def events(self) -> list[AnyEvent]:
        """All that is in the journal."""
        (path,) = (self.folder / "data" / "journal").glob("journal-*.sqlite")
        with closing(JournalReader(path)) as reader:
            return [record.event for _, records in reader.after(0, 100_000) for record in records]

    def alarms(self) -> list[str]:
        return [event.slug for event in self.events() if isinstance(event, Alarm)]

    def outcomes(self) -> list[str]:
        return [str(event.outcome) for event in self.events() if isinstance(event, CallEnded)]

    async def alarmed(self) -> None:
        """Wait for the first alarm."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.alarms():  # noqa: ASYNC110 (what is waited for is another process's file)
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        if self.process is not None:
            await self.process.stop(grace_s=PATIENCE_S)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    await site.stop()
    for socket in site.sockets:
        socket.close()


async def test_a_call_to_a_name_goes_to_the_next_hop_that_needs_none(site: Site) -> None:
    await site.start(NAME, "sip:{}:{}".format(*site.phone.address))
    began = time.monotonic()
    site.invite(site.caller)
    await site.refused_by(site.phone, site.caller)
    assert time.monotonic() - began < BOUND_S
    await site.alarmed()
    await site.stop()
    assert (site.outcomes(), site.alarms()) == (["callee/busy"], ["dns_failed"])


async def test_a_call_to_a_name_alone_ends_and_says_why_while_others_go_on(site: Site) -> None:
    await site.start(NAME)
    passed = 0

    async def pass_others() -> None:
        """Calls to an address, one after the other."""
        nonlocal passed
        while True:
            site.invite(site.phone)
            async with asyncio.timeout(OTHERS_S):
                await site.refused_by(site.carrier, site.phone)
            passed += 1
            await asyncio.sleep(0.05)

    async def refused() -> None:
        async with asyncio.timeout(BOUND_S):
            site.invite(site.caller)
            await read(site.caller, "503")

    async def asked_again() -> None:
        """Until the first question has been swallowed once more, after its repetition."""
        asked = 0
        while asked < 3:
            asked += (await site.hole.receive()).endswith(NAPTR_QUESTION)

    others = asyncio.create_task(pass_others())
    await refused()
    await asked_again()
    await refused()
    assert not others.done(), others
    others.cancel()
    await site.stop()
    assert passed > 10
    assert site.outcomes().count("upstream/unreachable") == 2
    assert site.outcomes().count("callee/busy") >= passed
    assert site.alarms() == ["dns_failed"]
