"""The resolver against a name server on loopback: caches, faults, silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.runtime.resolver import NEGATIVE_MAX_S, RETRY_S, TTL_MAX_S, Resolver
from engine.sip.location import Location
from engine.sip.uri import Uri
from tests.runtime.nameserver import NameServer
from tests.runtime.net import host

pytestmark = pytest.mark.wire

ZONE = [
    "example.org 300 NAPTR 10 10 \"s\" \"SIP+D2T\" \"\" _sip._tcp.example.org.",
    "_sip._tcp.example.org 120 SRV 0 5 5070 s1.example.org.",
    "_sip._tcp.example.org 120 SRV 1 5 5071 s2.example.org.",
    "s1.example.org 60 A 192.0.2.1",
    "s2.example.org 600 A 192.0.2.2",
    "s2.example.org 600 AAAA 2001:db8::2",
    "none.example.org 60 SRV 0 0 0 .",
]  # fmt: skip


class World:
    def __init__(self, server: NameServer, tmp: Path) -> None:
        self.server = server
        self.now = 1000.0
        self.alarms: list[str] = []
        hosts = tmp / "hosts"
        hosts.write_text(
            "127.0.0.1 localhost # loop\nnonsense x\n192.0.2.77 pbx PBX.example.org\n::1 localhost\n"
        )
        self.resolver = Resolver(
            [server.address],
            alarm=lambda slug, detail: self.alarms.append(f"{slug}: {detail}"),
            timeout_s=0.4,
            hosts=hosts,
            clock=lambda: self.now,
        )

    async def locate(self, uri: str) -> Location:
        return await self.resolver.locate(Uri.parse(uri), ("udp", "tcp"), ("A",))

    async def targets(self, uri: str) -> list[str]:
        location = await self.locate(uri)
        return [f"{each.transport} {each.host}:{each.port}" for each in location.targets(lambda most: most)]

    def asked(self) -> list[str]:
        asked, self.server.asked = self.server.asked, []
        return asked


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    server = NameServer(ZONE)
    await server.start(host())
    world = World(server, tmp_path)
    yield world
    await world.resolver.close()
    server.close()


BOTH = ["tcp 192.0.2.1:5070", "tcp 192.0.2.2:5071"]


async def test_naptr_srv_and_addresses(world: World) -> None:
    location = await world.locate("sip:example.org")
    assert await world.targets("sip:example.org") == BOTH
    assert location.ttl_s == 60
    naptr, srv, *addresses = world.asked()
    assert (naptr, srv) == ("NAPTR example.org", "SRV _sip._tcp.example.org")
    assert sorted(addresses) == ["A s1.example.org", "A s2.example.org"]


async def test_answers_live_as_long_as_they_say(world: World) -> None:
    await world.targets("sip:example.org")
    world.asked()
    world.now += 61
    world.server.zone["s1.example.org", "A"] = [(60, "192.0.2.9")]
    assert await world.targets("sip:example.org") == ["tcp 192.0.2.9:5070", BOTH[1]]
    assert world.asked() == ["A s1.example.org"]


async def test_what_is_not_there_is_remembered_too(world: World) -> None:
    """For the SOA's minimum (RFC 2308)."""
    for _ in range(3):
        location = await world.locate("sip:missing.example.org:5060")
        assert (location.servers, location.reason) == ((), "no_address")
    assert world.asked() == ["A missing.example.org"]
    assert location.ttl_s == 30 < NEGATIVE_MAX_S
    world.now += 31
    world.server.add("missing.example.org 60 A 192.0.2.3")
    assert await world.targets("sip:missing.example.org:5060") == ["udp 192.0.2.3:5060"]


async def test_one_question_for_many_who_ask_at_once(world: World) -> None:
    await asyncio.gather(*(world.locate("sip:s1.example.org:5060") for _ in range(50)))
    assert world.asked() == ["A s1.example.org"]


async def test_a_truncated_answer_is_fetched_by_tcp(world: World) -> None:
    world.server.truncating = True
    assert await world.targets("sip:s1.example.org:5060") == ["udp 192.0.2.1:5060"]
    assert world.asked() == ["A s1.example.org", "A s1.example.org tcp"]


@pytest.mark.parametrize("fault", ["silent", "failing"])
async def test_the_last_good_answer_when_the_dns_is_dead(world: World, fault: str) -> None:
    await world.targets("sip:example.org")
    setattr(world.server, fault, True)
    world.now += 1_000_000
    assert await world.targets("sip:example.org") == BOTH
    world.asked()
    assert await world.targets("sip:example.org") == BOTH
    assert world.asked() == []  # not asked again for a while, so nobody waits
    assert len(world.alarms) == 1
    assert world.alarms[0].startswith("dns_failed: NAPTR example.org")
    setattr(world.server, fault, False)
    world.now += RETRY_S + 1
    world.server.zone["s1.example.org", "A"] = [(60, "192.0.2.9")]
    assert await world.targets("sip:example.org") == ["tcp 192.0.2.9:5070", BOTH[1]]
    setattr(world.server, fault, True)
    world.now += 1_000_000
    await world.targets("sip:example.org")
    assert len(world.alarms) == 2  # a second silence is news again


async def test_without_a_good_answer_it_says_so(world: World) -> None:
    world.server.silent = True
    location = await world.locate("sip:s1.example.org:5060")
    assert (location.servers, location.reason) == ((), "dns")
    assert location.ttl_s <= RETRY_S
    world.asked()
    assert (await world.locate("sip:s1.example.org:5060")).reason == "dns"
    assert world.asked() == []


async def test_the_hosts_file_comes_first(world: World) -> None:
    assert await world.targets("sip:pbx.example.org:5060") == ["udp 192.0.2.77:5060"]
    assert await world.targets("sip:localhost:5060") == ["udp 127.0.0.1:5060"]
    assert (await world.locate("sip:pbx:5060")).ttl_s == TTL_MAX_S
    assert world.asked() == []


async def test_a_port_where_nobody_listens(world: World) -> None:
    world.server.close()
    assert (await world.locate("sip:s1.example.org:5060")).reason == "dns"
