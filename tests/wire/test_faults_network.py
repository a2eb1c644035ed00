"""A next hop that the kernel will not send to: the call ends with an outcome that says so, others go on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from engine.model.address import Address
from engine.model.events import Alarm, CallEnded
from engine.sip.message import Response
from engine.sip.parse import parse
from tests.call.peer import sdp
from tests.runtime.bench import Bench
from tests.runtime.net import Socket

pytestmark = pytest.mark.wire

NOWHERE = Address("203.0.113.1", 5060)
"""From a socket on loopback there is no way to it (RFC 5737)."""


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    known = Bench()
    trunks = dict(known.config.trunk)
    await known.close()
    trunks["access"] = structs.replace(trunks["access"], next_hop=NOWHERE)
    bench = Bench(trunk=trunks)
    bench.carrier.close()
    bench.carrier = Socket(known.carrier.address[0])  # the host that the trunk knows
    yield bench
    await bench.close()


async def refused(carrier: Socket) -> int:
    """The status of the next final response."""
    while True:
        message = parse(await carrier.receive())
        if isinstance(message, Response) and message.status >= 200:
            return message.status


async def test_a_hop_that_cannot_be_sent_to(bench: Bench) -> None:
    for count in range(3):
        address = bench.carrier.address[0]
        bench.carrier.send(bench.request("INVITE", body=sdp(address), branch=f"b{count}"), bench.target)
        assert await refused(bench.carrier) >= 500
    outcomes = [str(event.outcome) for event in bench.journal.events if isinstance(event, CallEnded)]
    assert outcomes == ["upstream/unreachable"] * 3
    alarms = [event.slug for event in bench.journal.events if isinstance(event, Alarm)]
    assert alarms == ["trunk_down"]
