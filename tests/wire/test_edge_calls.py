"""Calls through a real edge, between phones of each transport and an engine."""

from __future__ import annotations

import pytest

from engine.sip.message import Request, Response
from engine.sip.uri import NameAddr
from tests.runtime.net import Socket
from tests.wire.edge_kit import EdgeLab, Phone

pytestmark = pytest.mark.wire

TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"]
BOB = "13900000002"


async def registered(lab: EdgeLab, transport: str) -> Phone:
    phone = await lab.phone(transport)
    await phone.register()
    return phone


async def in_dialog(phone: Phone, method: str, mine: Request, answer: Response, target: str = "") -> None:
    """The phone's ACK or BYE after the 2xx to its INVITE."""
    contact = NameAddr.parse(target) if target else answer.contact
    assert contact is not None
    number = mine.cseq.number + (method != "ACK")
    rows = [
        phone.via(),
        ("Max-Forwards", "70"),
        *(("Route", str(route)) for route in reversed(answer.record_routes)),
        ("From", mine.rows("From")[0]),
        ("To", answer.rows("To")[0]),
        ("Call-ID", mine.call_id),
        ("CSeq", f"{number} {method}"),
    ]
    await phone.send(Request(method, contact.uri, rows))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_to_a_phone(lab: EdgeLab, transport: str) -> None:
    phone = await registered(lab, transport)
    invite = lab.ring("INVITE", f"+86{BOB}")
    came = await phone.hear("INVITE")
    assert f"<{came.uri}>" == phone.contact
    await phone.answer(came, 180)
    await lab.comes("180")
    await phone.answer(came, 200)
    answer = await lab.comes("200")
    lab.follow("ACK", invite, answer)
    await phone.hear("ACK")
    lab.follow("BYE", invite, answer)
    await phone.answer(await phone.hear("BYE"), 200)
    assert (await lab.comes("200")).cseq.method == "BYE"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_from_a_phone(lab: EdgeLab, transport: str) -> None:
    phone = await registered(lab, transport)
    invite = phone.make("INVITE", "13800000001")
    if transport == "udp":
        invite = phone.with_credentials(invite, await phone.ask(invite))
    await phone.send(invite)
    came = await lab.comes("INVITE")
    assert came.rows("P-Asserted-Identity") == [f"<sip:+86{BOB}@{lab.host}>"]
    lab.reply(came, 180)
    await phone.hear("180")
    answer = lab.reply(came, 200)
    heard = await phone.hear("200")
    await in_dialog(phone, "ACK", invite, heard)
    await lab.comes("ACK")
    await in_dialog(phone, "BYE", invite, heard)
    bye = await lab.comes("BYE")
    assert bye.to.tag == answer.to.tag
    lab.reply(bye, 200)
    assert (await phone.hear("200")).cseq.method == "BYE"


async def test_a_phone_s_request_goes_to_no_other_port_of_the_engine_s_host(lab: EdgeLab) -> None:
    other = Socket(lab.engine.address[0], 5070)
    phone = await registered(lab, "tcp")
    invite = phone.make("INVITE", "13800000001")
    await phone.send(invite)
    lab.reply(await lab.comes("INVITE"), 200)
    heard = await phone.hear("200")
    for method in ("ACK", "BYE"):
        await in_dialog(phone, method, invite, heard, f"<sip:{other.address[0]}:{other.address[1]}>")
        assert (await lab.comes(method)).uri.port == 5070
    assert other.unread() == []
    other.close()


async def test_two_phones_ring_and_one_gets_the_call(lab: EdgeLab) -> None:
    desk, web = await registered(lab, "udp"), await lab.phone("ws")
    web.cseq = desk.cseq
    await web.register()
    invite = lab.ring("INVITE", BOB)
    mine, theirs = await desk.hear("INVITE"), await web.hear("INVITE")
    await desk.answer(mine, 180)
    await web.answer(theirs, 180)
    assert len({(await lab.comes("180")).to.tag for _ in range(2)}) == 2
    await web.answer(theirs, 200)
    answer = await lab.comes("200")
    cancel = await desk.hear("CANCEL")
    assert cancel.top_via.branch == mine.top_via.branch
    await desk.answer(cancel, 200)
    await desk.answer(mine, 487)
    await desk.hear("ACK")
    lab.follow("ACK", invite, answer)
    assert (await web.hear("ACK")).to.tag == answer.to.tag


async def test_a_phone_that_hangs_up_its_connection_while_it_rings(lab: EdgeLab) -> None:
    phone = await registered(lab, "ws")
    lab.ring("INVITE", BOB)
    await phone.answer(await phone.hear("INVITE"), 180)
    await lab.comes("180")
    await phone.line.close()
    assert (await lab.comes("480")).cseq.method == "INVITE"


async def test_a_stranger_calls_for_help_over_a_new_connection(lab: EdgeLab) -> None:
    stranger = await lab.phone("wss", "nobody")
    invite = stranger.make("INVITE", "110")
    await stranger.send(invite)
    lab.reply(await lab.comes("INVITE"), 200)
    await in_dialog(stranger, "ACK", invite, await stranger.hear("200"))
    await lab.comes("ACK")
    assert (await stranger.ask(stranger.make("INVITE", "13800000001", call="other"))).status == 407


async def test_a_dialog_survives_a_restart(lab: EdgeLab) -> None:
    phone = await registered(lab, "udp")
    invite = lab.ring("INVITE", BOB)
    await phone.answer(await phone.hear("INVITE"), 200)
    answer = await lab.comes("200")
    lab.follow("ACK", invite, answer)
    await phone.hear("ACK")
    await lab.stop()
    await lab.start()
    lab.follow("BYE", invite, answer)
    await phone.answer(await phone.hear("BYE"), 200)
    await lab.comes("200")
