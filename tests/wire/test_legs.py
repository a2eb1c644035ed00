"""PRACK, UPDATE, session timers, INFO and forks between raw sockets and a real worker."""

from __future__ import annotations

import pytest

from tests.call.peer import sdp
from tests.runtime.bench import reply
from tests.wire.exchange_kit import RELIABLE, UPDATES, Exchange, answered, asked

pytestmark = pytest.mark.wire

KEY = b"Signal=5\r\nDuration=160\r\n"


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
    assert exchange.bench.outcomes() == ["caller/cancelled"]
