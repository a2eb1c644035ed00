"""Media through the real program: strangers, forbidden places, ports that run out, silence and hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from engine.sdp import audio_target, parse
from engine.sip.message import Request
from tests.call.peer import sdp
from tests.runtime.net import PATIENCE_S, Socket, host
from tests.wire.passthrough_kit import passthrough
from tests.wire.transport_kit import Call, Side

pytestmark = pytest.mark.wire

TIMEOUT_S = 2.0
"""Of the test that is about it: on a busy machine others would run into it."""
PORTS = range(12100, 12108)
"""Four pairs: two calls."""
FORBIDDEN = ["169.254.169.254", "224.0.1.1", "255.255.255.255", "0.0.0.0"]


class Talk:
    """Two sides at the next hop's address, and what goes between them."""

    def __init__(self, caller: Side, callee: Side, target: tuple[str, int]) -> None:
        self.caller, self.callee, self.target = caller, callee, target

    def call(self) -> Call:
        return Call(self.caller, self.callee, self.target)

    async def refused(self, status: str, body: bytes) -> None:
        call = self.call()
        await self.caller.send(call.write("INVITE", body), self.target)
        await self.caller.read(status)

    async def offer(self, call: Call, way: str, version: int) -> None:
        """A re-INVITE of the caller's, which the callee takes."""
        body = sdp(self.caller.host, version=version, way=way)
        await self.caller.send(call.write("INVITE", body), self.target)
        again = await self.callee.request("INVITE")
        self.callee.answer(again, 200, self.target, sdp(self.callee.host, version=version, way=way))
        await self.caller.read("200")
        await self.caller.send(call.write("ACK"), self.target)
        await self.callee.read("ACK")

    async def ended(self) -> None:
        """The engine says BYE on both sides."""
        for side in (self.caller, self.callee):
            bye = await side.read("BYE")
            assert isinstance(bye, Request)
            side.answer(bye, 200, self.target)


@pytest.fixture
def rtp_timeout_s() -> float:
    return 60.0


@pytest.fixture
async def talk(tmp_path: Path, rtp_timeout_s: float) -> AsyncIterator[Talk]:
    address = host()
    caller, callee = await Side(address).open(), await Side(address).open()
    more = {"media__rtp_timeout_s": str(rtp_timeout_s), "media__ports": f"{PORTS[0]}-{PORTS[-1]}"}
    async with passthrough(callee.address, tmp_path, **more) as target:
        yield Talk(caller, callee, target)
    for side in (caller, callee):
        await side.close()


async def test_descriptions_that_point_where_no_media_may_go(talk: Talk) -> None:
    for address in FORBIDDEN:
        await talk.refused("488", sdp(address))
    await talk.refused("488", sdp(talk.target[0], PORTS[2]))  # our own media
    await talk.refused("488", sdp(talk.target[0], talk.target[1]))  # our own SIP
    call = talk.call()
    await call.begin()
    invite = await talk.callee.request("INVITE")
    talk.callee.answer(invite, 200, talk.target, sdp(FORBIDDEN[0]))
    await talk.caller.read("488")
    talk.callee.answer(await talk.callee.request("BYE"), 200, talk.target)


async def test_what_a_third_party_sends_is_not_relayed(talk: Talk) -> None:
    ours, theirs, stranger = Socket(talk.caller.host), Socket(talk.callee.host), Socket(host())
    call = talk.call()
    await talk.caller.send(call.write("INVITE", sdp(ours.address[0], ours.address[1])), talk.target)
    invite = await talk.callee.request("INVITE")
    talk.callee.answer(invite, 200, talk.target, sdp(theirs.address[0], theirs.address[1]))
    answer = await talk.caller.read("200")
    relay = audio_target(parse(answer.body))
    assert relay is not None and relay.port in PORTS
    call.take(answer)
    await talk.caller.send(call.write("ACK"), talk.target)
    await talk.callee.read("ACK")
    heard: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        for number in count():  # the first ones may come before the media worker knows where to
            for source, value in ((stranger, 1), (ours, 2)):
                head = bytes((0x80, 8)) + number.to_bytes(2, "big") + bytes(7) + bytes((value,))
                source.send(head + bytes((value,)) * 160, (relay.host, relay.port))
            await asyncio.sleep(0.02)
            heard += theirs.unread()
            if len(heard) >= 20:
                break
    await call.hang_up()
    heard += theirs.unread()
    assert {data[12:] for data in heard} == {bytes((2,)) * 160}
    assert stranger.unread() == []
    for socket in (ours, theirs, stranger):
        socket.close()


async def test_ports_that_have_run_out_come_back(talk: Talk) -> None:
    for _ in range(2):
        calls = [talk.call() for _ in range(2)]
        for call in calls:
            await call.connect()
        await talk.refused("503", sdp(talk.caller.host))
        for call in calls:
            await call.hang_up()


@pytest.mark.parametrize("rtp_timeout_s", [TIMEOUT_S])
async def test_silence_ends_a_call_and_hold_does_not(talk: Talk) -> None:
    held, silent = talk.call(), talk.call()
    await held.connect()
    await talk.offer(held, "inactive", 2)
    await silent.connect()
    await talk.ended()  # the silent one: the one on hold is as old
    await asyncio.sleep(TIMEOUT_S)
    await talk.offer(held, "sendrecv", 3)  # it is up all the same
    await talk.ended()
