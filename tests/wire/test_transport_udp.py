"""Datagrams: errors that come back, filters in the kernel, and requests too long for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import pytest

from engine.model.address import Address
from engine.model.config import Config, LimitsSection, SipSection
from engine.model.trunk_sections import TrunkSection
from engine.runtime.transports import ListenError, Transports
from engine.runtime.udp import UdpSocket, is_unreachable
from engine.sip.flow import Flow
from engine.sip.message import Request, Response, response_to
from engine.sip.parse import parse
from scoring.numbers import Numbering
from tests.runtime.net import PATIENCE_S, Socket, host
from tests.sip.kit import wire
from tests.wire.transport_kit import Side

pytestmark = pytest.mark.wire

Told = asyncio.Queue[tuple[bytes, tuple[str, int], str]]


class Ours:
    """A socket that asks for errors, and what it told."""

    def __init__(self, address: str) -> None:
        self.heard: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.told: Told = asyncio.Queue()
        self.socket = UdpSocket(
            address,
            0,
            lambda data, source: self.heard.put_nowait((data, source)),
            on_unreachable=lambda *told: self.told.put_nowait(told),
        )
        self.socket.start()

    async def hear(self) -> bytes:
        return (await asyncio.wait_for(self.heard.get(), PATIENCE_S))[0]

    async def tell(self) -> tuple[bytes, tuple[str, int], str]:
        return await asyncio.wait_for(self.told.get(), PATIENCE_S)


@pytest.fixture(params=["IPv4", "IPv6"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Ours, str]]:
    address = "::1" if request.param == "IPv6" else host()
    ours = Ours(address)
    yield ours, address
    ours.socket.close()


def nobody(address: str) -> tuple[str, int]:
    """Where nobody listens any more."""
    gone = Socket(address)
    gone.close()
    return gone.address


async def test_what_nobody_takes_comes_back(pair: tuple[Ours, str]) -> None:
    ours, address = pair
    target = nobody(address)
    ours.socket.send(wire(), target)
    data, where, error = await ours.tell()
    assert (where, error) == (target, "Connection refused")
    assert wire().startswith(data[:300])


async def test_one_dead_target_spoils_nothing_for_another(pair: tuple[Ours, str]) -> None:
    ours, address = pair
    peer, dead = Socket(address), nobody(address)
    for number in range(20):
        ours.socket.send(b"lost", dead)
        ours.socket.send(b"%d" % number, peer.address)
        assert await peer.receive() == b"%d" % number
        peer.send(b"answer", ours.socket.address)
        assert await ours.hear() == b"answer"
    assert (await ours.tell())[:2] == (b"lost", dead)
    peer.close()


async def test_a_filter_drops_its_sources_and_nothing_else(pair: tuple[Ours, str]) -> None:
    ours, address = pair
    good = Socket(address)
    bad = Socket(host()) if ":" not in address else good
    assert ours.socket.refuse([ip_network("192.0.2.0/24"), ip_network(bad.address[0])])
    bad.send(b"bad", ours.socket.address)
    if bad is not good:
        good.send(b"good", ours.socket.address)
        assert await ours.hear() == b"good"
    assert ours.socket.refuse([])
    bad.send(b"forgiven", ours.socket.address)
    assert await ours.hear() == b"forgiven"
    bad.close()
    good.close()


@pytest.mark.parametrize(
    ("origin", "kind", "code", "lost"),
    [
        (2, 3, 3, True),  # port unreachable
        (2, 3, 1, True),  # host unreachable
        (2, 3, 4, False),  # fragmentation needed
        (2, 11, 0, False),  # time exceeded
        (2, 12, 0, True),  # parameter problem
        (3, 1, 4, True),  # ICMPv6: port unreachable
        (3, 2, 0, False),  # ICMPv6: packet too big
        (3, 3, 0, False),  # ICMPv6: time exceeded
        (1, 3, 3, False),  # of our own machine, not of the network
    ],
)
def test_which_errors_mean_that_it_is_lost(origin: int, kind: int, code: int, lost: bool) -> None:
    """RFC 3261 §18.4."""
    assert is_unreachable(origin, kind, code) is lost


# --- behind the door of a worker ---


class Door:
    """The transports of a worker with one trunk, and what they told."""

    def __init__(self, trunk: TrunkSection, limits: LimitsSection | None = None) -> None:
        self.heard: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.failed: asyncio.Queue[tuple[Flow, str, str]] = asyncio.Queue()
        self.local = (host(), 5060)
        config = Config(
            sip=SipSection(listen=Address(*self.local)),
            trunk={"carrier": trunk},
            limits=limits or LimitsSection(),
        )
        self.transports = Transports(
            config,
            Numbering(),
            lambda data, flow: self.heard.put_nowait((data, flow)),
            lambda *told: self.failed.put_nowait(told),
        )
        self.transports.start()

    def flow(self, remote: tuple[str, int]) -> Flow:
        return Flow("udp", self.local, remote)


@pytest.fixture
async def door() -> AsyncIterator[Callable[..., Door]]:
    made: list[Door] = []

    def make(trunk: TrunkSection, limits: LimitsSection | None = None) -> Door:
        made.append(Door(trunk, limits))
        return made[-1]

    yield make
    for each in made:
        await each.transports.close()


def request(branch: str, body: str = "") -> bytes:
    return wire(via=f"SIP/2.0/UDP 192.0.2.9;branch={branch}", body=body)


async def test_a_request_that_comes_back_has_failed_and_an_answer_has_not(door: Callable[..., Door]) -> None:
    dead = nobody(host())
    found = door(TrunkSection(side="carrier"))
    asked = parse(request("z9hG4bKx"))
    assert isinstance(asked, Request)
    found.transports.send(found.flow(dead), response_to(asked, 200, to_tag="t").to_bytes(), "")
    found.transports.send(found.flow(dead), request("z9hG4bKx"), "z9hG4bKx")
    told = await asyncio.wait_for(found.failed.get(), PATIENCE_S)
    assert told == (found.flow(dead), "z9hG4bKx", "Connection refused")
    assert found.failed.empty()


async def test_an_unreachable_network_is_told_at_once(door: Callable[..., Door]) -> None:
    found = door(TrunkSection(side="carrier"))
    with pytest.raises(OSError):
        found.transports.send(found.flow(("2001:db8::1", 5060)), request("z9hG4bKx"), "z9hG4bKx")


async def test_a_long_request_goes_by_tcp_once(door: Callable[..., Door]) -> None:
    """RFC 3261 §18.1.1: its Via says so, a repetition is absorbed, the answer comes by TCP."""
    side = await Side(host(), "tcp").open()
    found = door(TrunkSection(side="carrier", next_hop=side.next_hop, tcp_above_bytes=1_300))
    flow, long = found.flow(side.address), request("z9hG4bKlong", "x" * 2_000)
    for _ in range(3):
        found.transports.send(flow, long, "z9hG4bKlong")
    invite = await side.request("INVITE")
    assert invite.top_via.transport == "tcp"
    assert len(invite.body) == 2_000
    side.answer(invite, 200, found.local)
    answer, over = await asyncio.wait_for(found.heard.get(), PATIENCE_S)
    assert isinstance(parse(answer), Response)
    assert over.transport == "tcp"
    found.transports.send(flow, request("z9hG4bKnext", "x" * 2_000), "z9hG4bKnext")
    assert (await side.request("INVITE")).top_via.branch == "z9hG4bKnext"
    assert side.accepted == 1
    await side.close()


async def test_short_ones_go_by_udp_and_long_ones_where_tcp_fails(door: Callable[..., Door]) -> None:
    peer = Socket(host())
    trunk = TrunkSection(side="carrier", next_hop=Address(*peer.address), tcp_above_bytes=1_300)
    found = door(trunk)
    flow, short, long = found.flow(peer.address), request("z9hG4bKs"), request("z9hG4bKl", "x" * 2_000)
    found.transports.send(flow, short, "z9hG4bKs")
    assert await peer.receive() == short
    found.transports.send(flow, long, "z9hG4bKl")
    refused = await asyncio.wait_for(found.failed.get(), PATIENCE_S)
    assert refused[0].transport == "tcp"
    found.transports.send(flow, long, "z9hG4bKl")  # as timer A does
    assert await peer.receive() == long
    peer.close()


async def test_an_address_in_use_is_named(door: Callable[..., Door]) -> None:
    taken = Socket(host())
    config = Config(sip=SipSection(listen=Address(*taken.address)))
    with pytest.raises(ListenError, match=f"sip.listen: {Address(*taken.address)} cannot be listened on"):
        Transports(config, Numbering(), lambda *_: None, lambda *_: None)
    taken.close()


async def test_a_flooding_stranger_is_banned_everywhere_and_others_are_not(door: Callable[..., Door]) -> None:
    trunk, stranger, flooder = Socket(host()), Socket(host()), Socket(host())
    limits = LimitsSection(messages_per_s=10.0, ban_after=50, ban_s=1.0)
    found = door(TrunkSection(side="carrier", match=(trunk.address[0],)), limits)
    for _ in range(70):
        flooder.send(b"flood", found.local)
    heard = [await asyncio.wait_for(found.heard.get(), PATIENCE_S) for _ in range(20)]
    assert {flow.remote for _, flow in heard} == {flooder.address}
    for honest in (trunk, stranger):
        honest.send(b"honest", found.local)
        assert (await asyncio.wait_for(found.heard.get(), PATIENCE_S))[1].remote == honest.address
    counts = found.transports.counts()["flood"]
    assert (counts["bans"], counts["banned_now"], counts["dropped"]) == (1, 1, 50)
    flooder.send(b"flood", found.local)  # the kernel's to drop
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        reader, _ = await asyncio.open_connection(*found.local, local_addr=(flooder.address[0], 0))
        await asyncio.wait_for(reader.readexactly(1), PATIENCE_S)
    assert found.transports.counts()["flood"]["dropped"] == 50
    async with asyncio.timeout(PATIENCE_S):  # the ban ends, and the filter goes
        while True:
            flooder.send(b"back", found.local)
            await asyncio.sleep(0.05)
            if not found.heard.empty():
                break
    assert found.heard.get_nowait()[0] == b"back"
    for socket in (trunk, stranger, flooder):
        socket.close()


async def test_who_floods_by_tcp_loses_the_connection(door: Callable[..., Door]) -> None:
    flooder, honest = Side(host(), "tcp"), Socket(host())
    found = door(TrunkSection(side="carrier"), LimitsSection(messages_per_s=10.0, ban_after=50))
    await flooder.open()
    for _ in range(100):
        await flooder.send(wire("OPTIONS"), found.local)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if found.transports.counts()["tcp"]["open"] == 0 and found.heard.qsize() == 20:
                break
            await asyncio.sleep(0.01)
    honest.send(b"honest", found.local)
    heard = [await asyncio.wait_for(found.heard.get(), PATIENCE_S) for _ in range(21)]
    assert heard[-1][1].remote == honest.address
    assert found.transports.counts()["flood"]["dropped"] == 50
    await flooder.close()
    honest.close()
