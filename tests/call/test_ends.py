"""How calls end: BYE from both sides, CANCEL and its races, forks, lost acknowledgements, no answer."""

from __future__ import annotations

import pytest

from engine.model.events import CallEnded
from tests.call.kit import ACCESS, CARRIER, LONG, NUMBER, Lab
from tests.call.peer import sdp

ANSWER = sdp(ACCESS[0], 50000)


# --- BYE ---


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_bye_goes_to_the_other_side(lab: Lab, who: str) -> None:
    caller, called = lab.connect()
    lab.advance(12.345)
    first, other = (caller, called) if who == "caller" else (called, caller)
    bye = first.bye()
    assert bye.status == 200
    assert other.has("BYE") == 1
    assert lab.ended == f"{who}/hung_up 200"
    (event,) = lab.of(CallEnded)
    assert (event.answered, event.duration_ms) == (True, 12345)


def test_byes_that_cross(lab: Lab) -> None:
    caller, called = lab.connect()
    lab.phone.bye_status = None
    caller.bye()
    assert called.has("BYE") == 1
    assert called.bye().status == 200
    called.last("BYE").reply(200)
    assert lab.ended == "caller/hung_up 200"


def test_a_bye_that_is_not_answered(lab: Lab) -> None:
    caller, _ = lab.connect()
    lab.phone.bye_status = None
    caller.bye()
    lab.ladder()
    lab.advance(31)
    assert set(lab.ladder()) == {"E→S BYE"}
    assert len(lab.core.calls) == 1
    lab.advance(2)
    assert not lab.core.calls


@pytest.mark.parametrize("status", [481, 500])
def test_a_bye_that_is_refused_is_the_end_all_the_same(lab: Lab, status: int) -> None:
    caller, _ = lab.connect()
    lab.phone.bye_status = status
    caller.bye()
    assert not lab.core.calls


def test_a_bye_that_cannot_be_sent(lab: Lab) -> None:
    caller, _ = lab.connect()
    lab.unreachable.add(ACCESS)
    assert caller.bye().status == 200
    assert not lab.core.calls


def test_a_second_bye_and_anything_after_the_end_is_481(lab: Lab) -> None:
    caller, _ = lab.connect()
    caller.bye()
    assert caller.bye().status == 481
    assert caller.ask("INFO").status == 481
    assert caller.offer(sdp(CARRIER[0])).status == 481


def test_the_same_bye_twice_gets_the_same_answer(lab: Lab) -> None:
    caller, called = lab.connect()
    bye = caller.bye()
    bye.send()
    assert bye.statuses == [200, 200]
    assert called.has("BYE") == 1


@pytest.mark.parametrize("tag", ["remote", "local"])
def test_a_bye_of_a_stranger_is_481(lab: Lab, tag: str) -> None:
    caller, called = lab.connect()
    kept = caller.remote_tag, caller.tag
    if tag == "remote":
        caller.remote_tag = "guessed"
    else:
        caller.tag = "guessed"
    assert caller.bye().status == 481
    assert called.has("BYE") == 0
    caller.remote_tag, caller.tag = kept
    caller.bye()


def test_a_request_out_of_order_is_refused(lab: Lab) -> None:
    caller, called = lab.connect()
    caller.cseq = 90
    caller.ask("INFO")
    caller.cseq = 50
    assert caller.bye().status == 500
    assert called.has("BYE") == 0
    caller.cseq = 100
    caller.bye()


# --- CANCEL ---


def test_cancel_while_ringing(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(180)
    lab.ladder()
    ask.cancel()
    assert lab.ladder() == [
        "C→E CANCEL",
        "E→C 200 (CANCEL)",
        "E→C 487",
        "E→S CANCEL",
        "C→E ACK",
        "S→E 200 (CANCEL)",
        "S→E 487",
        "E→S ACK",
    ]
    assert lab.ended == "caller/cancelled 487"
    assert not lab.core.calls


def test_cancel_waits_for_the_callees_first_response(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    ask.cancel()
    assert lab.ended == "caller/cancelled 487"
    called = lab.phone.calls[0]
    assert called.has("CANCEL") == 0
    called.invite.reply(100)
    assert called.has("CANCEL") == 1
    assert not lab.core.calls


def test_cancel_of_a_callee_that_never_speaks(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    ask.cancel()
    lab.advance(33)
    assert lab.phone.calls[0].has("CANCEL") == 0
    assert not lab.core.calls


def test_cancel_crosses_the_answer(lab: Lab) -> None:
    lab.phone.takes_cancel = False
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    ask.cancel()
    lab.ladder()
    called.invite.reply(200, ANSWER)
    assert lab.ladder() == ["S→E 200", "E→S ACK", "E→S BYE", "S→E 200 (BYE)"]
    assert ask.statuses == [100, 180, 487]
    assert lab.ended == "caller/cancelled 487"
    assert not lab.core.calls


def test_cancel_crosses_an_offer_in_the_answer(lab: Lab) -> None:
    lab.phone.takes_cancel = False
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(180)
    ask.cancel()
    called.invite.reply(200, ANSWER)
    assert called.has("BYE") == 1
    assert b"m=audio 0 RTP/AVP 8 0 101" in called.acks[0].body


def test_cancel_crosses_486(lab: Lab) -> None:
    lab.phone.takes_cancel = False
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    ask.cancel()
    called.invite.reply(486)
    assert ask.statuses == [100, 180, 487]
    assert lab.ended == "caller/cancelled 487"


def test_a_callee_that_takes_no_cancel_is_left_after_64_t1(lab: Lab) -> None:
    lab.phone.takes_cancel = False
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(180)
    ask.cancel()
    lab.advance(31)
    assert lab.core.calls
    lab.advance(4)
    assert not lab.core.calls


def test_cancel_after_the_answer_changes_nothing(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(200, ANSWER)
    ask.cancel()
    assert lab.ladder()[-2:] == ["C→E CANCEL", "E→C 200 (CANCEL)"]
    ask.ack()
    assert not lab.of(CallEnded)
    ask.side.bye()


def test_cancel_of_nothing_is_481(lab: Lab) -> None:
    ask = lab.carrier.invite("1", method="OPTIONS")
    ask.cancel()
    assert lab.ladder()[-1] == "E→C 481 (CANCEL)"


def test_a_late_ringing_after_cancel_is_not_passed_on(lab: Lab) -> None:
    lab.phone.takes_cancel = False
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(100)
    ask.cancel()
    called.invite.reply(180)
    called.invite.reply(183, ANSWER)
    assert ask.statuses == [100, 487]
    called.invite.reply(487)


# --- the answer and its ACK ---


def test_the_answer_is_repeated_until_the_ack(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(200, ANSWER)
    lab.ladder()
    lab.advance(3.6)
    assert lab.ladder() == ["E→C 200"] * 3
    ask.ack()
    lab.advance(20)
    assert lab.ladder() == ["C→E ACK"]
    ask.side.bye()


def test_no_ack_ends_the_call(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    lab.advance(31.9)
    assert not lab.of(CallEnded)
    lab.advance(0.2)
    assert lab.ended == "caller/ack_missing 200"
    assert (ask.side.has("BYE"), called.has("BYE")) == (1, 1)


def test_the_caller_is_told_bye_only_after_its_ack(lab: Lab) -> None:
    """RFC 3261 §15: the callee's side must not send BYE before."""
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    assert called.bye().status == 200
    assert lab.ended == "callee/hung_up 200"
    assert ask.side.has("BYE") == 0
    lab.ladder()
    ask.ack()
    assert lab.ladder() == ["C→E ACK", "E→C BYE", "C→E 200 (BYE)"]
    assert not lab.core.calls


def test_a_bye_that_waits_for_an_ack_that_never_comes(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    called.bye()
    lab.advance(33)
    assert ask.side.has("BYE") == 1
    assert not lab.core.calls


def test_a_caller_that_hangs_up_instead_of_acknowledging(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    assert ask.side.bye().status == 200
    assert called.has("BYE") == 1
    lab.advance(LONG)
    assert lab.ended == "caller/hung_up 200"


def test_a_repeated_answer_is_acknowledged_again(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER)
    called.invite.reply(200, ANSWER)
    assert len(called.acks) == 2
    assert called.acks[0].to_bytes() == called.acks[1].to_bytes()  # the same branch (RFC 3261 §13.2.2.4)
    assert ask.statuses == [100, 200]
    ask.ack()
    ask.side.bye()


def test_a_second_answer_from_a_fork_is_ended(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ANSWER, tag="fork-1", contact="<sip:one@127.0.30.1:5060>")
    ask.ack()
    lab.ladder()
    called.invite.reply(200, ANSWER, tag="fork-2", contact="<sip:two@127.0.30.1:5060>")
    assert lab.ladder() == ["S→E 200", "E→S ACK", "E→S BYE", "S→E 200 (BYE)"]
    bye = called.last("BYE").request
    assert bye.to.tag == "fork-2"
    assert bye.uri.user == "two"
    assert not lab.of(CallEnded)
    ask.side.bye()
    assert called.last("BYE").request.to.tag == "fork-1"


def test_early_dialogs_of_a_fork_ring_the_caller_in_one(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180, tag="fork-1")
    called.invite.reply(180, tag="fork-2")
    called.invite.reply(200, ANSWER, tag="fork-2")
    assert len({response.to.tag for response in ask.responses[1:]}) == 1
    ask.ack()
    ask.side.bye()


@pytest.mark.parametrize("body", [b"", ANSWER])
def test_an_answer_without_contact_reaches_the_address_we_called(lab: Lab, body: bytes) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, body, contact="<sip:127.0.30.1>")
    ask.ack()
    ask.side.bye()
    assert called.has("BYE") == 1


# --- no answer ---


@pytest.mark.parametrize(
    ("status", "ended"), [(180, "callee/no_answer 480"), (100, "upstream/no_answer 480")]
)
def test_ringing_for_too_long(lab: Lab, status: int, ended: str) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(status)
    lab.advance(59.9)
    assert called.has("CANCEL") == 0
    lab.advance(0.2)
    assert called.has("CANCEL") == 1
    assert ask.status == 480
    assert lab.ended == ended


def test_no_answer_is_counted_from_the_invite_and_forgotten_with_the_answer(lab: Lab) -> None:
    caller, _ = lab.connect()
    lab.advance(300)
    assert not lab.of(CallEnded)
    caller.bye()


def test_ringing_is_repeated_every_minute() -> None:
    lab = Lab(no_answer_s=200.0)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(180)
    lab.advance(150)
    assert ask.statuses == [100, 180, 180, 180]
    ask.cancel()
    lab.settle()


def test_nobody_there(lab: Lab) -> None:
    lab.lose = lambda line: line.startswith("E→S")
    ask = lab.carrier.invite(NUMBER)
    lab.advance(33)
    assert ask.status == 408
    assert lab.ended == "upstream/timeout 408"


def test_a_next_hop_that_cannot_be_sent_to(lab: Lab) -> None:
    lab.unreachable.add(ACCESS)
    ask = lab.carrier.invite(NUMBER)
    assert ask.status == 500
    assert lab.ended == "upstream/unreachable 500"


# --- retransmissions and losses ---


def test_the_same_invite_twice_is_one_call(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    ask.send()
    assert len(lab.phone.calls) == 1
    assert ask.statuses == [100, 100]
    ask.cancel()


def test_a_looped_invite_is_482(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    rows = [(name, value.replace("z9hG4bK", "z9hG4bK-again")) for name, value in ask.rows]
    ask.rows = rows
    ask.side.asks["z9hG4bK-again" + rows[0][1].split("z9hG4bK-again")[1].split(";")[0], "INVITE"] = ask
    ask.send()
    assert 482 in ask.statuses
    assert len(lab.phone.calls) == 1
    lab.phone.calls[0].invite.reply(486)


def test_every_datagram_lost_once(lab: Lab) -> None:
    """Ours are sent again; theirs are theirs to send again."""
    seen: set[str] = set()

    def first(line: str) -> bool:
        new = line.startswith("E→") and line not in seen and " 1" not in line
        seen.add(line)
        return new

    lab.lose = first
    ask = lab.carrier.invite(NUMBER)
    lab.advance(1)
    lab.phone.calls[0].invite.reply(200, ANSWER)
    lab.phone.calls[0].invite.reply(200, ANSWER)
    lab.advance(1)
    assert ask.status == 200
    ask.ack()
    ask.side.bye()
    lab.advance(2)
    assert lab.phone.calls[0].has("BYE") == 1
    assert lab.ended == "caller/hung_up 200"


def test_every_datagram_doubled(lab: Lab) -> None:
    lab.double = lambda line: True
    caller, called = lab.connect()
    called.bye()
    assert caller.has("BYE") == 1
    assert lab.ended == "callee/hung_up 200"
