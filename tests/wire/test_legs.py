"""PRACK, UPDATE, session timers, INFO and forks between raw sockets and a real worker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.model.events import CallEnded
from engine.sip.message import Request, Response
from tests.call.peer import sdp
from tests.runtime.bench import Bench, read, reply
from tests.runtime.net import Socket

pytestmark = pytest.mark.wire

UPDATES = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK"
KEY = b"Signal=5\r\nDuration=160\r\n"
RELIABLE = "Supported: 100rel, timer"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.close()


async def asked(socket: Socket, method: str) -> Request:
    message = await read(socket, method)
    assert isinstance(message, Request)
    return message


async def answered(socket: Socket, status: int, method: str = "INVITE") -> Response:
    while True:
        message = await read(socket, str(status))
        assert isinstance(message, Response)
        if message.cseq.method == method:
            return message


def with_headers(data: bytes, *headers: str) -> bytes:
    """A message with more headers behind its start line."""
    start, _, rest = data.partition(b"\r\n")
    return b"\r\n".join([start, *(header.encode() for header in headers), rest])


class Exchange:
    """One call of the carrier's to the phone, written by hand on both sides."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.carrier, self.phone = bench.carrier, bench.phone
        self.offer, self.answer = sdp(self.carrier.address[0]), sdp(self.phone.address[0], 50000)
        self._count = 0

    def caller(
        self, method: str, cseq: int, answer: Response | None = None, *extra: str, body: bytes = b""
    ) -> None:
        """A request of the carrier's; with an `answer` inside the dialog, early or not, which that made."""
        self._count += 1
        branch = "1" if answer is None else f"{method}-{self._count}"
        data = self.bench.request(
            method, "13900000002", body, *extra, branch=branch, cseq=cseq, answer=answer
        )
        self.carrier.send(data, self.bench.target)

    def callee(self, request: Request, status: int, *extra: str, body: bytes = b"") -> None:
        """The phone's answer."""
        self.phone.send(with_headers(reply(request, status, self.phone, body), *extra), self.bench.target)

    def from_callee(self, invite: Request, method: str, cseq: int, *extra: str, body: bytes = b"") -> None:
        """A request of the phone's inside the dialog that its 200 to `invite` made."""
        self._count += 1
        address = self.phone.address
        kind = ["Content-Type: application/sdp"] if body else []
        lines = [
            f"{method} sip:{self.bench.engine} SIP/2.0",
            f"Via: SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK-phone-{self._count}",
            f"From: {invite.rows('To')[0]};tag=phone",
            f"To: {invite.rows('From')[0]}",
            f"Call-ID: {invite.call_id}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:phone@{address[0]}:{address[1]}>",
            *extra,
            *kind,
            f"Content-Length: {len(body)}",
        ]
        self.phone.send("\r\n".join([*lines, "", ""]).encode() + body, self.bench.target)

    async def connect(self, *extra: str, callee: tuple[str, ...] = ()) -> tuple[Request, Response]:
        """Answered and acknowledged: the INVITE that the phone saw, and the 200 that the carrier got."""
        self.caller("INVITE", 1, None, *extra, body=self.offer)
        invite = await asked(self.phone, "INVITE")
        self.callee(invite, 200, *callee, body=self.answer)
        ok = await answered(self.carrier, 200)
        self.caller("ACK", 1, ok)
        await asked(self.phone, "ACK")
        return invite, ok

    async def finish(self, ok: Response, cseq: int) -> None:
        """The carrier hangs up, and nothing stays."""
        self.caller("BYE", cseq, ok)
        self.callee(await asked(self.phone, "BYE"), 200)
        await answered(self.carrier, 200, "BYE")
        await self.bench.alive()
        assert self.bench.worker.calls == 0
        assert self.bench.worker.counts()["dialogs"] == 0


@pytest.fixture
def exchange(bench: Bench) -> Exchange:
    return Exchange(bench)


async def test_reliable_ringing_on_both_sides(exchange: Exchange) -> None:
    exchange.caller("INVITE", 1, None, RELIABLE, UPDATES, body=exchange.offer)
    invite = await asked(exchange.phone, "INVITE")
    assert "100rel" in invite.get_all("Supported")
    exchange.callee(invite, 183, "Require: 100rel", "RSeq: 9", UPDATES, body=exchange.answer)
    prack = await asked(exchange.phone, "PRACK")
    assert (prack.get("RAck"), prack.cseq.number) == ("9 1 INVITE", 2)
    exchange.callee(prack, 200)
    progress = await answered(exchange.carrier, 183)
    again = await answered(exchange.carrier, 183)  # T1 later, since nobody has acknowledged it
    assert again.get("RSeq") == progress.get("RSeq") is not None
    exchange.callee(invite, 200)
    exchange.caller("PRACK", 2, progress, f"RAck: {progress.get('RSeq')} 1 INVITE")
    await answered(exchange.carrier, 200, "PRACK")
    ok = await answered(exchange.carrier, 200)
    assert ok.body == b""  # the answer was in the 183
    exchange.caller("ACK", 1, ok)
    await exchange.finish(ok, 3)


async def test_update_before_and_after_the_answer(exchange: Exchange) -> None:
    invite, ok = await exchange.connect(UPDATES, callee=(UPDATES,))
    exchange.from_callee(invite, "UPDATE", 1)
    await answered(exchange.phone, 200, "UPDATE")
    exchange.caller("UPDATE", 2, ok, body=sdp(exchange.carrier.address[0], 40002, version=2))
    update = await asked(exchange.phone, "UPDATE")
    assert b"m=audio 40002" in update.body
    exchange.caller("UPDATE", 3, ok, body=exchange.offer)  # before the answer to the first
    refused = await answered(exchange.carrier, 500, "UPDATE")
    assert refused.get("Retry-After") is not None
    exchange.from_callee(invite, "UPDATE", 2, body=exchange.answer)  # it meets ours
    await answered(exchange.phone, 491, "UPDATE")
    exchange.callee(update, 200, body=exchange.answer)
    taken = await answered(exchange.carrier, 200, "UPDATE")
    assert b"m=audio 50000" in taken.body
    await exchange.finish(ok, 4)


async def test_session_timers_are_agreed_on_each_side(exchange: Exchange) -> None:
    timer = ("Supported: timer", "Session-Expires: 600;refresher=uac")
    invite, ok = await exchange.connect(*timer, callee=("Session-Expires: 300;refresher=uas",))
    assert ok.get("Session-Expires") == "600;refresher=uac"
    assert ok.get("Require") == "timer"
    assert invite.get("Session-Expires") == "1800"
    exchange.caller("UPDATE", 2, ok, *timer)
    refreshed = await answered(exchange.carrier, 200, "UPDATE")
    assert refreshed.get("Session-Expires") == "600;refresher=uac"
    exchange.from_callee(
        invite, "INVITE", 1, "Supported: timer", "Session-Expires: 300;refresher=uac", body=exchange.answer
    )
    again = await answered(exchange.phone, 200)
    assert again.body == invite.body  # answered by the leg alone, unchanged
    exchange.from_callee(invite, "ACK", 1)
    await exchange.finish(ok, 3)


async def test_a_session_too_short(exchange: Exchange) -> None:
    exchange.caller("INVITE", 1, None, "Supported: timer", "Session-Expires: 60", body=exchange.offer)
    assert (await answered(exchange.carrier, 422)).get("Min-SE") == "90"


async def test_a_longer_session_is_asked_for(exchange: Exchange) -> None:
    exchange.caller("INVITE", 1, None, body=exchange.offer)
    invite = await asked(exchange.phone, "INVITE")
    exchange.callee(invite, 422, "Min-SE: 3600")
    await asked(exchange.phone, "ACK")
    again = await asked(exchange.phone, "INVITE")
    assert (again.get("Session-Expires"), again.get("Min-SE")) == ("3600", "3600")
    exchange.callee(again, 486)
    await answered(exchange.carrier, 486)


async def test_a_key_passes(exchange: Exchange) -> None:
    _, ok = await exchange.connect()
    key = exchange.bench.request("INFO", "1", KEY, branch="info", cseq=2, answer=ok)
    key = key.replace(b"application/sdp", b"application/dtmf-relay")
    exchange.carrier.send(key, exchange.bench.target)
    await answered(exchange.carrier, 200, "INFO")
    passed = await asked(exchange.phone, "INFO")
    assert passed.body == KEY
    exchange.callee(passed, 200)
    exchange.caller("INFO", 3, ok, "Info-Package: unknown")
    await answered(exchange.carrier, 469, "INFO")
    await exchange.finish(ok, 4)


async def test_two_callees_answer(exchange: Exchange) -> None:
    exchange.caller("INVITE", 1, None, body=exchange.offer)
    invite = await asked(exchange.phone, "INVITE")
    first = reply(invite, 200, exchange.phone, exchange.answer)
    exchange.phone.send(first, exchange.bench.target)
    exchange.phone.send(first.replace(b";tag=phone", b";tag=other"), exchange.bench.target)
    ok = await answered(exchange.carrier, 200)
    exchange.caller("ACK", 1, ok)
    bye = await asked(exchange.phone, "BYE")
    assert bye.to.tag == "other"
    exchange.callee(bye, 200)
    await exchange.finish(ok, 2)


async def test_bye_before_the_answer(exchange: Exchange) -> None:
    exchange.caller("INVITE", 1, None, body=exchange.offer)
    invite = await asked(exchange.phone, "INVITE")
    exchange.callee(invite, 180)
    ringing = await answered(exchange.carrier, 180)
    exchange.caller("BYE", 2, ringing, 'Reason: SIP;cause=200;text="elsewhere"')
    await answered(exchange.carrier, 200, "BYE")
    await answered(exchange.carrier, 487)
    cancel = await asked(exchange.phone, "CANCEL")
    assert cancel.get("Reason") == 'SIP;cause=200;text="elsewhere"'
    exchange.callee(cancel, 200)
    exchange.callee(invite, 487)
    await asked(exchange.phone, "ACK")
    (ended,) = [event for event in exchange.bench.journal.events if isinstance(event, CallEnded)]
    assert str(ended.outcome) == "caller/cancelled"
