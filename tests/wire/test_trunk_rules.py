"""Whose numbers, identities and histories pass a trunk, by which weights, and who answers its challenges."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from hashlib import md5, sha256

import pytest

from engine.model.address import Address
from engine.model.config import SipSection
from engine.model.screening import Action, Level
from engine.model.trunk_sections import NextHopSection, TranslationSection, TrunkSection
from engine.sip.digest import directives
from engine.sip.message import Request
from engine.sip.parse import parse
from tests.call.peer import sdp
from tests.runtime.bench import Bench, reply
from tests.runtime.nameserver import NameServer
from tests.runtime.net import PATIENCE_S, Socket, host
from tests.screening.kit import entry
from tests.wire.exchange_kit import Exchange, answered, asked
from tests.wire.transport_kit import Side

pytestmark = pytest.mark.wire

ASSERTED = "P-Asserted-Identity: <sip:+8613800000001@carrier.example>"
HISTORY = (
    "Diversion: <sip:+8613811111111@a.example>;reason=user-busy;counter=1",
    "History-Info: <sip:+8613811111111@a.example>;index=1",
    "History-Info: <sip:13900000002@b.example>;index=1.1;mp=1",
)
Start = Callable[..., "Site"]


class Site(Exchange):
    """A call of the carrier's to a phone, over trunks with fields of their own."""

    def __init__(
        self,
        carrier: dict[str, object],
        access: dict[str, object],
        weights: tuple[int, ...],
        sip: dict[str, object],
    ) -> None:
        ours, engine = Socket(host()), Address(host(), 5060)
        self.hops = [Socket(host()) for _ in weights]
        places = tuple(
            NextHopSection(uri=f"sip:{hop.address[0]}:{hop.address[1]}", weight=weight)
            for hop, weight in zip(self.hops, weights, strict=True)
        )
        fields = {
            "carrier": {"match": (ours.address[0],), "next_hop": Address(*ours.address)} | carrier,
            "access": {"match": tuple(hop.address[0] for hop in self.hops), "next_hops": places} | access,
        }
        bench = Bench(
            engine,
            sip=SipSection(listen=engine, **sip),  # type: ignore[arg-type]
            trunk={side: TrunkSection(side=side, **rest) for side, rest in fields.items()},  # type: ignore[arg-type]
        )
        for unused in (bench.carrier, bench.phone):
            unused.close()
        bench.carrier, bench.phone = ours, self.hops[0]
        super().__init__(bench)

    async def close(self) -> None:
        await self.bench.close()
        for hop in self.hops[1:]:
            hop.close()

    async def invited(self, *extra: str, number: str = "13900000002", branch: str = "1") -> Request:
        """The INVITE that the phone gets."""
        data = self.bench.request("INVITE", number, self.offer, *extra, branch=branch)
        self.carrier.send(data, self.bench.target)
        return await asked(self.phone, "INVITE")

    async def refuse(self, invite: Request, status: int = 486) -> None:
        self.callee(invite, status)
        await asked(self.phone, "ACK")
        await answered(self.carrier, status)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    made: list[Site] = []

    def begin(
        carrier: dict[str, object] | None = None,
        access: dict[str, object] | None = None,
        weights: tuple[int, ...] = (1,),
        **sip: object,
    ) -> Site:
        made.append(Site(carrier or {}, access or {}, weights, sip))
        return made[-1]

    yield begin
    for each in made:
        await each.close()


TRUSTED: dict[str, object] = {"trusted_identity": True}


@pytest.mark.parametrize(
    ("carrier", "access", "passes"), [(TRUSTED, TRUSTED, True), (TRUSTED, {}, False), ({}, TRUSTED, False)]
)
async def test_identity_and_history_pass_between_trusted_trunks_alone(
    start: Start, carrier: dict[str, object], access: dict[str, object], passes: bool
) -> None:
    site = start(carrier, access)
    invite = await site.invited(ASSERTED, *HISTORY)
    told = [invite.get_all(name) for name in ("P-Asserted-Identity", "Diversion", "History-Info")]
    if passes:
        assert "+8613800000001@" in told[0][0]
        assert [f"Diversion: {told[1][0]}", *(f"History-Info: {each}" for each in told[2])] == [*HISTORY]
    else:
        assert told == [[], [], []]
    await site.refuse(invite)


@pytest.mark.parametrize("trusted", [True, False])
async def test_who_a_trusted_trunk_says_is_calling_is_screened(start: Start, trusted: bool) -> None:
    site = start({"trusted_identity": trusted, "announce_608": False})
    site.bench.table.entries["+8617000000001"] = entry(Level.RED, action=Action.REJECT)
    site.caller(
        "INVITE", 1, None, "P-Asserted-Identity: <sip:+8617000000001@carrier.example>", body=site.offer
    )
    if trusted:
        await answered(site.carrier, 608)
    else:  # anybody could have written it
        await site.refuse(await asked(site.phone, "INVITE"))


def moved(site: Site, invite: Request, by: Socket, number: str) -> None:
    """302 to that number. A call that a phone forwards is the subscriber's: it leaves by the carrier."""
    data = reply(invite, 302, by)
    by.send(re.sub(rb"Contact: <[^>]*>", f"Contact: <tel:{number}>".encode(), data), site.bench.target)


async def test_a_redirection_continues_the_history(start: Start) -> None:
    site = start(TRUSTED, TRUSTED)
    moved(site, await site.invited(*HISTORY), site.phone, "+8613900000003")
    again = await asked(site.carrier, "INVITE")
    assert (again.uri.user or "").endswith("13900000003")
    history, diversions = again.get_all("History-Info"), again.get_all("Diversion")
    assert [each.partition("index=")[2] for each in history] == ["1", "1.1;mp=1", "1.1.1;mp=1.1"]
    assert [each.partition(";")[2] for each in diversions] == [
        "reason=unconditional;counter=1",
        "reason=user-busy;counter=1",
    ]
    site.carrier.send(reply(again, 486, site.carrier), site.bench.target)
    await answered(site.carrier, 486)


async def test_redirections_have_an_end(start: Start) -> None:
    """Each contact costs one of `sip.redirects`, whoever named it."""
    site = start(redirects=2)
    moved(site, await site.invited(), site.phone, "+8613900001001")
    moved(site, await asked(site.carrier, "INVITE"), site.carrier, "+8613900001002")
    moved(site, await asked(site.phone, "INVITE"), site.phone, "+8613900001003")
    await answered(site.carrier, 480)
    await site.bench.alive()
    for socket in (site.carrier, site.phone):
        assert not [data for data in socket.unread() if data.startswith(b"INVITE")]


async def test_numbers_are_written_as_each_trunk_wants_them(start: Start) -> None:
    nine = (TranslationSection(match="9", strip=1),)
    plus = (TranslationSection(match="+8613", strip=3, prefix="0"),)
    site = start({"called_in": nine}, {"called_format": "e164", "calling_out": plus})
    invite = await site.invited(number="913900000002")
    assert invite.uri.user == invite.to.uri.user == "+8613900000002"
    assert invite.from_.uri.user == "013800000001"
    await site.refuse(invite)
    invite = await site.invited(number="9110", branch="help")
    assert invite.uri.user == "110"
    await site.refuse(invite)


@pytest.mark.parametrize("otherwise", ["pass", "label", "reject"])
async def test_a_caller_that_may_not_come_from_there(start: Start, otherwise: str) -> None:
    site = start({"callers": ("+8621",), "callers_else": otherwise, "announce_608": False})
    if otherwise == "reject":
        site.caller("INVITE", 1, body=site.offer)
        await answered(site.carrier, 608)
        await site.bench.alive()
        assert not [data for data in site.phone.unread() if data.startswith(b"INVITE")]
        return
    site.caller("INVITE", 1, body=site.offer)
    found = await first_request(site)
    while found.method == "MESSAGE":
        site.callee(found, 200)
        found = await first_request(site)
    assert (found.from_.display is not None) is (otherwise == "label")
    await site.refuse(found)


async def first_request(site: Site) -> Request:
    found = parse(await site.phone.receive())
    assert isinstance(found, Request)
    return found


async def test_calls_are_shared_out_by_weight_and_a_refused_one_goes_to_the_other(start: Start) -> None:
    site = start(weights=(9, 1))
    bench, first = site.bench, site.hops[0]
    chosen = 0
    for number in range(40):
        data = bench.request("INVITE", body=site.offer, branch=f"share-{number}")
        site.carrier.send(data, bench.target)
        await answered(site.carrier, 100)
        await bench.alive()  # so that the INVITE is there
        hop, other = site.hops if (waiting := first.unread()) else reversed(site.hops)
        chosen += hop is first
        invite = parse(waiting[0]) if waiting else await asked(hop, "INVITE")
        assert isinstance(invite, Request)
        hop.send(reply(invite, 500, hop), bench.target)
        other.send(reply(await asked(other, "INVITE"), 486, other), bench.target)
        await answered(site.carrier, 486)
        for each in site.hops:
            await asked(each, "ACK")
    assert 30 <= chosen < 40  # the worker's chance is seeded


async def test_so_many_new_calls_a_second(start: Start) -> None:
    site = start({"max_calls_per_s": 1.0})
    for number in range(3):
        data = site.bench.request("INVITE", body=site.offer, branch=f"rate-{number}")
        site.carrier.send(data, site.bench.target)
    refused = await answered(site.carrier, 503)
    assert refused.get("Retry-After") == "1"
    await asked(site.phone, "INVITE")
    data = site.bench.request("INVITE", "110", site.offer, branch="rate-help")
    site.carrier.send(data, site.bench.target)
    while (await asked(site.phone, "INVITE")).uri.user != "110":
        pass


# --- a next hop that asks who we are ---


@pytest.mark.parametrize(
    ("status", "algorithm", "asks", "says"),
    [
        (401, "SHA-256", "WWW-Authenticate", "Authorization"),
        (407, "MD5", "Proxy-Authenticate", "Proxy-Authorization"),
    ],
)
async def test_a_challenge_is_answered(
    start: Start, status: int, algorithm: str, asks: str, says: str
) -> None:
    """The INVITE and the BYE after it, with a count that rises (RFC 7616 §3.4)."""
    site = start(access={"username": "ringward", "password": "secret", "realm": "pbx"})
    challenge = f'{asks}: Digest realm="pbx", nonce="n1", algorithm={algorithm}, qop="auth"'

    def proved(request: Request, count: str) -> None:
        found = directives(request.get(says) or "")

        def digest(text: str) -> str:
            data = text.encode()
            return (sha256(data) if algorithm == "SHA-256" else md5(data, usedforsecurity=False)).hexdigest()

        tail = f"{found['nonce']}:{found['nc']}:{found['cnonce']}:auth"
        first, second = digest("ringward:pbx:secret"), digest(f"{request.method}:{request.request_uri}")
        assert found["response"] == digest(f"{first}:{tail}:{second}")
        assert found["nc"] == count

    invite = await site.invited()
    site.callee(invite, status, challenge)
    await asked(site.phone, "ACK")
    again = await asked(site.phone, "INVITE")
    proved(again, "00000001")
    assert again.cseq.number == invite.cseq.number + 1
    site.callee(again, 200, body=site.answer)
    ok = await answered(site.carrier, 200)
    site.caller("ACK", 1, ok)
    await asked(site.phone, "ACK")
    site.caller("BYE", 2, ok)
    bye = await asked(site.phone, "BYE")
    proved(bye, "00000002")
    site.callee(bye, 200)
    await answered(site.carrier, 200, "BYE")


async def test_wrong_credentials_end_the_call(start: Start) -> None:
    site = start(access={"username": "ringward", "password": "wrong"})
    challenge = 'WWW-Authenticate: Digest realm="pbx", nonce="n1", qop="auth"'
    site.callee(await site.invited(), 401, challenge)
    site.callee(await asked(site.phone, "INVITE"), 401, challenge)
    await answered(site.carrier, 500)
    await site.bench.alive()
    assert not [data for data in site.phone.unread() if data.startswith(b"INVITE")]


# --- who may put calls through ---


async def test_refer_is_for_trunks_that_may(start: Start) -> None:
    site = start()
    _, ok = await site.connect()
    site.caller("REFER", 2, ok, "Refer-To: <sip:13900000005@example.org>")
    await answered(site.carrier, 603, "REFER")
    outside = site.bench.request(
        "REFER", "13900000002", b"", "Refer-To: <sip:1@example.org>", branch="outside"
    )
    site.carrier.send(outside, site.bench.target)
    await answered(site.carrier, 405, "REFER")
    await site.finish(ok, 3)


@pytest.mark.parametrize("may", [True, False])
async def test_a_newcomer_takes_the_place_of_the_callee(start: Start, may: bool) -> None:
    """INVITE with Replaces (RFC 3891) from the trunk of the phone that it names."""
    site = start(access={"refer": may})
    invite, ok = await site.connect()
    phone, bench = site.phone, site.bench
    named = f"{invite.call_id};to-tag={invite.from_.tag};from-tag=phone"
    body = sdp(phone.address[0], 51000)
    data = bench.request("INVITE", "1001", body, f"Replaces: {named}", "Require: replaces", branch="new")
    ours, theirs = (f"{each.address[0]}:{each.address[1]}".encode() for each in (site.carrier, phone))
    phone.send(data.replace(ours, theirs), bench.target)
    if not may:
        await answered(phone, 603)
        await site.finish(ok, 2)
        return
    again = await asked(site.carrier, "INVITE")
    assert b"m=audio 51000" in again.body
    site.carrier.send(reply(again, 200, site.carrier, sdp(site.carrier.address[0], version=2)), bench.target)
    taken = await answered(phone, 200)
    assert b"m=audio 40000" in taken.body
    bye = await asked(phone, "BYE")
    assert bye.call_id == invite.call_id  # the one who was replaced
    site.callee(bye, 200)


# --- names ---


async def test_the_dns_says_which_transport(start: Start) -> None:
    """NAPTR prefers TCP, its SRV a port, and AAAA is not for a listener of IPv4 (RFC 3263 §4)."""
    server, side = NameServer(), await Side(host(), "tcp").open()
    await server.start(host())
    for line in (
        'pbx.example.org 600 NAPTR 20 1 "s" "SIP+D2U" "" _sip._udp.pbx.example.org.',
        'pbx.example.org 600 NAPTR 10 1 "s" "SIP+D2T" "" _sip._tcp.pbx.example.org.',
        f"_sip._tcp.pbx.example.org 600 SRV 1 1 {side.address[1]} a.example.org.",
        f"a.example.org 600 A {side.host}",
        "a.example.org 600 AAAA ::1",
    ):
        server.add(line)
    hops = (NextHopSection(uri="sip:pbx.example.org"),)
    site = start(access={"next_hops": hops, "match": (side.host,)}, dns=(server.address,))
    async with asyncio.timeout(PATIENCE_S):
        while len(site.bench.worker.trunk_states()) < 2:  # noqa: ASYNC110 (it is the engine's own state)
            await asyncio.sleep(0.01)
    site.caller("INVITE", 1, body=site.offer)
    invite = await side.request("INVITE")
    assert invite.top_via.transport == "tcp"
    side.answer(invite, 486, site.bench.target)
    await answered(site.carrier, 486)
    assert "SRV _sip._udp.pbx.example.org" not in server.asked
    await side.close()
    server.close()


async def test_the_server_of_the_first_priority_whatever_weighs_more(start: Start) -> None:
    """RFC 2782, and the other one when that refuses (RFC 3263 §4.3)."""
    server, first, second = NameServer(), Socket(host()), Socket(host())
    await server.start(host())
    for line in (
        f"_sip._udp.pbx.example.org 600 SRV 2 60000 {second.address[1]} b.example.org.",
        f"_sip._udp.pbx.example.org 600 SRV 1 1 {first.address[1]} a.example.org.",
        f"a.example.org 600 A {first.address[0]}",
        f"b.example.org 600 A {second.address[0]}",
    ):
        server.add(line)
    hops = (NextHopSection(uri="sip:pbx.example.org"),)
    hosts = (first.address[0], second.address[0])
    site = start(access={"next_hops": hops, "match": hosts}, dns=(server.address,))
    async with asyncio.timeout(PATIENCE_S):
        while len(site.bench.worker.trunk_states()) < 3:  # noqa: ASYNC110 (it is the engine's own state)
            await asyncio.sleep(0.01)
    site.caller("INVITE", 1, body=site.offer)
    for hop, status in ((first, 503), (second, 486)):
        hop.send(reply(await asked(hop, "INVITE"), status, hop), site.bench.target)
    await answered(site.carrier, 486)
    for socket in (first, second):
        socket.close()
    server.close()
