"""SIPp around `lab/passthrough.toml`: caller, engine and callee on one address, told apart by their ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.sdp import audio_target, parse
from lab.peers import packages, scenarios
from lab.peers.ringward import Site
from lab.peers.scenarios import Scenario
from lab.peers.sipp import Line, Load, Result, answering, place_calls
from tests.call.peer import sdp
from tests.lab.kit import CLEAN, SUBSCRIBER
from tests.runtime.net import Socket
from tests.wire.passthrough_kit import passthrough
from tests.wire.transport_kit import Call, Side

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not packages.have("sipp"), reason=packages.reason("sipp")),
]


@dataclass(frozen=True, slots=True)
class Suite:
    target: str
    caller: Line
    callee: Line

    async def call(
        self, calling: Scenario, called: Scenario = scenarios.ANSWERS, load: Load | None = None
    ) -> tuple[Result, Result]:
        async with answering(called, self.callee) as side:
            ours = await place_calls(calling, self.caller, self.target, CLEAN, SUBSCRIBER, load)
            theirs = await side.finish()
        assert (ours.failed, theirs.failed) == (0, 0), (ours, theirs)
        return ours, theirs


@pytest.fixture
async def suite(site: Site, tmp_path: Path) -> AsyncIterator[Suite]:
    address = f"{site.prefix}.40.1"
    caller = Line(address, 5061, tmp_path / "caller", media_port=6000)
    callee = Line(address, 5062, tmp_path / "callee", media_port=7000)
    async with passthrough((address, callee.port), tmp_path) as target:
        yield Suite(f"{target[0]}:{target[1]}", caller, callee)


async def test_plain_calls(suite: Suite) -> None:
    ours, theirs = await suite.call(scenarios.CALL, load=Load(calls=20, per_second=20))
    assert ours.retransmissions == 0
    assert len(theirs.received("INVITE")) == 20
    described = {
        row for invite in theirs.received("INVITE") for row in invite.body.split("\r\n") if row[:2] == "m="
    }
    assert all(12000 <= int(row.split()[1]) < 12100 for row in described)


@pytest.mark.parametrize(
    ("calling", "called"),
    [
        (scenarios.HOLD, scenarios.ANSWERS),
        (scenarios.HUNG_UP, scenarios.HANGS_UP),
        (scenarios.CANCEL_RINGING, scenarios.RINGS_FOREVER),
        (scenarios.refused(486), scenarios.refuses("486 Busy Here")),
        (scenarios.CALL, scenarios.EARLY_MEDIA),
        (scenarios.LATE_OFFER, scenarios.ANSWERS),
    ],
    ids=["re-INVITE", "callee hangs up", "cancel", "busy", "early media", "late offer"],
)
async def test_other_calls(suite: Suite, calling: Scenario, called: Scenario) -> None:
    await suite.call(calling, called)


async def test_what_the_caller_says_comes_back(suite: Suite) -> None:
    """SIPp's -rtp_echo at the other end of two relayed streams."""
    host, _, port = suite.target.rpartition(":")
    target = host, int(port)
    caller, audio = await Side(host).open(), Socket(host)
    async with answering(scenarios.ANSWERS, suite.callee) as callee:
        call = Call(caller, caller, target)
        await caller.send(call.write("INVITE", sdp(host, audio.address[1])), target)
        answer = await caller.read("200")
        call.take(answer)
        await caller.send(call.write("ACK"), target)
        relay = audio_target(parse(answer.body))
        assert relay is not None
        said = [bytes((number,)) * 160 for number in range(50)]
        for number, sound in enumerate(said):
            times = number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big")
            audio.send(bytes((0x80, 8)) + times + bytes(4) + sound, (relay.host, relay.port))
            await asyncio.sleep(0.002)  # as sound comes: no faster than a socket's buffer is read
        heard = [(await audio.receive())[12:] for _ in range(25)]
        assert set(heard) <= set(said)
        await caller.send(call.write("BYE"), target)
        await caller.read("200")
        assert (await callee.finish()).failed == 0
    await caller.close()
    audio.close()
