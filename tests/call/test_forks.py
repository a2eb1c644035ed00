"""A fork behind the callee's number: several early dialogs, one answer that counts (RFC 3261 §13.2.2.4)."""

from __future__ import annotations

import pytest

from engine.call.early import MAX_EARLY
from engine.model.media import SetRemote
from tests.call.kit import ACCESS, NUMBER, Lab
from tests.call.peer import Headers, Side, sdp
from tests.call.test_clean_call import without_origin

ONE, TWO = sdp(ACCESS[0], 50000), sdp(ACCESS[0], 52000)


def reliable(rseq: int) -> Headers:
    return [("Require", "100rel"), ("RSeq", str(rseq))]


def pracks(side: Side) -> list[tuple[str | None, str | None, int]]:
    """Tag, RAck and CSeq number of each PRACK that reached the callees."""
    requests = [told.request for told in side.told if told.request.method == "PRACK"]
    return [(each.to.tag, each.get("RAck"), each.cseq.number) for each in requests]


def test_each_early_dialog_counts_for_itself(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180, b"", reliable(10), tag="one")
    called.invite.reply(180, b"", reliable(500), tag="two")
    called.invite.reply(183, b"", reliable(11), tag="one")
    called.invite.reply(183, b"", reliable(502), tag="two")
    assert pracks(called) == [
        ("one", "10 1 INVITE", 2),
        ("two", "500 1 INVITE", 2),
        ("one", "11 1 INVITE", 3),
    ]
    ask.cancel()


def test_the_last_description_counts_until_the_answer(lab: Lab) -> None:
    lab.verdict(record=True)
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(183, ONE, tag="one")
    called.invite.reply(183, TWO, tag="two")
    assert lab.media.remotes()["callee"].port == 52000
    called.tag = "one"
    called.invite.reply(200, ONE, tag="one")
    assert lab.media.remotes()["callee"].port == 50000
    ask.ack()
    ask.side.bye()
    assert [type(command) for command in lab.media.commands].count(SetRemote) >= 3


def test_the_answer_is_that_of_the_dialog_which_is_confirmed(lab: Lab) -> None:
    """Both callees have answered reliably; the 2xx of the first brings nothing of its own."""
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(183, ONE, reliable(1), tag="one")
    called.invite.reply(183, TWO, reliable(1), tag="two")
    called.tag = "one"
    called.invite.reply(200, tag="one")
    assert without_origin(ask.last.body) == without_origin(ONE)
    ask.ack()
    bye = ask.side.bye()
    assert bye.status == 200
    assert called.last("BYE").request.to.tag == "one"


@pytest.mark.parametrize("early", [False, True])
def test_a_second_answer_is_acknowledged_and_ended(lab: Lab, early: bool) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    if early:
        called.invite.reply(183, TWO, reliable(1), tag="two")
    called.invite.reply(200, ONE, tag="one")
    called.invite.reply(200, TWO, tag="two")
    acked = [ack.to.tag for ack in called.acks]
    assert acked == ["one", "two"]
    bye = called.last("BYE").request
    assert (bye.to.tag, bye.cseq.number) == ("two", 3 if early else 2)
    ask.ack()
    assert lab.stages[-1] == "connected"
    called.tag = "one"
    ask.side.bye()


def test_a_second_answer_that_comes_again_is_ended_once(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ONE, tag="one")
    for _ in range(3):
        called.invite.reply(200, TWO, tag="two")
    assert [ack.to.tag for ack in called.acks] == ["one", "two", "two", "two"]
    assert called.has("BYE") == 1
    ask.ack()
    called.tag = "one"
    ask.side.bye()


def test_answers_without_end_are_not_all_ended(lab: Lab) -> None:
    """Each BYE would go, again and again, wherever its Contact says."""
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, ONE, tag="one")
    for number in range(5 * MAX_EARLY):
        called.invite.reply(200, TWO, tag=f"tag-{number}")
    assert called.has("BYE") == len(called.acks) - 1 == MAX_EARLY
    ask.ack()
    called.tag = "one"
    ask.side.bye()


def test_one_branch_that_ends_leaves_the_others(lab: Lab) -> None:
    """199 (RFC 6228) was not asked for; it comes all the same."""
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180, tag="one")
    called.invite.reply(180, tag="two")
    rang = ask.statuses
    called.invite.reply(199, tag="one")
    assert ask.statuses == rang
    called.tag = "one"
    assert called.ask("UPDATE").statuses == [481]
    called.tag = "two"
    assert called.ask("UPDATE").statuses == [200]
    ask.cancel()


def test_more_callees_than_anybody_has(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    for number in range(MAX_EARLY + 5):
        called.invite.reply(180, b"", reliable(1), tag=f"tag-{number}")
    assert len(pracks(called)) == MAX_EARLY
    called.tag = f"tag-{MAX_EARLY + 4}"
    called.invite.reply(200, ONE, tag=called.tag)
    ask.ack()
    assert lab.stages[-1] == "connected"
    ask.side.bye()


@pytest.mark.parametrize("method", ["BYE", "PRACK", "REFER"])
def test_what_a_callee_may_not_say_before_its_answer(lab: Lab, method: str) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180)
    assert called.ask(method).status in (481, 500)
    assert ask.status == 180
    ask.cancel()


def test_a_stranger_to_the_fork(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(180, tag="one")
    called.tag = "nobody"
    assert called.ask("UPDATE").statuses == [481]
    ask.cancel()
