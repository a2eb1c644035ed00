"""Offers that meet: who is told to wait, who waits how long, and what an UPDATE may not wait for."""

from __future__ import annotations

import pytest

from tests.call.kit import ACCESS, NUMBER, Lab
from tests.call.peer import Ask, Headers, Side, sdp
from tests.call.test_offers import BODY, WHO

UPDATES = [("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")]
HALF_S = 900.0


def connected(lab: Lab, headers: Headers = UPDATES) -> dict[str, Side]:
    ask = lab.carrier.invite(NUMBER, headers=headers)
    called = lab.phone.calls[-1]
    called.invite.reply(200, sdp(ACCESS[0], 50000), headers)
    ask.ack()
    return {"caller": ask.side, "callee": called}


def other(who: str) -> str:
    return "caller" if who == "callee" else "callee"


# --- the peer's offers ---


@WHO
def test_an_update_whose_answer_does_not_come_is_504(lab: Lab, who: str) -> None:
    """RFC 3311 §5.2: it cannot wait for a person; here for a side that says nothing."""
    sides = connected(lab)
    ask = sides[who].ask("UPDATE", BODY[who])
    lab.advance(19)
    assert ask.statuses == []
    lab.advance(2)
    assert ask.statuses == [504]
    sides[other(who)].bye()


@WHO
@pytest.mark.parametrize("second", ["UPDATE", "INVITE"])
def test_a_second_offer_before_the_answer_to_the_first(lab: Lab, who: str, second: str) -> None:
    sides = connected(lab)
    first = sides[who].ask("UPDATE", BODY[who])
    again = sides[who].ask(second, BODY[who])
    assert again.statuses == [500]
    assert 0 <= int(again.last.get("Retry-After") or -1) <= 10
    sides[other(who)].last("UPDATE").reply(200, BODY[other(who)])
    assert first.statuses == [200]
    sides[who].bye()


@WHO
@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_an_offer_that_meets_ours_is_491(lab: Lab, who: str, method: str) -> None:
    sides = connected(lab)
    first = sides[who].ask("UPDATE", BODY[who])
    meeting = sides[other(who)].ask(method, BODY[other(who)])
    assert meeting.statuses == [491]
    sides[other(who)].last("UPDATE").reply(200, BODY[other(who)])
    assert first.statuses == [200]
    sides[who].bye()


@WHO
def test_an_update_without_offer_meets_nothing(lab: Lab, who: str) -> None:
    sides = connected(lab)
    first = sides[who].ask("UPDATE", BODY[who])
    assert sides[other(who)].ask("UPDATE").statuses == [200]
    sides[other(who)].last("UPDATE").reply(200, BODY[other(who)])
    assert first.statuses == [200]
    sides[who].bye()


def test_an_update_moves_the_target(lab: Lab) -> None:
    sides = connected(lab)
    moved = sides["callee"].ask("UPDATE", headers=[("Contact", f"<sip:moved@{ACCESS[0]}:5060>")])
    assert moved.statuses == [200]
    assert moved.last.contact is not None
    sides["caller"].bye()
    assert str(sides["callee"].last("BYE").request.uri) == f"sip:moved@{ACCESS[0]}:5060"


# --- before the answer ---


def test_a_caller_that_has_no_answer_yet_may_not_offer_again(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(180)
    ask.side.follow(ask.last)
    update = ask.side.ask("UPDATE", BODY["caller"])
    assert update.statuses == [500]
    assert update.last.get("Retry-After") is not None
    assert ask.side.ask("INVITE", BODY["caller"]).statuses == [500]
    assert ask.side.ask("UPDATE").statuses == [200]
    ask.cancel()


def test_a_callee_that_has_not_answered_may_not_offer(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    assert called.ask("UPDATE", BODY["callee"]).statuses == [491]
    assert called.ask("INVITE", BODY["callee"]).statuses == [491]
    assert called.ask("UPDATE").statuses == [200]
    ask.cancel()


# --- ours ---


def glare(lab: Lab, side: Side) -> float:
    """The side refuses our refresh with 491; returns after how long we ask again."""
    told = side.last("UPDATE")
    told.reply(491)
    at = lab.now
    count = side.has("UPDATE")
    while side.has("UPDATE") == count:
        lab.advance(0.005)
        assert lab.now < at + 5
    return round(lab.now - at, 3)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_we_wait_as_long_as_the_call_id_says(lab: Lab, who: str) -> None:
    """RFC 3261 §14.1: 2.1 to 4 s for who made the Call-ID, as we did towards the callee; else up to 2 s."""
    sides = connected(lab)
    lab.advance(HALF_S)
    waits = [glare(lab, sides[who]) for _ in range(5)]
    least, most = (2.1, 4.0) if who == "callee" else (0.0, 2.0)
    assert all(least <= wait <= most + 0.005 for wait in waits)
    assert len(set(waits)) > 1
    for side in sides.values():
        side.last("UPDATE").reply(200)
    sides["caller"].bye()


def test_a_peer_may_say_when(lab: Lab) -> None:
    sides = connected(lab)
    lab.advance(HALF_S)
    called = sides["callee"]
    called.last("UPDATE").reply(500, headers=[("Retry-After", "7 (soon)")])
    lab.advance(6.9)
    assert called.has("UPDATE") == 1
    lab.advance(0.2)
    assert called.has("UPDATE") == 2
    for side in sides.values():
        side.last("UPDATE").reply(200)
    called.bye()


def test_a_passed_offer_is_left_to_who_made_it(lab: Lab) -> None:
    """The 491 goes back: both sides would else wait for one another."""
    sides = connected(lab)
    ask: Ask = sides["caller"].ask("UPDATE", BODY["caller"])
    sides["callee"].last("UPDATE").reply(491)
    assert ask.statuses == [491]
    lab.advance(10)
    assert sides["callee"].has("UPDATE") == 1
    sides["caller"].bye()


def test_what_is_waited_for_ends_with_the_call(lab: Lab) -> None:
    sides = connected(lab)
    lab.advance(HALF_S)
    sides["callee"].last("UPDATE").reply(491)
    sides["caller"].last("UPDATE").reply(200)
    sides["caller"].bye()
    lab.advance(10)
    assert sides["callee"].has("UPDATE") == 1
