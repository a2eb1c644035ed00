"""Reliable provisional responses (RFC 3262), from the callee and to the caller."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.reliable import (
    ARRIVALS,
    IGNORED,
    TABLE,
    Arrival,
    Input,
    RAck,
    Seen,
    State,
    in_order,
    rack_of,
    rseq_of,
)
from engine.sip.message import Request, Response
from tests.call.kit import ACCESS, CARRIER, NUMBER, Lab
from tests.call.peer import Ask, Told, sdp
from tests.call.test_clean_call import without_origin

CAN = [("Supported", "100rel")]
MUST = [("Require", "100rel")]
ANSWER = sdp(ACCESS[0], 50000)
PATIENCE_S = 33.0


def reliably(told: Told, rseq: int, status: int = 183, body: bytes = b"", tag: str = "") -> None:
    told.reply(status, body, [("Require", "100rel"), ("RSeq", str(rseq))], tag=tag)


def racks(lab: Lab) -> list[str | None]:
    """What the engine has acknowledged to the callee."""
    told = lab.phone.calls[0].told
    return [each.request.get("RAck") for each in told if each.request.method == "PRACK"]


# --- the tables ---


def test_each_pair_is_in_exactly_one_place() -> None:
    pairs = set(product(State, Input))
    assert set(TABLE) | IGNORED == pairs
    assert len(TABLE) + len(IGNORED) == len(pairs)
    assert set(ARRIVALS) == set(product(Seen, Arrival))


@given(st.integers(0, 2**31), st.integers(1, 2**32 - 1))
def test_only_the_first_and_the_next_are_taken(last: int, rseq: int) -> None:
    assert in_order(last, rseq) is (last == 0 or rseq == last + 1)


@pytest.mark.parametrize("value", ["", "0", "-1", "+5", "٣", "1 1", "4294967296", "1.0"])
def test_numbers_that_are_none(value: str) -> None:
    assert rseq_of(Response(183, "", [("RSeq", value)])) is None


@pytest.mark.parametrize("value", ["", "1", "1 2", "1 2 INVITE x", "+1 2 INVITE", "1 ٣ INVITE"])
def test_acknowledgements_that_are_none(value: str) -> None:
    assert rack_of(Request("PRACK", "sip:a@b", [("RAck", value)])) is None


def test_an_acknowledgement_is_read() -> None:
    assert rack_of(Request("PRACK", "sip:a@b", [("RAck", "776656 1 INVITE")])) == RAck(776656, 1, "INVITE")


# --- from the callee ---


def test_an_invite_with_an_offer_says_that_it_takes_them(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    assert "100rel" in (lab.phone.calls[0].invite.request.get("Supported") or "")
    ask.cancel()


def test_an_invite_without_one_does_not(lab: Lab) -> None:
    """A reliable 183 would make an offer that only the caller can answer, who cannot hear it yet."""
    ask = lab.carrier.invite(NUMBER, b"")
    assert lab.phone.calls[0].invite.request.get("Supported") == "timer, norefersub"
    ask.cancel()


def test_each_is_acknowledged_once_and_in_order(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    reliably(called.invite, 7)
    assert lab.ladder()[3:] == ["S→E 183", "E→S PRACK", "E→C 180", "S→E 200 (PRACK)"]
    reliably(called.invite, 7)  # it has not heard us: the PRACK's own transaction repeats, we do not
    reliably(called.invite, 9)  # one is missing before it
    assert racks(lab) == ["7 1 INVITE"]
    reliably(called.invite, 8, 180)
    reliably(called.invite, 9, 182)
    assert racks(lab) == ["7 1 INVITE", "8 1 INVITE", "9 1 INVITE"]
    numbers = [told.request.cseq.number for told in called.told if told.request.method == "PRACK"]
    assert numbers == [2, 3, 4]
    called.invite.reply(486)
    assert ask.status == 486


def test_what_comes_out_of_order_is_not_passed_on(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    reliably(called.invite, 1, 180)
    rang = len(ask.statuses)
    reliably(called.invite, 3, 183, ANSWER)
    assert len(ask.statuses) == rang
    called.invite.reply(486)


def test_without_our_offer_of_it_rseq_means_nothing(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, b"")
    reliably(lab.phone.calls[0].invite, 1, 180)
    assert racks(lab) == []
    assert ask.status == 180
    ask.cancel()


def test_the_answer_of_a_reliable_183_is_the_answer(lab: Lab) -> None:
    """RFC 3261 §13.2.1: what the 2xx brings beside it is ignored, and it may bring nothing."""
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    reliably(called.invite, 1, 183, ANSWER)
    called.invite.reply(200)
    assert without_origin(ask.last.body) == without_origin(ANSWER)
    ask.ack()
    assert lab.stages[-1] == "connected"
    bye = ask.side.bye()
    assert bye.status == 200
    assert called.last("BYE").request.cseq.number == 3  # after INVITE and PRACK


def test_a_prack_is_repeated_until_it_is_answered(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.prack_status = None
    reliably(lab.phone.calls[0].invite, 1)
    lab.ladder()
    lab.advance(1.6)
    assert lab.ladder() == ["E→S PRACK", "E→S PRACK"]
    ask.cancel()


def test_a_prack_that_is_refused_does_not_end_the_call(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.prack_status = 481
    called = lab.phone.calls[0]
    reliably(called.invite, 1)
    called.invite.reply(200, ANSWER)
    ask.ack()
    assert lab.stages[-1] == "connected"
    ask.side.bye()


# --- to the caller ---


def early(lab: Lab, headers: list[tuple[str, str]] = CAN) -> Ask:
    """A caller with a reliable 183 that has not been acknowledged."""
    ask = lab.carrier.invite(NUMBER, headers=headers)
    lab.phone.calls[0].invite.reply(183, ANSWER)
    assert ask.status == 183
    lab.ladder()
    return ask


def test_a_description_goes_reliably_to_who_can(lab: Lab) -> None:
    ask = early(lab)
    assert ask.last.get("Require") == "100rel"
    assert without_origin(ask.last.body) == without_origin(ANSWER)
    prack = ask.side.prack(ask.last)
    assert prack.statuses == [200]
    lab.advance(5)
    assert lab.ladder() == ["C→E PRACK", "E→C 200 (PRACK)"]
    ask.cancel()


def test_ringing_does_not(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=CAN)
    lab.phone.calls[0].invite.reply(180)
    assert (ask.status, ask.last.get("RSeq")) == (180, None)
    ask.cancel()


def test_it_is_repeated_at_growing_intervals(lab: Lab) -> None:
    ask = early(lab)
    first = ask.last
    times = []
    for _ in range(70):
        before = len(ask.responses)
        lab.advance(0.5)
        if len(ask.responses) > before:
            times.append(round(lab.now - 100.0, 1))
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert [response.get("RSeq") for response in ask.responses[1:-1]] == [first.get("RSeq")] * 7
    assert ask.statuses[-2:] == [183, 504]
    assert lab.phone.calls[0].has("CANCEL") == 1


def test_who_never_acknowledges_is_sent_away(lab: Lab) -> None:
    ask = early(lab)
    lab.advance(PATIENCE_S)
    assert ask.status == 504
    assert lab.phone.calls[0].has("CANCEL") == 1
    assert lab.ended.endswith("504")


@pytest.mark.parametrize("rack", ["{next} 1 INVITE", "{rseq} 2 INVITE", "{rseq} 1 BYE", "x 1 INVITE", ""])
def test_an_acknowledgement_of_something_else(lab: Lab, rack: str) -> None:
    ask = early(lab)
    rseq = int(ask.last.get("RSeq") or 0)
    ask.side.follow(ask.last)
    value = rack.format(rseq=rseq, next=rseq + 1)
    assert ask.side.ask("PRACK", headers=[("RAck", value)]).statuses == [481]
    assert ask.side.prack(ask.last).statuses == [200]
    assert ask.side.prack(ask.last).statuses == [481]  # it waits no more
    ask.cancel()


def test_a_prack_outside_of_all_this(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(183, ANSWER)
    assert ask.side.prack(ask.last, rseq="1").statuses == [481]
    ask.cancel()


def test_a_caller_that_demands_it_gets_all_of_them_reliably(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=MUST)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    first = ask.last
    assert (first.status, first.get("Require")) == (180, "100rel")
    called.invite.reply(183, ANSWER)  # waits until the 180 is acknowledged
    assert ask.statuses[-1] == 180
    ask.side.prack(first)
    second = next(response for response in ask.responses if response.status == 183)
    assert int(second.get("RSeq") or 0) == int(first.get("RSeq") or 0) + 1
    ask.side.prack(second)
    called.invite.reply(200, ANSWER)
    ask.ack()
    ask.side.bye()


def test_the_answer_waits_for_the_acknowledgement_of_a_description(lab: Lab) -> None:
    ask = early(lab)
    lab.phone.calls[0].invite.reply(200, ANSWER)
    assert ask.status == 183
    ask.side.prack(ask.last)
    assert lab.ladder()[-3:] == ["C→E PRACK", "E→C 200 (PRACK)", "E→C 200"]
    assert ask.last.body == b""  # it has been given, and acknowledged
    ask.ack()
    lab.advance(5)
    assert lab.stages[-1] == "connected"
    ask.side.bye()


def test_the_answer_does_not_wait_for_ringing(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=MUST)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    ringing = ask.last
    called.invite.reply(200, ANSWER)
    assert ask.status == 200
    assert ask.side.prack(ringing).statuses == [200]  # late, but it must be answered (RFC 3262 §3)
    ask.ack()
    ask.side.bye()


def test_a_refusal_does_not_wait(lab: Lab) -> None:
    ask = early(lab)
    progress = ask.last
    lab.phone.calls[0].invite.reply(486)
    assert ask.status == 486
    lab.advance(5)
    assert ask.statuses.count(183) == 1
    assert ask.side.prack(progress).statuses == [481]  # its early dialog has gone with the refusal


@pytest.mark.parametrize("how", ["cancel", "bye", "silence", "hang up"])
def test_the_call_ends_while_the_answer_waits(lab: Lab, how: str) -> None:
    ask = early(lab)
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    if how == "cancel":
        ask.cancel()
    elif how == "bye":
        ask.side.follow(ask.last)
        assert ask.side.bye().status == 200
    elif how == "silence":
        lab.advance(PATIENCE_S)
    else:
        called.bye()
    assert ask.status == {"silence": 504, "hang up": 480}.get(how, 487)
    assert called.has("BYE") == (how != "hang up")


@pytest.mark.parametrize("headers", [CAN, MUST, []])
def test_bye_in_an_early_dialog_ends_the_call_as_cancel_does(
    lab: Lab, headers: list[tuple[str, str]]
) -> None:
    ask = early(lab, headers)
    ask.side.follow(ask.last)
    bye = ask.side.bye([("Reason", 'SIP;cause=200;text="answered elsewhere"')])
    assert bye.status == 200
    assert ask.status == 487
    cancel = lab.phone.calls[0].last("CANCEL").request
    assert cancel.get("Reason") == 'SIP;cause=200;text="answered elsewhere"'
    assert lab.ended == "caller/cancelled 487"


def test_the_description_is_the_callers_only_once(lab: Lab) -> None:
    """Forked callees answer differently; a second answer to one offer would only confuse the caller."""
    ask = early(lab)
    ask.side.prack(ask.last)
    called = lab.phone.calls[0]
    called.invite.reply(183, sdp(ACCESS[0], 51000), tag="other")
    assert (ask.status, ask.last.body) == (183, b"")
    ask.cancel()


def test_an_offer_of_the_callers_in_its_prack(lab: Lab) -> None:
    """RFC 3262 §5: answered in the 200, or the PRACK is refused; here nobody can yet."""
    ask = early(lab)
    prack = ask.side.prack(ask.last, sdp(CARRIER[0], 40002, version=2))
    lab.advance(21)
    assert prack.status in (488, 491, 500, 504)
    ask.cancel()
