"""The ACK of a 2xx that comes again is the one that went out (RFC 3261 §13.2.2.4)."""

from __future__ import annotations

import pytest

from engine.sip.message import Request
from tests.call.kit import ACCESS, CARRIER, NUMBER, T1, Lab
from tests.call.peer import Side, sdp

OFFER, ANSWER = sdp(CARRIER[0]), sdp(ACCESS[0], 50000)
MOVED = f"<sip:elsewhere@{ACCESS[0]}>"
AWAY = "<sip:127.0.30.9:5099>"


def the_same(acks: list[Request], count: int) -> None:
    """All of them, to the last byte."""
    assert len(acks) == count
    assert len({ack.to_bytes() for ack in acks}) == 1


def late(lab: Lab) -> Side:
    """A call whose caller made no offer: our ACK carries the answer."""
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    ask.ack(OFFER)
    assert called.acks[0].body
    return called


@pytest.mark.parametrize("offerless", [False, True])
def test_after_the_callee_has_moved(lab: Lab, offerless: bool) -> None:
    called = late(lab) if offerless else lab.connect()[1]
    assert called.ask("UPDATE", headers=[("Contact", AWAY)]).status == 200
    called.invite.reply(200, ANSWER)
    called.invite.reply(200, ANSWER)
    the_same(called.acks, 3)
    assert lab.ladder()[-2:] == ["S→E 200", "E→S ACK"]
    called.bye()


def test_after_a_new_description(lab: Lab) -> None:
    """A re-INVITE has an ACK of its own, and takes nothing from the first one's."""
    called = late(lab)
    (caller,) = lab.carrier.calls
    ask = caller.offer(sdp(CARRIER[0], version=2))
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50000, version=2), contact=MOVED)
    ask.ack()
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50000, version=2), contact=MOVED)
    called.invite.reply(200, ANSWER)
    first, *others = called.acks
    assert {ack.cseq.number for ack in others} == {2, 1}
    the_same([first, *(ack for ack in others if ack.cseq.number == 1)], 2)
    the_same([ack for ack in others if ack.cseq.number == 2], 2)
    called.bye()


def test_of_the_second_branch_of_a_fork(lab: Lab) -> None:
    called = lab.connect()[1]
    for _ in range(3):
        called.invite.reply(200, ANSWER, tag="two", contact=MOVED)
    the_same([ack for ack in called.acks if ack.to.tag == "two"], 3)
    called.bye()


def test_none_before_the_caller_has_answered(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    called.invite.reply(200, ANSWER)
    assert called.acks == []
    ask.ack(OFFER)
    the_same(called.acks, 1)
    called.bye()


def test_it_is_kept_no_longer_than_the_2xx_can_come_again(lab: Lab) -> None:
    called = lab.connect()[1]
    assert lab.core.counts()["client"] == 1
    lab.advance(64 * T1)
    assert lab.core.counts()["client"] == 0
    called.invite.reply(200, ANSWER)
    the_same(called.acks, 1)
    called.bye()
