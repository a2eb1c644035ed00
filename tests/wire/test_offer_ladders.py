"""Late offers, hold, glare of re-INVITEs, forks and session timers between raw sockets and a real worker."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from engine.model.address import Address
from engine.model.config import SipSection
from engine.runtime import worker
from tests.call.peer import sdp
from tests.runtime.bench import Bench, reply
from tests.runtime.net import host
from tests.wire.exchange_kit import RELIABLE, UPDATES, Exchange, answered, asked

pytestmark = pytest.mark.wire


class Clock:
    """The worker's clock, which a test may put forward."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bench, self._ahead_s = bench, 0.0
        monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=self._now, time=time.time))

    def _now(self) -> float:
        return time.monotonic() + self._ahead_s

    async def advance(self, seconds: float) -> None:
        self._ahead_s += seconds
        await self._bench.alive()  # what comes in is when a worker looks at its timers


@pytest.fixture
def clock(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(bench, monkeypatch)


def description(exchange: Exchange, who: str, port: int, way: str = "") -> bytes:
    socket = exchange.carrier if who == "carrier" else exchange.phone
    return sdp(socket.address[0], port, version=2, way=way)


# --- offers ---


async def test_a_call_that_begins_with_a_late_offer(exchange: Exchange) -> None:
    exchange.caller("INVITE", 1)
    invite = await asked(exchange.phone, "INVITE")
    assert invite.body == b""
    exchange.callee(invite, 200, body=exchange.answer)
    ok = await answered(exchange.carrier, 200)
    assert b"m=audio 50000" in ok.body
    exchange.caller("ACK", 1, ok, body=exchange.offer)
    assert b"m=audio 40000" in (await asked(exchange.phone, "ACK")).body
    await exchange.finish(ok, 2)


async def test_a_late_offer_in_a_call(exchange: Exchange) -> None:
    invite, ok = await exchange.connect()
    exchange.from_callee(invite, "INVITE", 1)
    again = await asked(exchange.carrier, "INVITE")
    assert again.body == b""
    answer = reply(again, 200, exchange.carrier, description(exchange, "carrier", 40002))
    exchange.carrier.send(answer, exchange.bench.target)
    assert b"m=audio 40002" in (await answered(exchange.phone, 200)).body
    exchange.from_callee(invite, "ACK", 1, body=description(exchange, "phone", 50002))
    assert b"m=audio 50002" in (await asked(exchange.carrier, "ACK")).body
    await exchange.finish(ok, 2)


async def test_hold_and_resume_by_either_side(exchange: Exchange) -> None:
    invite, ok = await exchange.connect()
    for cseq, (way, back) in enumerate([("sendonly", "recvonly"), ("sendrecv", "sendrecv")], 2):
        exchange.caller("INVITE", cseq, ok, body=description(exchange, "carrier", 40000, way))
        again = await asked(exchange.phone, "INVITE")
        assert f"a={way}".encode() in again.body
        exchange.callee(again, 200, body=description(exchange, "phone", 50000, back))
        assert f"a={back}".encode() in (await answered(exchange.carrier, 200)).body
        exchange.caller("ACK", cseq, ok)
        await asked(exchange.phone, "ACK")
    for cseq, (way, back) in enumerate([("inactive", "inactive"), ("sendrecv", "sendrecv")], 1):
        exchange.from_callee(invite, "INVITE", cseq, body=description(exchange, "phone", 50000, way))
        again = await asked(exchange.carrier, "INVITE")
        assert f"a={way}".encode() in again.body
        body = description(exchange, "carrier", 40000, back)
        exchange.carrier.send(reply(again, 200, exchange.carrier, body), exchange.bench.target)
        assert f"a={back}".encode() in (await answered(exchange.phone, 200)).body
        exchange.from_callee(invite, "ACK", cseq)
        await asked(exchange.carrier, "ACK")
    await exchange.finish(ok, 4)


async def test_re_invites_that_meet(exchange: Exchange) -> None:
    """Glare (RFC 3261 §14.1): whoever's offer meets ours gets 491, and ours goes on."""
    invite, ok = await exchange.connect()
    exchange.caller("INVITE", 2, ok, body=description(exchange, "carrier", 40002))
    ours = await asked(exchange.phone, "INVITE")
    exchange.from_callee(invite, "INVITE", 1, body=description(exchange, "phone", 50002))
    await answered(exchange.phone, 491)
    exchange.from_callee(invite, "ACK", 1)
    exchange.callee(ours, 491)  # so says the phone too; both try again when they like
    await asked(exchange.phone, "ACK")
    await answered(exchange.carrier, 491)
    exchange.caller("ACK", 2, ok)
    exchange.from_callee(invite, "INVITE", 2, body=description(exchange, "phone", 50004))
    again = await asked(exchange.carrier, "INVITE")
    body = description(exchange, "carrier", 40004)
    exchange.carrier.send(reply(again, 200, exchange.carrier, body), exchange.bench.target)
    assert b"m=audio 40004" in (await answered(exchange.phone, 200)).body
    exchange.from_callee(invite, "ACK", 2)
    await exchange.finish(ok, 3)


# --- forks ---


async def test_early_dialogs_of_a_fork(exchange: Exchange) -> None:
    """Two phones ring, each in a dialog of its own; the one that answers is the call."""
    exchange.caller("INVITE", 1, None, RELIABLE, UPDATES, body=exchange.offer)
    invite = await asked(exchange.phone, "INVITE")
    for tag, rseq in (("one", "1"), ("two", "8")):
        ringing = reply(invite, 180, exchange.phone).replace(b";tag=phone", f";tag={tag}".encode())
        reliable = f"\r\nRequire: 100rel\r\nRSeq: {rseq}\r\nContact".encode()
        exchange.phone.send(ringing.replace(b"\r\nContact", reliable), exchange.bench.target)
        prack = await asked(exchange.phone, "PRACK")
        assert (prack.to.tag, prack.get("RAck")) == (tag, f"{rseq} 1 INVITE")
        exchange.phone.send(reply(prack, 200, exchange.phone), exchange.bench.target)
    ok = reply(invite, 200, exchange.phone, exchange.answer).replace(b";tag=phone", b";tag=two")
    exchange.phone.send(ok, exchange.bench.target)
    taken = await answered(exchange.carrier, 200)
    exchange.caller("ACK", 1, taken)
    ack = await asked(exchange.phone, "ACK")
    assert (ack.to.tag, ack.cseq.number) == ("two", 1)
    await exchange.finish(taken, 2)


# --- session timers and vanished peers, by the clock ---


async def test_we_refresh_both_sides(exchange: Exchange, clock: Clock) -> None:
    """UPDATE where the peer takes it, else the same description in a re-INVITE; each leg for itself."""
    timer = ("Supported: timer", "Session-Expires: 90;refresher=uas", UPDATES)
    invite, ok = await exchange.connect(*timer, callee=("Session-Expires: 90;refresher=uac",))
    assert ok.get("Session-Expires") == "90;refresher=uas"
    for _ in range(2):
        await clock.advance(46)
        update = await asked(exchange.carrier, "UPDATE")
        assert (update.get("Session-Expires"), update.body) == ("90;refresher=uac", b"")
        extra = b"\r\nSession-Expires: 90;refresher=uac\r\nContact"
        answer = reply(update, 200, exchange.carrier).replace(b"\r\nContact", extra)
        exchange.carrier.send(answer, exchange.bench.target)
        again = await asked(exchange.phone, "INVITE")
        assert (again.get("Session-Expires"), again.body) == ("90;refresher=uac", invite.body)
        exchange.callee(again, 200, "Session-Expires: 90;refresher=uac", body=exchange.answer)
        await asked(exchange.phone, "ACK")
    assert exchange.bench.outcomes() == []
    await exchange.finish(ok, 2)


@pytest.mark.parametrize("who", ["carrier", "phone"])
async def test_who_should_refresh_and_does_not_is_hung_up(exchange: Exchange, clock: Clock, who: str) -> None:
    asks = ("Supported: timer", "Session-Expires: 90;refresher=uac") if who == "carrier" else ()
    says = ("Session-Expires: 90;refresher=uas",) if who == "phone" else ()
    await exchange.connect(*asks, callee=says)
    await clock.advance(58)
    assert exchange.bench.outcomes() == []
    await clock.advance(3)  # 90 s less a third
    for socket in (exchange.carrier, exchange.phone):
        bye = await asked(socket, "BYE")
        assert bye.get("Reason") == 'SIP;cause=408;text="Session expired"'
        socket.send(reply(bye, 200, socket), exchange.bench.target)
    assert exchange.bench.outcomes() == ["upstream/timeout"]


async def test_a_phone_that_vanishes_is_noticed(exchange: Exchange, clock: Clock) -> None:
    """It took no timer: we refresh at half time, and a request has 64*T1."""
    bench = exchange.bench
    await exchange.connect("Supported: timer", "Session-Expires: 86400;refresher=uac")
    await clock.advance(bench.config.sip.session_expires_s / 2 + 1)
    await asked(exchange.phone, "INVITE")
    await clock.advance(33)
    bye = await asked(exchange.carrier, "BYE")
    assert (bye.get("Reason") or "").startswith("SIP;cause=408")
    exchange.carrier.send(reply(bye, 200, exchange.carrier), bench.target)
    assert bench.outcomes() == ["upstream/timeout"]


@pytest.mark.parametrize("gone", ["carrier", "phone"])
async def test_without_timers_a_side_that_vanishes_is_noticed_too(
    monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """Nothing watches such a leg: it is asked by OPTIONS, and whoever is left hears why."""
    engine = Address(host(), 5060)
    bench = Bench(engine, sip=SipSection(listen=engine, session_expires_s=0))
    exchange, clock = Exchange(bench), Clock(bench, monkeypatch)
    await exchange.connect()
    sides = {"carrier": exchange.carrier, "phone": exchange.phone}
    left = sides["phone" if gone == "carrier" else "carrier"]
    await clock.advance(bench.config.sip.audit_s + 1)
    await asked(sides[gone], "OPTIONS")
    left.send(reply(await asked(left, "OPTIONS"), 200, left), bench.target)
    await clock.advance(33)
    left.send(reply(await asked(left, "BYE"), 200, left), bench.target)
    assert bench.outcomes() == ["upstream/timeout"]
    await bench.close()
