"""Calls through a worker over every pair of transports, and what becomes of connections."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.model.address import Address
from engine.model.config import LimitsSection, SipSection, TlsSection
from engine.model.events import CallEnded
from engine.model.trunk_sections import TrunkSection
from tests.runtime.bench import Bench
from tests.runtime.net import PATIENCE_S, host
from tests.wire.transport_kit import Authority, Call, Side

pytestmark = pytest.mark.wire


class Stage:
    """A worker between a carrier and an access trunk, each by its own transport."""

    def __init__(self, bench: Bench, carrier: Side, access: Side, tls: Address | None) -> None:
        self.bench, self.carrier, self.access = bench, carrier, access
        self._tls = tls

    def call(self, number: str = "13900000002") -> Call:
        return Call(self.carrier, self.access, self.target(self.carrier), number)

    def target(self, side: Side) -> tuple[str, int]:
        address = self._tls if side.transport == "tls" and self._tls is not None else self.bench.engine
        return address.host, address.port

    def counts(self, transport: str) -> dict[str, int]:
        return self.bench.worker.transport_counts()[transport]

    async def ended(self) -> str:
        """The outcome of the call that ends next."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for place, event in enumerate(self.bench.journal.events):
                    if isinstance(event, CallEnded):
                        del self.bench.journal.events[place]
                        return str(event.outcome)
                await asyncio.sleep(0.01)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def stage(
    carrier: Side,
    access: Side,
    *,
    engine: Address | None = None,
    tls: TlsSection | None = None,
    limits: LimitsSection | None = None,
    access_extra: dict[str, Any] | None = None,
) -> AsyncIterator[Stage]:
    await carrier.open()
    await access.open()
    engine = engine or Address(host(), 5060)
    shared = carrier.host == access.host  # an address is one trunk's; the other is only called then
    trunks = {
        name: TrunkSection(
            side=name,  # type: ignore[arg-type]
            match=() if shared and side is access else (side.host,),
            next_hop=side.next_hop,
            transport=side.transport,  # type: ignore[arg-type]
            **extra,
        )
        for name, side, extra in (("carrier", carrier, {}), ("access", access, access_extra or {}))
    }
    section = tls or TlsSection()
    bench = Bench(
        engine,
        sip=SipSection(listen=engine, tls=section),
        trunk=trunks,
        limits=limits or LimitsSection(),
    )
    try:
        yield Stage(bench, carrier, access, section.listen)
    finally:
        await bench.close()
        await carrier.close()
        await access.close()


@pytest.mark.parametrize(("from_", "to"), [("udp", "tcp"), ("tcp", "udp"), ("tcp", "tcp")])
async def test_a_call_from_one_transport_to_another(from_: str, to: str) -> None:
    async with stage(Side(host(), from_), Side(host(), to)) as found:
        for _ in range(2):
            call = found.call()
            await call.connect()
            assert call.invite is not None
            via, contact = call.invite.top_via, call.invite.contact
            assert via.transport == to
            assert contact is not None and contact.uri.params.get("transport") == (
                to if to != "udp" else None
            )
            await call.hang_up()
            assert await found.ended() == "caller/hung_up"
        assert found.access.accepted == (1 if to == "tcp" else 0)
        assert found.carrier.accepted == 0


async def test_requests_of_ours_use_the_callers_connection() -> None:
    """The callee says BYE: ours goes to where the caller says it listens, over what it has opened."""
    async with stage(Side(host(), "tcp"), Side(host(), "udp")) as found:
        call = found.call()
        await call.connect()
        await call.be_hung_up()
        assert (found.carrier.opened, found.carrier.accepted) == (1, 0)


async def test_a_call_outlives_its_connections() -> None:
    async with stage(Side(host(), "tcp"), Side(host(), "tcp")) as found:
        call = found.call()
        await call.connect()
        found.carrier.cut()
        found.access.cut()
        await until(lambda: found.counts("tcp")["open"] == 0)
        await call.be_hung_up()
        assert await found.ended() == "callee/hung_up"
        assert found.carrier.accepted == 1
        assert found.access.opened == 1


async def test_a_trunk_that_is_not_there_ends_the_call_at_once() -> None:
    async with stage(Side(host(), "udp"), Side(host(), "tcp")) as found:
        await found.access.close()
        await found.call().begin()
        await found.carrier.read("500")
        assert await found.ended() == "upstream/unreachable"


async def test_a_dead_udp_next_hop_ends_the_call_at_once() -> None:
    """ICMP says so; without it the caller would wait 32 s."""
    async with stage(Side(host(), "udp"), Side(host(), "udp")) as found:
        await found.access.close()
        await found.call().begin()
        await found.carrier.read("500")
        assert await found.ended() == "upstream/unreachable"
        # The socket is still read after the error.
        await found.carrier.send(found.call().write("OPTIONS"), found.target(found.carrier))
        await found.carrier.read("200")


async def test_ipv6_end_to_end() -> None:
    for from_, to in (("udp", "tcp"), ("tcp", "udp")):
        async with stage(
            Side("::1", from_), Side("::1", to), engine=Address("::1", free_port("::1"))
        ) as found:
            call = found.call()
            await call.connect()
            assert call.invite is not None
            assert call.invite.top_via.host == "::1"
            await call.hang_up()


def free_port(address: str) -> int:
    with socket.create_server((address, 0), family=socket.AF_INET6) as found:
        port: int = found.getsockname()[1]
        return port


async def test_an_emergency_call_passes_when_its_trunk_is_above_its_rate() -> None:
    """The whole of it, up to the end; another call of the same moment is not heard."""
    limits = LimitsSection(trunk_messages_per_s=0.05)
    async with stage(Side(host()), Side(host()), limits=limits) as found:
        subscriber, police = found.access, found.carrier
        target = found.target(subscriber)
        for side in (subscriber, police):
            await side.send(Call(side, side, target).write("OPTIONS"), target)
            await side.read("200")  # the one message that its rate allows
        ordinary = Call(subscriber, police, target, "+8613900000009")
        await ordinary.begin()
        urgent = Call(subscriber, police, target, "110")
        await urgent.connect()
        assert urgent.invite is not None and urgent.invite.to.uri.user == "110"
        await urgent.hang_up()
        assert await found.ended() == "caller/hung_up"
        counts = found.counts("flood")
        assert (counts["spared"], counts["dropped"]) == (5, 1)


# --- TLS ---


class Secured:
    """Certificates for a worker and two sides."""

    def __init__(self, folder: Path, *, verify: bool = True) -> None:
        self.ca = Authority(folder)
        self.engine, self.tls = Address(host(), 5060), Address(host(), 5061)
        mine = self.ca.issue(self.tls.host)
        self.section = TlsSection(
            listen=self.tls,
            certificate=mine.certificate,
            key=mine.key,
            ca=self.ca.file,
            verify_clients=verify,
        )

    def side(self, *names: str, authority: Authority | None = None, anonymous: bool = False) -> Side:
        """A peer with a certificate; an anonymous one shows it as a server only."""
        address = host()
        files = (authority or self.ca).issue(*(names or (address,)))
        server = (authority or self.ca).server(files)
        return Side(address, "tls", server=server, client=self.ca.client(None if anonymous else files))


async def test_a_call_by_tls_on_both_sides(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    async with stage(secured.side(), secured.side(), engine=secured.engine, tls=secured.section) as found:
        call = found.call()
        await call.connect()
        await call.hang_up()
        call = found.call()
        await call.connect()
        await call.be_hung_up()
        assert (found.carrier.opened, found.carrier.accepted, found.access.accepted) == (1, 0, 1)


async def test_without_a_clients_certificate_its_connection_is_not_used_for_requests(tmp_path: Path) -> None:
    """RFC 5923 §8: anybody at that address could have opened it."""
    secured = Secured(tmp_path, verify=False)
    caller = secured.side(anonymous=True)
    async with stage(caller, secured.side(), engine=secured.engine, tls=secured.section) as found:
        call = found.call()
        await call.connect()
        await call.be_hung_up()
        assert (caller.opened, caller.accepted) == (1, 1)


async def test_a_handshake_has_its_time(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    limits = LimitsSection(connect_s=0.2)
    async with stage(
        Side(host()), Side(host()), engine=secured.engine, tls=secured.section, limits=limits
    ) as found:
        reader, writer = await asyncio.open_connection(secured.tls.host, secured.tls.port)
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        await until(lambda: found.counts("tls").get("handshake_failed") == 1)
        assert found.counts("tls")["open"] == 0
        writer.close()


async def test_a_certificate_of_another_authority_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secured = Secured(tmp_path)
    other = Authority(tmp_path, "other")
    access = secured.side(authority=other)
    async with stage(Side(host()), access, engine=secured.engine, tls=secured.section) as found:
        with caplog.at_level(logging.WARNING):
            await found.call().begin()
            await found.carrier.read("500")
        assert f"tls to {access.next_hop} failed: certificate refused" in caplog.text


async def test_a_certificate_for_another_name_is_refused_unless_it_is_expected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secured = Secured(tmp_path)
    for name, status in (("", "500"), ("sbc.example", "200")):
        access = secured.side("sbc.example")
        async with stage(
            Side(host()),
            access,
            engine=secured.engine,
            tls=secured.section,
            access_extra={"tls_name": name},
        ) as found:
            if status == "200":
                await found.call().connect()
            else:
                await found.call().begin()
                await found.carrier.read(status)
                assert "certificate refused: IP address mismatch" in caplog.text


async def test_who_shows_no_certificate_is_refused_where_one_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secured = Secured(tmp_path)
    async with stage(Side(host()), Side(host()), engine=secured.engine, tls=secured.section) as found:
        reader, writer = await asyncio.open_connection(
            secured.tls.host,
            secured.tls.port,
            ssl=secured.ca.client(),
            server_hostname=secured.tls.host,
        )
        writer.write(b"\r\n\r\n")
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(2), PATIENCE_S)
        assert "tls from" in caplog.text
        assert "peer did not return a certificate" in caplog.text
        assert found.counts("tls")["handshake_failed"] == 1
        writer.close()
