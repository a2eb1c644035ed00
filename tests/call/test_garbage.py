"""A call that is over is free at once, and one that is up keeps no message: what is held is small.

Nothing of it waits for the cyclic collector and its pauses.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType

import pytest

from engine.call.call import Call
from engine.call.credentials import Credentials
from engine.call.leg import Leg
from engine.call.values import Hop
from engine.model.address import Address
from engine.sip.headers import Message
from tests.call.kit import ACCESS, CARRIER, LONG, NUMBER, Lab
from tests.call.peer import sdp

ANSWER = sdp(ACCESS[0], 50000)
CAN = [("Supported", "100rel, timer"), ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE")]


def plain(lab: Lab) -> None:
    caller, _ = lab.connect()
    caller.bye()


def anchored(lab: Lab) -> None:
    lab.verdict(record=True)
    caller, _ = lab.connect()
    lab.media.finish()
    caller.bye()


def extended(lab: Lab) -> None:
    """PRACK both ways, an UPDATE that is passed on, refreshes, a REFER, keys."""
    ask = lab.carrier.invite(NUMBER, headers=CAN)
    called = lab.phone.calls[-1]
    called.invite.reply(183, ANSWER, [("Require", "100rel"), ("RSeq", "1"), *CAN])
    ask.side.prack(ask.last)
    called.invite.reply(200, headers=CAN)
    ask.ack()
    ask.side.ask("UPDATE", sdp(CARRIER[0], 40002, version=2))
    called.last("UPDATE").reply(200, ANSWER)
    lab.advance(900)
    for side in (ask.side, called):
        side.last("UPDATE").reply(200)
    called.ask("REFER", headers=[("Refer-To", "<sip:1@127.0.10.1>")])
    ask.side.bye()


def challenged(lab: Lab) -> None:
    lab.verdict(hops=(Hop(Address(*ACCESS), credentials=Credentials("ringward", "secret")),))
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[-1]
    asked = [("WWW-Authenticate", 'Digest realm="r", nonce="1", qop="auth"')]
    called.invite.reply(401, headers=asked)
    called.last("INVITE").reply(200, ANSWER)
    ask.ack()
    lab.phone.bye_status = None
    ask.side.bye()
    called.last("BYE").reply(401, headers=[(asked[0][0], asked[0][1].replace('"1"', '"2"'))])
    called.last("BYE").reply(200)


@pytest.mark.parametrize("walk", [plain, anchored, extended, challenged])
def test_nothing_of_a_call_waits_for_the_collector(lab: Lab, walk: Callable[[Lab], None]) -> None:
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        walk(lab)
        lab.advance(LONG)
        gc.collect()
        left = [type(each).__name__ for each in gc.garbage if isinstance(each, Call | Leg)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


def held(root: object) -> Iterator[object]:
    """All that an object leads to, but for code."""
    seen, waiting = set[int](), [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType):
            continue
        seen.add(id(each))
        yield each
        waiting += each.__closure__ or () if isinstance(each, FunctionType) else gc.get_referents(each)


def test_a_call_that_is_up_keeps_no_message(lab: Lab) -> None:
    caller, _ = lab.connect()
    found = list(held(lab.core))
    assert sum(isinstance(each, Leg) for each in found) == 2
    assert [each for each in found if isinstance(each, Message)] == []
    caller.bye()
