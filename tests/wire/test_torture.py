"""The messages of RFC 4475 and RFC 5118 on real sockets: after each group the engine still works."""

from __future__ import annotations

import asyncio
import logging

import pytest

from engine.sip.message import Request
from tests.call.peer import sdp
from tests.runtime.net import PATIENCE_S, Socket, host
from tests.sip.test_torture import CALL, DROPPED, TABLE
from tests.sip.torture_messages import Torture, read_all
from tests.wire.test_transport_calls import Stage, stage, until
from tests.wire.transport_kit import Side

pytestmark = pytest.mark.wire

CLOSED_WITH_400 = {
    "ncl": "the framing error is not recoverable, the connection should be closed (§3.1.2.3)",
    "mcl01": "the same (§3.3.9)",
    "inv2543": "a stream needs a Content-Length (RFC 3261 §20.14)",
}
WAITS = {
    "clerr": "not much one could do but wait for more data (§3.1.2.2)",
    "ipv6-in-sdp": "its Content-Length is too large, too",
}


def groups() -> dict[str, list[Torture]]:
    """By section: `4475 §3.1.1`, …"""
    found: dict[str, list[Torture]] = {}
    for message in read_all():
        section = ".".join(message.section.split(".")[: 3 if message.section.startswith("3.1") else 2])
        found.setdefault(f"{message.rfc} §{section if message.rfc == 4475 else 4}", []).append(message)
    return found


async def by_tcp(found: Stage, message: Torture) -> bytes:
    """All that the engine says on a connection of the message's own."""

    def kept() -> int:
        return found.bench.worker.counts()["server"]

    before = kept()
    reader, writer = await asyncio.open_connection(
        *found.target(found.carrier), local_addr=(found.carrier.host, 0)
    )
    writer.write(message.data)
    waits = message.name in WAITS or TABLE[message.name].engine == DROPPED
    if waits or message.name in CLOSED_WITH_400:
        writer.write_eof() if waits else None
        heard = await asyncio.wait_for(reader.read(), PATIENCE_S)
    else:
        heard = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
    writer.close()
    if b"INVITE sip:" not in message.data:  # the next may have the same branch: no repetition of this one
        await until(lambda: kept() <= before)
    return heard


async def still_works(found: Stage) -> None:
    """An OPTIONS is answered, and a call goes through from end to end."""
    call = found.call()
    await found.carrier.send(call.write("OPTIONS"), call.target)
    await found.carrier.read("200")
    call = found.call()
    await call.begin()
    while True:  # behind those of the messages that are calls, which nobody answers
        invite = await found.access.request("INVITE")
        if (invite.uri.user or "").endswith(call.number):
            break
    found.access.answer(invite, 200, found.target(found.access), sdp(found.access.host))
    call.take(await found.carrier.read("200"))
    await found.carrier.send(call.write("ACK"), call.target)
    await found.access.read("ACK")
    await found.carrier.send(call.write("BYE"), call.target)
    bye = await found.access.read("BYE")
    assert isinstance(bye, Request)
    found.access.answer(bye, 200, found.target(found.access))
    await found.carrier.read("200")


def nothing_broke(caplog: pytest.LogCaptureFixture) -> None:
    assert [
        record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR
    ] == []


async def test_by_udp(caplog: pytest.LogCaptureFixture) -> None:
    async with stage(Side(host(), "udp"), Side(host(), "udp")) as found:
        hostile = Socket(found.carrier.host)
        for messages in groups().values():
            for message in messages:
                hostile.send(message.data, found.target(found.carrier))
            await still_works(found)
        hostile.close()
    nothing_broke(caplog)


async def test_by_tcp(caplog: pytest.LogCaptureFixture) -> None:
    async with stage(Side(host(), "tcp"), Side(host(), "udp")) as found:
        for group, messages in groups().items():
            for message in messages:
                heard = await by_tcp(found, message)
                expected = TABLE[message.name].engine
                if message.name in CLOSED_WITH_400:
                    assert heard.startswith(b"SIP/2.0 400 "), (group, message.name)
                elif message.name in WAITS or expected == DROPPED:
                    assert heard == b"", (group, message.name)
                else:
                    status = b"100" if expected == CALL else str(expected).encode()
                    assert heard.startswith(b"SIP/2.0 " + status), (group, message.name, heard[:40])
            await still_works(found)
    nothing_broke(caplog)


def test_every_message_is_in_a_group() -> None:
    assert [len(messages) for messages in groups().values()] == [13, 19, 1, 15, 1, 12]
