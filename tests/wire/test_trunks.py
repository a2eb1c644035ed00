"""Trunks on real sockets: names from a name server, fail-over, OPTIONS, sources told apart by port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from engine.model.address import Address
from engine.model.config import SipSection
from engine.model.events import Alarm, CallEnded, CallStarted, TrunkChanged
from engine.model.trunk_sections import HealthSection, NextHopSection, TrunkSection
from engine.sip.message import Request
from engine.sip.parse import parse
from tests.call.peer import sdp
from tests.runtime.bench import Bench, read, reply
from tests.runtime.nameserver import NameServer
from tests.runtime.net import PATIENCE_S, Socket, host

pytestmark = pytest.mark.wire

NAME = "sip:pbx.example.org"
FAST = HealthSection(options_s=0.2, timeout_s=0.15, failures=2, recoveries=2)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 (what is waited for is the engine's own state)
            await asyncio.sleep(0.01)


class World:
    """An engine with one access trunk to `hops`, two phones' sides, a carrier and a name server."""

    def __init__(self, server: NameServer) -> None:
        self.server = server
        self.first, self.second, self.carrier = Socket(host()), Socket(host()), Socket(host())
        self.bench: Bench | None = None
        self._calls = 0

    def start(self, *uris: str, **fields: object) -> Bench:
        hops = tuple(NextHopSection(uri=uri, priority=place) for place, uri in enumerate(uris))
        access = TrunkSection(**({"side": "access", "next_hops": hops} | fields))  # type: ignore[arg-type]
        engine = Address(host(), 5060)
        sip = SipSection(listen=engine, dns=(self.server.address,), dns_timeout_s=0.4)
        own = TrunkSection(side="carrier", match=(f"{self.carrier.address[0]}:{self.carrier.address[1]}",))
        rest = TrunkSection(side="carrier", match=("127.0.0.0/8",))
        self.bench = Bench(engine, sip=sip, trunk={"own": own, "rest": rest, "access": access})
        return self.bench

    def uri(self, socket: Socket) -> str:
        return f"sip:{socket.address[0]}:{socket.address[1]}"

    def invite(self, source: Socket | None = None) -> None:
        assert self.bench is not None
        self._calls += 1
        source = source or self.carrier
        data = self.bench.request("INVITE", body=sdp(source.address[0]), branch=f"trunk-{self._calls}")
        theirs, ours = (
            f"{each[0]}:{each[1]}".encode() for each in (self.bench.carrier.address, source.address)
        )
        source.send(data.replace(theirs, ours), self.bench.target)

    async def refused_by(self, phone: Socket, status: int = 486) -> None:
        """The next call reaches that phone, which refuses it."""
        assert self.bench is not None
        invite = await read(phone, "INVITE")
        assert isinstance(invite, Request)
        phone.send(reply(invite, status, phone), self.bench.target)

    def zone(self, ttl_s: int, *phones: Socket) -> None:
        self.server.zone.clear()
        for place, phone in enumerate(phones):
            self.server.add(
                f"_sip._udp.pbx.example.org {ttl_s} SRV {place} 1 {phone.address[1]} s{place}.example.org."
            )
            self.server.add(f"s{place}.example.org {ttl_s} A {phone.address[0]}")

    def told(self, kind: type[Alarm] | type[TrunkChanged]) -> list[str]:
        assert self.bench is not None
        return [
            each.slug if isinstance(each, Alarm) else f"{each.target} {each.up} {each.reason}"
            for each in self.bench.journal.events
            if isinstance(each, kind) and isinstance(each, Alarm | TrunkChanged)
        ]

    async def close(self) -> None:
        if self.bench is not None:
            await self.bench.close()
        for socket in (self.first, self.second, self.carrier):
            socket.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    server = NameServer()
    await server.start(host())
    world = World(server)
    yield world
    await world.close()
    server.close()


async def test_a_trunk_that_the_dns_knows(world: World) -> None:
    world.zone(600, world.first, world.second)
    bench = world.start(NAME)
    await until(lambda: len(bench.worker.trunk_states()) == 2)
    world.invite()
    await world.refused_by(world.first, 503)  # the next server of the same name
    await world.refused_by(world.second)
    await read(world.carrier, "486")
    assert world.server.asked[0] == "NAPTR pbx.example.org"


async def test_calls_go_on_when_the_dns_falls_silent(world: World) -> None:
    """A black hole holds nothing up: the last good target, one alarm, and the new one when it is back."""
    world.zone(1, world.first)
    bench = world.start(NAME)
    await until(lambda: len(bench.worker.trunk_states()) == 1)
    world.server.silent = True
    await until(lambda: world.told(Alarm) == ["dns_failed"])
    for _ in range(3):
        world.invite()
        await world.refused_by(world.first)
        await read(world.carrier, "486")
    assert world.told(Alarm) == ["dns_failed"]


async def test_without_any_answer_a_call_ends_at_once(world: World) -> None:
    world.server.silent = True
    bench = world.start(NAME)
    world.invite()
    await read(world.carrier, "503")
    (ended,) = [event for event in bench.journal.events if isinstance(event, CallEnded)]
    assert str(ended.outcome) == "upstream/unreachable"


async def test_a_silent_target_is_left_out_until_it_answers_again(world: World) -> None:
    world.start(world.uri(world.first), world.uri(world.second), health=FAST)
    target = "udp:{}:{}".format(*world.first.address)
    answering = asyncio.create_task(answer_options(world.second, world))
    await until(lambda: world.told(TrunkChanged) == [f"{target} False timeout"])
    world.first.unread()
    world.invite()
    await read(world.carrier, "486")  # from the other, see below
    assert not [data for data in world.first.unread() if data.startswith(b"INVITE")]
    again = asyncio.create_task(answer_options(world.first, world))
    await until(lambda: world.told(TrunkChanged)[1:] == [f"{target} True answered"])
    for task in (answering, again):
        task.cancel()
    await asyncio.gather(answering, again, return_exceptions=True)


async def answer_options(socket: Socket, world: World) -> None:
    """Until it is cancelled: 405 to OPTIONS, which shows that somebody is there, 486 to calls."""
    assert world.bench is not None
    while True:
        message = parse(await socket.receive())
        if isinstance(message, Request) and message.method in ("OPTIONS", "INVITE"):
            status = 405 if message.method == "OPTIONS" else 486
            socket.send(reply(message, status, socket), world.bench.target)


async def test_two_trunks_behind_one_host_are_told_apart_by_port(world: World) -> None:
    bench = world.start(world.uri(world.first))
    neighbour = Socket(world.carrier.address[0])
    for source, status in ((world.carrier, "486"), (neighbour, "486")):
        world.invite(source)
        await world.refused_by(world.first)
        await read(source, status)
    neighbour.close()
    assert [each.trunk for each in bench.journal.events if isinstance(each, CallStarted)] == ["own", "rest"]


async def test_one_call_at_once_and_no_more(world: World) -> None:
    world.start(world.uri(world.first), max_calls=1)
    world.invite()
    await read(world.first, "INVITE")
    world.invite()
    refused = await read(world.carrier, "503")
    assert refused.get("Retry-After") == "1"
