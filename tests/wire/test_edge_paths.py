"""Path and outbound at a real edge: by which way a registered phone is reached (RFC 3327, RFC 5626)."""

from __future__ import annotations

import pytest

from tests.wire.edge_kit import EdgeLab

pytestmark = pytest.mark.wire

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
PROXIES = ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]


async def test_the_path_of_a_registration_is_the_route_of_calls(lab: EdgeLab) -> None:
    phone = await lab.phone("udp")
    answer = await phone.register([("Supported", "path"), *(("Path", proxy) for proxy in PROXIES)])
    assert answer.rows("Path") == PROXIES
    lab.ring("INVITE", phone.user)
    came = await phone.hear("INVITE")
    assert came.rows("Route") == PROXIES
    await phone.answer(came, 486)
    await lab.comes("486")


async def test_the_second_flow_of_a_phone_is_taken_when_the_first_breaks(lab: EdgeLab) -> None:
    flows = [await lab.phone("tcp") for _ in range(2)]
    for number, phone in enumerate(flows, 1):
        phone.cseq = 10 * number
        phone.contact = f"{phone.contact};reg-id={number};{INSTANCE}"
        answer = await phone.register([("Supported", "path, outbound")])
        assert answer.rows("Require") == ["outbound"]
        assert len(answer.rows("Flow-Timer")) == 1
    assert len(answer.rows("Contact")) == 2
    lab.ring("INVITE", flows[0].user)
    first = flows[1]  # the latest registration comes first (RFC 5626 §5.3 leaves it to the proxy)
    await first.hear("INVITE")
    await first.line.close()
    second = await flows[0].hear("INVITE")
    await flows[0].answer(second, 486)
    await lab.comes("486")
