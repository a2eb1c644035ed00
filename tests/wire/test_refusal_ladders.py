"""Requests that are refused, blocks that are announced, and answers that find their way, on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from engine.model.media import CloseSession, DtmfReceived, Play, PlaybackFinished
from engine.model.screening import Action, Level
from engine.sip.message import Request, Response
from engine.sip.parse import parse
from tests.call.peer import sdp
from tests.runtime.bench import Bench, reply
from tests.runtime.net import PATIENCE_S, Socket
from tests.screening.kit import entry
from tests.wire.exchange_kit import Exchange, answered, asked

pytestmark = pytest.mark.wire

CALLER = "+8613800000001"


# --- requests that are refused ---


async def test_no_hops_left(bench: Bench) -> None:
    data = bench.request("INVITE", body=sdp(bench.carrier.address[0]))
    bench.carrier.send(data.replace(b"Max-Forwards: 70", b"Max-Forwards: 0"), bench.target)
    await answered(bench.carrier, 483)
    await bench.alive()
    assert bench.phone.unread() == []


async def test_one_hop_less_for_the_next(exchange: Exchange) -> None:
    exchange.caller("INVITE", 1, body=exchange.offer)
    invite = await asked(exchange.phone, "INVITE")
    assert invite.get("Max-Forwards") == "69"
    exchange.callee(invite, 486)
    await answered(exchange.carrier, 486)


async def test_an_extension_that_we_do_not_know(bench: Bench) -> None:
    body = sdp(bench.carrier.address[0])
    data = bench.request("INVITE", "13900000002", body, "Require: 100rel, gruu")
    bench.carrier.send(data, bench.target)
    assert (await answered(bench.carrier, 420)).get("Unsupported") == "gruu"
    assert bench.phone.unread() == []


async def test_one_request_by_two_ways(exchange: Exchange) -> None:
    """A proxy before us has forked: the second copy is merged (RFC 3261 §8.2.2.2), the first goes on."""
    bench = exchange.bench
    data = bench.request("INVITE", body=exchange.offer)
    bench.carrier.send(data, bench.target)
    bench.carrier.send(data.replace(b"branch=z9hG4bK-1", b"branch=z9hG4bK-2"), bench.target)
    refused = await answered(bench.carrier, 482)
    assert refused.top_via.branch == "z9hG4bK-2"
    invite = await asked(bench.phone, "INVITE")
    exchange.callee(invite, 200, body=exchange.answer)
    ok = await answered(bench.carrier, 200)
    exchange.caller("ACK", 1, ok)
    await asked(bench.phone, "ACK")
    await exchange.finish(ok, 2)


async def test_a_dialog_that_is_not_there(exchange: Exchange) -> None:
    _, ok = await exchange.connect()
    exchange.caller("BYE", 2, ok)
    exchange.callee(await asked(exchange.phone, "BYE"), 200)
    await answered(exchange.carrier, 200, "BYE")
    for method in ("BYE", "INFO", "UPDATE", "INVITE"):
        exchange.caller(method, 3, ok)
        await answered(exchange.carrier, 481, method)


async def test_a_reason_passes_with_bye_and_refusal(exchange: Exchange) -> None:
    reason = 'Q.850;cause=31;text="Normal, unspecified"'
    invite, _ = await exchange.connect()
    exchange.from_callee(invite, "BYE", 1, f"Reason: {reason}")
    bye = await asked(exchange.carrier, "BYE")
    assert bye.rows("Reason") == [reason]
    exchange.carrier.send(reply(bye, 200, exchange.carrier), exchange.bench.target)
    await answered(exchange.phone, 200, "BYE")
    data = exchange.bench.request("INVITE", body=exchange.offer, branch="second")
    exchange.carrier.send(data, exchange.bench.target)
    exchange.callee(await asked(exchange.phone, "INVITE"), 480, f"Reason: {reason}")
    assert (await answered(exchange.carrier, 480)).rows("Reason") == [reason]


async def test_the_answer_goes_where_the_request_came_from(bench: Bench) -> None:
    """RFC 3581: the Via names a port behind a NAT, where somebody else sits."""
    nat, elsewhere = Socket(bench.carrier.address[0]), bench.carrier
    for rport, hears, silent in ((b";rport", nat, elsewhere), (b"", elsewhere, nat)):
        data = bench.request("OPTIONS", branch=f"nat{len(rport)}")
        nat.send(data.replace(b";branch=", rport + b";branch="), bench.target)
        answer = await answered(hears, 200, "OPTIONS")
        assert silent.unread() == []
        if rport:
            via = answer.top_via
            assert (via.rport, via.received) == (nat.address[1], nat.address[0])
    nat.close()


# --- blocks ---


def listed(bench: Bench, action: Action) -> None:
    """The carrier's caller is on the table."""
    bench.table.entries[CALLER] = entry(Level.RED, action=action)


async def playing(bench: Bench) -> Play:
    """The prompt that the media worker has been told to play."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for command in bench.port.commands:
                if isinstance(command, Play):
                    return command
            await asyncio.sleep(0.01)


async def test_an_announcement_before_608(bench: Bench) -> None:
    """RFC 8688 §3.4: to a caller that does not know 608, in early media."""
    listed(bench, Action.REJECT)
    bench.carrier.send(bench.request("INVITE", body=sdp(bench.carrier.address[0])), bench.target)
    early = await answered(bench.carrier, 183)
    assert b"m=audio 20000 " in early.body
    told = await playing(bench)
    assert (told.endpoint, told.prompts) == ("caller", ("rejected_608",))
    await bench.alive()
    assert not [data for data in bench.carrier.unread() if data.startswith(b"SIP/2.0 608")]
    bench.worker.media_event(PlaybackFinished(session=told.session, playback=told.playback))
    refused = await answered(bench.carrier, 608)
    assert refused.to.tag == early.to.tag
    assert [type(each) for each in bench.port.commands][-1] is CloseSession
    assert bench.outcomes() == ["policy/rejected"]


async def test_a_caller_that_knows_608_hears_nothing(bench: Bench) -> None:
    listed(bench, Action.REJECT)
    body = sdp(bench.carrier.address[0])
    data = bench.request("INVITE", "13900000002", body, "Feature-Caps: *;+sip.608")
    bench.carrier.send(data, bench.target)
    first = parse(await bench.carrier.receive())
    assert isinstance(first, Response) and first.status == 608
    assert bench.port.commands == []


async def test_the_callees_own_refusal_is_607(exchange: Exchange) -> None:
    """Warned, and pressing 2 (RFC 8197); the caller is told of no appeal."""
    bench = exchange.bench
    listed(bench, Action.WARN)
    exchange.caller("INVITE", 1, body=exchange.offer)
    while not isinstance(found := parse(await bench.phone.receive()), Request) or found.method != "INVITE":
        if isinstance(found, Request):  # the popup
            bench.phone.send(reply(found, 200, bench.phone), bench.target)
    exchange.callee(found, 200, body=exchange.answer)
    await asked(bench.phone, "ACK")
    told = await playing(bench)
    assert told.endpoint == "callee"
    key = DtmfReceived(session=told.session, endpoint="callee", digit="2", duration_ms=100)
    bench.worker.media_event(key)
    refused = await answered(bench.carrier, 607)
    assert refused.get("Call-Info") is None
    bench.phone.send(reply(await asked(bench.phone, "BYE"), 200, bench.phone), bench.target)
    assert bench.outcomes() == ["callee/warning_refused"]
