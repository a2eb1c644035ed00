"""Phones register at a real edge, by each transport; guessing, replaying and restarting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from engine.app.config import load_config
from engine.app.edge import listening
from engine.runtime.edge import EdgeTransports
from engine.sip.flow import Flow
from engine.sip.message import Response
from engine.sip.parse import parse
from tests.runtime.net import PATIENCE_S, host
from tests.wire.edge_kit import PORTS, Datagrams, EdgeLab, Stream, Web

pytestmark = pytest.mark.wire

TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[EdgeLab]:
    lab = EdgeLab(tmp_path)
    yield lab
    await lab.close()


def contacts(answer: Response) -> list[str]:
    return [value.partition(";expires")[0] for value in answer.rows("Contact")]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_registering_with_either_algorithm(lab: EdgeLab, transport: str) -> None:
    await lab.start()
    phone = await lab.phone(transport)
    request = phone.make("REGISTER", phone.user)
    for algorithm in ("SHA-256", "MD5"):
        asked = await phone.ask(request)
        assert asked.status == 401
        answer = await phone.ask(phone.with_credentials(request, asked, algorithm=algorithm))
        assert (answer.status, contacts(answer)) == (200, [phone.contact])
    assert answer.top_via.rport == phone.line.address[1]


async def test_wrong_replayed_and_reused_credentials(lab: EdgeLab) -> None:
    await lab.start()
    phone = await lab.phone("udp")
    request = phone.make("REGISTER", phone.user)
    asked = await phone.ask(request)
    wrong = await phone.ask(phone.with_credentials(request, asked, password="wrong"))
    assert (wrong.status, "stale" in wrong.rows("WWW-Authenticate")[0]) == (401, False)
    assert (await phone.ask(phone.with_credentials(request, asked))).status == 200
    reused = await phone.ask(phone.with_credentials(request, asked))
    assert (reused.status, "stale=true" in reused.rows("WWW-Authenticate")[0]) == (401, True)
    assert (await phone.ask(phone.with_credentials(request, asked, nonce_count=2))).status == 200


def shape(answer: Response) -> str:
    text = answer.to_bytes().decode()
    for varies in (r'nonce="[0-9a-f]{52}"', r"branch=[^;\r]+", r"tag=[0-9a-f]{16}", r"CSeq: [0-9]+"):
        text = re.sub(varies, "*", text)
    return text


async def test_a_stranger_cannot_tell_a_user_that_exists(lab: EdgeLab) -> None:
    await lab.start()
    phone = await lab.phone("udp")
    found = []
    for user in ("13900000003", "13900000009"):
        request = phone.make("REGISTER", user, user=user)
        asked = await phone.ask(request)
        wrong = await phone.ask(phone.with_credentials(request, asked, user=user, password="wrong"))
        found.append([shape(answer).replace(user, "USER") for answer in (asked, wrong)])
    assert found[0] == found[1]


async def test_guessing_is_not_listened_to_but_emergency_calls_are(lab: EdgeLab) -> None:
    await lab.start("edge.guesses=3")
    thief = await lab.phone("udp")
    for _ in range(3):
        request = thief.make("REGISTER", thief.user)
        await thief.ask(thief.with_credentials(request, await thief.ask(request), password="wrong"))
    await thief.send(thief.make("REGISTER", thief.user))
    await thief.send(thief.make("INVITE", "13900000003"))
    await thief.send(thief.make("INVITE", "+86110", call="sos"))
    invite = await lab.comes("INVITE")
    assert invite.uri.user == "+86110"
    lab.reply(invite, 200)
    assert (await thief.hear("200")).call_id == "sos"
    honest = await lab.phone("udp")
    await honest.register()
    assert isinstance(thief.line, Datagrams)
    assert [data for data in thief.line.unread() if b"CSeq: " in data and b" REGISTER" in data] == []


async def test_a_flood_drowns_no_call_for_help(lab: EdgeLab) -> None:
    await lab.start("limits.messages_per_s=5", "limits.ban_after=20")
    flooder = await lab.phone("udp")
    for _ in range(100):
        await flooder.send(flooder.make("MESSAGE", "13900000003"))
    await flooder.send(flooder.make("INVITE", "13900000003"))
    await flooder.send(flooder.make("INVITE", "119", call="sos"))
    assert (await lab.comes("INVITE")).uri.user == "119"
    answers: list[Any] = []
    while not answers or answers[-1].status != 100:
        answers.append(parse(await flooder.line.receive()))
    assert [answer.cseq.method for answer in answers].count("INVITE") == 1
    await (await lab.phone("udp")).register()


async def test_a_connection_that_ends_takes_its_binding_along(lab: EdgeLab) -> None:
    await lab.start()
    desk = await lab.phone("udp")
    await desk.register()
    for transport in ("tcp", "tls", "ws", "wss"):
        phone = await lab.phone(transport)
        phone.cseq = desk.cseq
        assert len(contacts(await phone.register())) == 2
        await phone.line.close()
        async with asyncio.timeout(PATIENCE_S):
            while len(contacts(await desk.register())) > 1:
                pass  # the closing is on its way


async def test_a_restart_keeps_phones_on_udp(lab: EdgeLab) -> None:
    await lab.start()
    desk, web = await lab.phone("udp"), await lab.phone("ws")
    await desk.register()
    await web.register()
    await lab.stop()
    await lab.start()
    lab.ring("MESSAGE", desk.user)
    await desk.answer(await desk.hear("MESSAGE"), 200)
    await lab.comes("200")
    assert contacts(await desk.register()) == [desk.contact]


# --- keep-alives and limits ---


async def test_keep_alives_are_answered(lab: EdgeLab) -> None:
    await lab.start()
    for transport in ("tcp", "tls"):
        line = await lab.line(transport)
        assert isinstance(line, Stream)
        await line.send(b"\r\n\r\n")
        assert await line.read() == b"\r\n"
    web = await lab.line("ws")
    assert isinstance(web, Web)
    await web.send(b"\r\n\r\n")
    assert await web.receive() == b"\r\n"
    async with asyncio.timeout(PATIENCE_S):
        await (await web.connection.ping())


async def handshake(lab: EdgeLab, *lines: str) -> bytes:
    line = Stream(*await asyncio.open_connection(lab.host, PORTS["ws"], local_addr=(host(), 0)))
    head = ["GET / HTTP/1.1", f"Host: {lab.host}", *lines, "", ""]
    await line.send("\r\n".join(head).encode())
    data = b""
    while part := await line.read():
        data += part
    await line.close()
    return data


async def test_only_sip_is_spoken_over_websocket(lab: EdgeLab) -> None:
    await lab.start()
    upgrade = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    assert (await handshake(lab)).startswith(b"HTTP/1.1 426 ")
    assert (await handshake(lab, *upgrade)).startswith(b"HTTP/1.1 400 ")
    assert (await handshake(lab, *upgrade, "Sec-WebSocket-Protocol: mqtt")).startswith(b"HTTP/1.1 400 ")
    await (await lab.phone("ws")).register()


async def test_what_is_too_long_or_no_message_ends_a_websocket(lab: EdgeLab) -> None:
    await lab.start()
    web = await lab.line("ws")
    assert isinstance(web, Web)
    await web.send(b"nonsense")
    await web.send(b"x" * 70_000)
    async with asyncio.timeout(PATIENCE_S):
        await web.connection.wait_closed()
    assert web.connection.close_code == 1009
    await (await lab.phone("ws")).register()


async def test_a_message_in_parts_and_bytes(lab: EdgeLab) -> None:
    await lab.start()
    phone = await lab.phone("ws")
    assert isinstance(phone.line, Web)
    data = phone.make("REGISTER", phone.user).to_bytes()
    await phone.line.connection.send([data[:50], data[50:200], data[200:]])
    assert (await phone.hear("401")).status == 401


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_one_source_has_so_many_connections(lab: EdgeLab, transport: str) -> None:
    await lab.start("limits.connections_per_source=2")
    source = host()
    first = [await lab.phone(transport, source=source) for _ in range(2)]
    with pytest.raises((OSError, EOFError, Exception)):
        third = await lab.phone(transport, source=source)
        await third.ask(third.make("OPTIONS", "x"))
    await first[0].register()
    await (await lab.phone(transport)).register()


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"R"])
@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_who_never_finishes_is_cut_off(lab: EdgeLab, transport: str, said: bytes) -> None:
    await lab.start("limits.message_s=0.2")
    line = Stream(*await asyncio.open_connection(lab.host, PORTS[transport], local_addr=(host(), 0)))
    await line.send(said)
    with pytest.raises(ConnectionError):
        if await line.read() == b"":
            raise ConnectionError("closed")
    await line.close()


async def test_pings_alone_keep_no_websocket(lab: EdgeLab) -> None:
    await lab.start("limits.message_s=0.2")
    web = await lab.line("ws")
    assert isinstance(web, Web)
    with pytest.raises(ConnectionClosed):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await web.connection.ping()
                await asyncio.sleep(0.05)


async def test_a_frame_that_trickles_in_ends_a_websocket(lab: EdgeLab) -> None:
    await lab.start("limits.message_s=0.2")
    phone = await lab.phone("ws")
    await phone.register()
    assert isinstance(phone.line, Web)
    wire = phone.line.connection.transport
    wire.write(b"\x81\xfe\x10\x00\0\0\0\0R")  # a text of 4096 bytes begins
    async with asyncio.timeout(PATIENCE_S):
        while not wire.is_closing():
            wire.write(b"E")
            await asyncio.sleep(0.05)


async def test_no_connection_is_opened_to_a_phone() -> None:
    config = load_config(None, [f"edge.listen={host()}:0"], {})
    transports = EdgeTransports(listening(config), lambda host: False, lambda data: False)
    for transport in ("tcp", "ws"):
        with pytest.raises(OSError, match="connection is gone"):
            transports.send(Flow(transport, ("127.0.0.1", 1), (host(), 5060)), b"INVITE", "branch")
    await transports.close()


async def test_what_it_does_is_counted(lab: EdgeLab) -> None:
    async def figures() -> dict[str, float]:
        reader, writer = await asyncio.open_connection(lab.host, 9100)
        writer.write(b"GET /metrics HTTP/1.0\r\nAuthorization: Bearer t\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            text = (await reader.read()).decode()
        writer.close()
        found = re.findall(r'^ringward_edge_\w+\{what="(\w+)"\} ([0-9.]+)', text, re.MULTILINE)
        return {what: float(count) for what, count in found}

    await lab.start(f"metrics.listen={lab.host}:9100", "metrics.token=t")
    await (await lab.phone("wss")).register()
    found = await figures()
    named = ("bindings", "connections", "nonces", "registered", "wss_accepted", "sources_banned")
    assert [found[name] for name in named] == [1, 1, 1, 1, 1, 0]
