"""The real program with all its transports: configured, said at the start, spoken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lab.peers.process import PeerError
from lab.peers.ringward import Site, ringward
from tests.runtime.net import PATIENCE_S, host
from tests.wire.transport_kit import Authority, Call, Side

pytestmark = pytest.mark.wire


def settings(engine: str, carrier: Side, access: Side) -> dict[str, str]:
    return {
        "sip.listen": f"{engine}:5060",
        "trunk.carrier.match": carrier.host,
        "trunk.carrier.next_hop": str(carrier.next_hop),
        "trunk.carrier.transport": carrier.transport,
        "trunk.access.match": access.host,
        "trunk.access.next_hop": str(access.next_hop),
        "trunk.access.transport": access.transport,
        "screening.table": "",
        "media.ports": "39000-39999",
    }


async def test_a_call_from_tcp_to_tls(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    engine, phones = host(), host()
    mine, theirs = ca.issue(engine), ca.issue(phones)
    carrier = await Side(host(), "tcp").open()
    secured = Side(phones, "tls", server=ca.server(theirs, verify=True), client=ca.client(theirs))
    access = await secured.open()
    chosen = settings(engine, carrier, access) | {
        "sip.tls.listen": f"{engine}:5061",
        "sip.tls.certificate": str(mine.certificate),
        "sip.tls.key": str(mine.key),
        "sip.tls.ca": str(ca.file),
        "sip.tls.verify_clients": "true",
    }
    async with ringward(Site("127.0"), tmp_path, chosen) as running:
        assert "(udp, tcp, tls)" in running.peer.log.read_text()
        call = Call(carrier, access, (engine, 5060))
        await asyncio.wait_for(call.connect(), PATIENCE_S)
        await asyncio.wait_for(call.hang_up(), PATIENCE_S)
        assert [ended.outcome for ended in await running.calls(1)] == ["caller/hung_up"]
        assert (carrier.accepted, access.accepted) == (0, 1)
    await carrier.close()
    await access.close()


async def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    carrier, access = await Side(host()).open(), await Side(host()).open()
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    chosen = settings(host(), carrier, access) | {
        "sip.tls.listen": f"{host()}:5061",
        "sip.tls.certificate": str(broken),
        "sip.tls.key": str(broken),
    }
    with pytest.raises(PeerError, match=r"sip\.tls: .*broken\.pem"):
        async with ringward(Site("127.0"), tmp_path, chosen):
            pass
    for each in (carrier, access):
        await each.close()
