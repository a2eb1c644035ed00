"""One hop after another: what lets the next be tried, and what does not."""

from __future__ import annotations

import pytest

from engine.call.values import Hop
from engine.model.address import Address
from engine.model.events import CallStage
from tests.call.kit import ACCESS, NUMBER, Lab
from tests.call.peer import Peer, sdp

SECOND = ("127.0.30.2", 5060)
THIRD = ("127.0.30.3", 5060)


def routed(lab: Lab, **fields: object) -> tuple[Peer, Peer]:
    """Three hops: the subscriber's PBX, and two more that stand in for it."""
    others = Peer("T", SECOND, lab.engine, lab.post), Peer("U", THIRD, lab.engine, lab.post)
    for each in others:
        lab.join(each)
    hops = tuple(
        Hop(Address(*address), trunk=name, failover_statuses=(500,))
        for name, address in (("one", ACCESS), ("two", SECOND), ("three", THIRD))
    )
    lab.verdict(hops=hops, **fields)
    return others


def tried(lab: Lab) -> list[str]:
    return [event.detail for event in lab.of(CallStage) if event.stage == "routed"]


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("record", [False, True])
def test_the_next_hop_after_a_failure(lab: Lab, status: int, record: bool) -> None:
    second, _ = routed(lab, record=record)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(status, headers=[("Retry-After", "30")])
    assert ask.statuses == [100]
    assert tried(lab) == ["one", "two"]
    called = second.calls[0]
    assert called.call_id != lab.phone.calls[0].call_id
    called.invite.reply(180)
    called.invite.reply(200, sdp(SECOND[0], 50000))
    ask.ack()
    assert ask.statuses == [100, 180, 200]
    ask.side.bye()
    assert called.has("BYE") == 1
    assert lab.ended == "caller/hung_up 200"


def test_a_hop_that_cannot_be_sent_to(lab: Lab) -> None:
    second, _ = routed(lab)
    lab.unreachable.add(ACCESS)
    ask = lab.carrier.invite(NUMBER)
    second.calls[0].invite.reply(486)
    assert ask.statuses == [100, 486]
    assert lab.ended == "callee/busy 486"


def test_the_last_one_s_answer_is_the_call_s(lab: Lab) -> None:
    second, third = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(503)
    second.calls[0].invite.reply(500)
    third.calls[0].invite.reply(503)
    assert tried(lab) == ["one", "two", "three"]
    assert ask.statuses == [100, 500]
    assert lab.ended == "upstream/failed 500"


@pytest.mark.parametrize("status", [404, 486, 480, 488, 600, 603, 607, 608])
def test_what_the_callee_decides_is_not_asked_again(lab: Lab, status: int) -> None:
    second, _ = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(status)
    assert ask.status == status
    assert second.calls == []


def test_a_decision_of_the_callee_s_network_is_final_even_where_a_trunk_lists_it(lab: Lab) -> None:
    routed(lab)
    hops = tuple(Hop(Address(*address), failover_statuses=(603,)) for address in (ACCESS, SECOND))
    lab.verdict(hops=hops)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(603)
    assert ask.status == 603
    assert tried(lab) == [""]


def test_a_silent_hop_is_left_early(lab: Lab) -> None:
    second, _ = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.advance(3.4)
    assert tried(lab) == ["one"]
    lab.advance(0.2)
    assert tried(lab) == ["one", "two"]
    second.calls[0].invite.reply(200, sdp(SECOND[0], 50000))
    ask.ack()
    ask.side.bye()
    assert lab.ended == "caller/hung_up 200"


def test_a_hop_that_has_said_100_is_waited_for(lab: Lab) -> None:
    second, _ = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(100)
    lab.advance(20)
    assert second.calls == []
    ask.cancel()


def test_a_silent_hop_that_answers_after_all_is_told_goodbye(lab: Lab) -> None:
    second, _ = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    first = lab.phone.calls[0]
    lab.advance(4)
    second.calls[0].invite.reply(200, sdp(SECOND[0], 50000))
    ask.ack()
    first.invite.reply(200, sdp(ACCESS[0], 50000))
    assert first.has("BYE") == 1 and len(first.acks) == 1
    assert lab.stages[-1] == "connected"
    ask.side.bye()
    assert second.calls[0].has("BYE") == 1


def test_a_silent_hop_that_rings_after_all_is_cancelled(lab: Lab) -> None:
    second, _ = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.advance(4)
    lab.phone.calls[0].invite.reply(180)
    assert lab.phone.calls[0].has("CANCEL") == 1
    assert ask.statuses == [100]
    second.calls[0].invite.reply(486)
    assert lab.ended == "callee/busy 486"


def test_the_only_hop_has_all_its_time(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.advance(31)
    assert ask.statuses == [100]
    lab.advance(2)
    assert ask.statuses == [100, 408]
    assert lab.ended == "upstream/timeout 408"


def test_ringing_is_the_end_of_it(lab: Lab) -> None:
    second, _ = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(180)
    lab.phone.calls[0].invite.reply(503)
    assert second.calls == []
    assert ask.statuses == [100, 180, 500]


def test_the_caller_gives_up_between_two_hops(lab: Lab) -> None:
    second, third = routed(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.advance(4)
    second.calls[0].invite.reply(100)
    ask.cancel()
    assert lab.ended == "caller/cancelled 487"
    assert second.calls[0].has("CANCEL") == 1
    assert third.calls == []


# --- what is never routed anew, and passes as it is ---


def test_a_received_603_plus_passes_unchanged(lab: Lab) -> None:
    second, _ = routed(lab)
    reason = 'Q.850;cause=21;text="v=analytics1;url=https://example.org/redress";location=RLN'
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(
        603,
        headers=[("Reason", reason), ("Call-Info", "<https://example.org/card>;purpose=jwscard")],
        phrase="Network Blocked",
    )
    assert second.calls == []
    assert (ask.status, ask.last.reason) == (603, "Network Blocked")
    assert ask.last.get("Reason") == reason
    assert ask.last.get("Call-Info") == "<https://example.org/card>;purpose=jwscard"


@pytest.mark.parametrize("status", [486, 480, 607])
def test_a_reason_passes_with_the_refusal(lab: Lab, status: int) -> None:
    ask = lab.carrier.invite(NUMBER)
    reasons = ["Q.850;cause=17", 'SIP;cause=486;text="Busy"']
    lab.phone.calls[0].invite.reply(status, headers=[("Reason", each) for each in reasons])
    assert ask.last.rows("Reason") == reasons
    assert ask.last.reason != "Whatever"


def test_no_more_reasons_than_anybody_reads(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    many = [("Reason", f"Q.850;cause={cause}") for cause in range(1, 9)]
    lab.phone.calls[0].invite.reply(486, headers=many)
    assert ask.last.rows("Reason") == [value for _, value in many[:4]]


def test_a_long_reason_does_not(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(486, headers=[("Reason", f'SIP;text="{"x" * 600}"')])
    assert ask.last.rows("Reason") == []


def test_a_reason_passes_with_bye_both_ways(lab: Lab) -> None:
    for way in range(2):
        asking, called = lab.connect()
        sides = (asking, called)
        sides[way].bye(headers=[("Reason", "Q.850;cause=16")])
        assert sides[1 - way].last("BYE").request.rows("Reason") == ["Q.850;cause=16"]
