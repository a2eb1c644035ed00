"""`lab/passthrough.toml` as test suites of others use it: callers, next hop and engine all on one address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.sdp import AudioTarget, audio_target, parse
from tests.call.peer import sdp
from tests.runtime.net import Socket, host
from tests.wire.passthrough_kit import PORTS, passthrough
from tests.wire.transport_kit import Call, Side

pytestmark = pytest.mark.wire


@asynccontextmanager
async def sides(caller: str, callee: str) -> AsyncIterator[tuple[Side, Side]]:
    address = host()
    calling, called = await Side(address, caller).open(), await Side(address, callee).open()
    try:
        yield calling, called
    finally:
        await calling.close()
        await called.close()


@pytest.mark.parametrize(
    ("caller", "callee", "leaves"), [("udp", "udp", "UDP"), ("tcp", "tcp", "TCP"), ("tcp", "udp", "UDP")]
)
async def test_calls_from_anywhere_reach_the_next_hop(
    caller: str, callee: str, leaves: str, tmp_path: Path
) -> None:
    """By the transport they came by, or by UDP; either side hangs up, from whatever port."""
    async with sides(caller, callee) as (calling, called), passthrough(called.address, tmp_path) as target:
        first = Call(calling, called, target)
        await first.connect()
        assert first.invite is not None
        assert f"SIP/2.0/{leaves} {target[0]}:5060" in first.invite.rows("Via")[0]
        await first.be_hung_up()
        second = Call(calling, called, target)
        await second.connect()
        await second.hang_up()


async def speak(source: Socket, relay: AudioTarget, sound: bytes, sink: Socket) -> bytes:
    """The first that the other side hears of packets sent until it hears one.

    The description has arrived before the media worker has heard of it: what comes first may go nowhere.
    """
    heard = asyncio.create_task(sink.receive())
    number = 0
    while not heard.done():
        number += 1
        packet = bytes((0x80, 8)) + number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + bytes(4)
        source.send(packet + sound * 160, (relay.host, relay.port))
        await asyncio.wait((heard,), timeout=0.02)
    return (await heard)[12:]


async def test_media_is_relayed_and_calls_without_any_are_ended(tmp_path: Path) -> None:
    async with (
        sides("udp", "udp") as (calling, called),
        passthrough(called.address, tmp_path, media__rtp_timeout_s="3") as target,
    ):
        ours, theirs = Socket(calling.host), Socket(called.host)
        call = Call(calling, called, target)
        await calling.send(call.write("INVITE", sdp(calling.host, ours.address[1])), target)
        invite = await called.request("INVITE")
        called.answer(invite, 200, target, sdp(called.host, theirs.address[1]))
        answer = await calling.read("200")
        relays = [audio_target(parse(body)) for body in (answer.body, invite.body)]
        assert all(relay is not None and relay.port in PORTS for relay in relays)
        call.take(answer)
        await calling.send(call.write("ACK"), target)
        await called.read("ACK")
        assert relays[0] is not None and relays[1] is not None
        hears = speak(ours, relays[0], b"o", theirs), speak(theirs, relays[1], b"t", ours)
        assert await asyncio.gather(*hears) == [b"o" * 160, b"t" * 160]
        calling.answer(await calling.request("BYE"), 200, target)
        called.answer(await called.request("BYE"), 200, target)
        ours.close()
        theirs.close()
