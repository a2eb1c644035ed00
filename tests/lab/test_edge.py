"""Phones of other makes register at the edge; the edge is the engine's access trunk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.peers import packages, scenarios
from lab.peers.process import Peer
from lab.peers.pyvoip_phone import PyVoipPhone, Telephone
from lab.peers.ringward import Ringward, edge
from lab.peers.sipp import Line, Load, answering, place_calls
from tests.lab.kit import CLEAN, SUBSCRIBER, YELLOW_LABEL

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not packages.have("sipp"), reason=packages.reason("sipp")),
]

PASSWORD = "of-the-lab"


@pytest.fixture
async def at_edge(engine: Ringward, tmp_path: Path) -> AsyncIterator[Peer]:
    """The edge where the other tests have the access PBX."""
    site = engine.site
    async with edge(site.access, site.engine, {SUBSCRIBER: PASSWORD}, tmp_path) as running:
        yield running
        assert running.alive, running.error("ended during the test")
        assert not [line for line in running.lines if "Traceback" in line or PASSWORD in line]


def phone_line(engine: Ringward, tmp_path: Path) -> Line:
    return Line(f"{engine.site.prefix}.40.1", 5060, tmp_path / "phone")


async def test_sipp_registers_is_called_and_calls(engine: Ringward, at_edge: Peer, tmp_path: Path) -> None:
    site = engine.site
    phone, carrier = phone_line(engine, tmp_path), Line(site.carrier, 5060, tmp_path / "carrier")
    registrar = f"{site.access}:5060"
    registering = scenarios.registers(SUBSCRIBER, PASSWORD)
    registered = await place_calls(registering, phone, registrar, SUBSCRIBER, SUBSCRIBER)
    assert (registered.succeeded, registered.failed) == (1, 0), at_edge.error(f"{registered}")
    async with answering(scenarios.ANSWERS, phone) as callee:
        result = await place_calls(scenarios.CALL, carrier, engine.target, CLEAN, SUBSCRIBER)
        assert (result.succeeded, result.failed) == (1, 0), at_edge.error(f"caller: {result}")
        assert (await callee.finish()).failed == 0
    async with answering(scenarios.ANSWERS, carrier) as callee:
        result = await place_calls(scenarios.CALL, phone, registrar, SUBSCRIBER, CLEAN)
        assert (result.succeeded, result.failed) == (1, 0), at_edge.error(f"caller: {result}")
        assert (await callee.finish()).failed == 0
    first, second = await engine.calls(2)
    assert {first.outcome, second.outcome} == {"caller/hung_up"}
    assert (second.started.direction, second.started.calling.number) == ("outbound", f"+86{SUBSCRIBER}")


async def test_sipp_with_a_wrong_password_stays_outside(
    engine: Ringward, at_edge: Peer, tmp_path: Path
) -> None:
    phone = phone_line(engine, tmp_path)
    registering = scenarios.registers(SUBSCRIBER, "a-wrong-one")
    result = await place_calls(registering, phone, f"{engine.site.access}:5060", SUBSCRIBER, SUBSCRIBER)
    assert (result.succeeded, result.failed) == (0, 1)
    assert [message.start for message in result.received("SIP/2.0")] == ["SIP/2.0 401 Unauthorized"] * 2


async def test_a_pyvoip_telephone_registers_and_is_called(
    engine: Ringward, at_edge: Peer, pyvoip: Path, tmp_path: Path
) -> None:
    """It answers a challenge without qop, as RFC 2069 had it."""
    site = engine.site
    telephone = Telephone(f"{site.prefix}.40.2", site.access, SUBSCRIBER, talk_s=1.0, password=PASSWORD)
    phone = await PyVoipPhone.start(pyvoip, telephone, tmp_path / "pyvoip")
    try:
        line = Line(site.carrier, 5060, tmp_path / "carrier", codecs="0 8")
        call = (scenarios.HUNG_UP, line, engine.target, YELLOW_LABEL, SUBSCRIBER)
        result = await place_calls(*call, Load(deadline_s=30))
        assert (result.succeeded, result.failed) == (1, 0), at_edge.error(f"caller: {result}")
        assert str((await phone.event("incoming"))["name"]).startswith("Suspected fraud")
    finally:
        await phone.stop()
    (ended,) = await engine.calls(1)
    assert ended.outcome == "callee/hung_up"
