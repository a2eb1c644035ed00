"""re-INVITE: passed through to the other side, direct or anchored, with its glares and refusals."""

from __future__ import annotations

import pytest
from msgspec import structs

from engine.model.media import SetRemote
from tests.call.kit import ACCESS, CARRIER, LONG, NUMBER, Lab
from tests.call.media import MEDIA_HOST
from tests.call.peer import Ask, Side, sdp
from tests.call.test_clean_call import origin, without_origin

BODY = {"caller": sdp(CARRIER[0], 40002, version=2), "callee": sdp(ACCESS[0], 50002, version=2)}
HOLD = {
    "caller": sdp(CARRIER[0], 40000, version=2, way="sendonly"),
    "callee": sdp(ACCESS[0], 50000, version=2, way="sendonly"),
}
WHO = pytest.mark.parametrize("who", ["caller", "callee"])


class Pair:
    """A connected call, seen from the side that asks and the one that is asked."""

    def __init__(self, lab: Lab, who: str, *, anchored: bool) -> None:
        if anchored:
            decide = lab.decide
            lab.decide = lambda request: structs.replace(decide(request), record=True)
        caller, called = lab.connect()
        lab.media.finish()
        self.asking: Side = caller if who == "caller" else called
        self.asked: Side = called if who == "caller" else caller
        self.who, self.other = who, "callee" if who == "caller" else "caller"
        lab.ladder()

    def offer(self, body: bytes) -> Ask:
        return self.asking.offer(body)

    def take(self, body: bytes) -> None:
        self.asked.last("INVITE").reply(200, body)


@pytest.fixture(params=[False, True], ids=["direct", "anchored"])
def anchored(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def remote(lab: Lab, endpoint: str) -> SetRemote:
    return lab.media.remotes()[endpoint]


# --- passed through ---


@WHO
def test_an_offer_reaches_the_other_side_and_its_answer_comes_back(
    lab: Lab, who: str, anchored: bool
) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(BODY[who])
    asked = pair.asked.last("INVITE").request
    assert ask.statuses == [100]
    pair.take(BODY[pair.other])
    assert ask.statuses == [100, 200]
    assert len(pair.asked.acks) == 1 + (pair.other == "callee")
    ask.ack()
    if anchored:
        assert MEDIA_HOST in asked.body.decode() and MEDIA_HOST in ask.last.body.decode()
        assert remote(lab, who).port == int(BODY[who].split(b"m=audio ")[1].split()[0])
        assert remote(lab, pair.other).port == int(BODY[pair.other].split(b"m=audio ")[1].split()[0])
    else:
        assert without_origin(asked.body) == without_origin(BODY[who])
        assert without_origin(ask.last.body) == without_origin(BODY[pair.other])
        assert origin(asked.body)[1] == "2"
    pair.asking.bye()


@WHO
def test_hold_and_resume(lab: Lab, who: str, anchored: bool) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(HOLD[who])
    assert b"a=sendonly" in pair.asked.last("INVITE").request.body
    pair.take(BODY[pair.other].replace(b"m=audio", b"a=recvonly\r\nm=audio"))
    assert b"a=recvonly" in ask.last.body
    ask.ack()
    if anchored:
        assert not remote(lab, who).send
        assert not remote(lab, pair.other).receive
    again = pair.offer(BODY[who])
    assert b"a=sendonly" not in pair.asked.last("INVITE").request.body
    pair.take(BODY[pair.other])
    again.ack()
    if anchored:
        assert remote(lab, who).send
        assert remote(lab, pair.other).receive
    pair.asking.bye()


@WHO
def test_hold_of_the_old_kind(lab: Lab, who: str) -> None:
    """RFC 3264 §8.4: 0.0.0.0 means that nothing may be sent there; the other side is offered sendonly."""
    pair = Pair(lab, who, anchored=True)
    address = CARRIER[0] if who == "caller" else ACCESS[0]
    ask = pair.offer(BODY[who].replace(f"c=IN IP4 {address}".encode(), b"c=IN IP4 0.0.0.0"))
    asked = pair.asked.last("INVITE").request.body
    assert b"0.0.0.0" not in asked
    assert b"a=sendonly" in asked
    pair.take(BODY[pair.other].replace(b"m=audio", b"a=recvonly\r\nm=audio"))
    assert ask.status == 200
    ask.ack()
    assert not remote(lab, who).send
    pair.asking.bye()


@WHO
def test_a_late_offer_is_answered_in_the_ack(lab: Lab, who: str, anchored: bool) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(b"")
    if anchored:
        assert MEDIA_HOST in ask.last.body.decode()
        assert lab.ladder()[1:] == [f"E→{'C' if who == 'caller' else 'S'} {status}" for status in (100, 200)]
        ask.ack(BODY[who])
        assert remote(lab, who).port in (40002, 50002)
    else:
        assert pair.asked.last("INVITE").request.body == b""
        acks = len(pair.asked.acks)
        pair.take(BODY[pair.other])
        assert len(pair.asked.acks) == acks
        assert without_origin(ask.last.body) == without_origin(BODY[pair.other])
        ask.ack(BODY[who])
        assert without_origin(pair.asked.acks[-1].body) == without_origin(BODY[who])
    pair.asked.bye()


def test_a_call_that_begins_with_a_late_offer(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    assert called.invite.request.body == b""
    assert called.invite.request.get("Content-Type") is None
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    assert called.acks == []
    assert without_origin(ask.last.body) == without_origin(sdp(ACCESS[0], 50000))
    ask.ack(sdp(CARRIER[0], 41000))
    assert without_origin(called.acks[0].body) == without_origin(sdp(CARRIER[0], 41000))
    ask.side.bye()


def test_the_version_rises_only_with_the_content(lab: Lab, anchored: bool) -> None:
    pair = Pair(lab, "caller", anchored=anchored)
    versions = [origin(pair.asked.invite.request.body)[1]]
    for body in (sdp(CARRIER[0]), sdp(CARRIER[0]), HOLD["caller"], HOLD["caller"]):
        ask = pair.offer(body)
        versions.append(origin(pair.asked.last("INVITE").request.body)[1])
        pair.take(sdp(ACCESS[0], 50000))
        ask.ack()
    assert versions == ["1", "1", "1", "2", "2"]
    answers = [
        origin(response.body)[1] for each in pair.asking.asks.values() for response in each.responses[-1:]
    ]
    assert answers == (["1", "1", "1", "2", "2"] if anchored else ["1"] * 5)
    pair.asking.bye()


# --- refused ---


@WHO
@pytest.mark.parametrize(("status", "passed"), [(488, 488), (491, 491), (603, 603), (401, 500), (302, 480)])
def test_a_refused_offer_leaves_the_call_as_it_was(
    lab: Lab, who: str, anchored: bool, status: int, passed: int
) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(BODY[who])
    pair.asked.last("INVITE").reply(status)
    assert ask.statuses == [100, passed]
    assert lab.core.calls
    again = pair.offer(BODY[who])
    pair.take(BODY[pair.other])
    assert again.status == 200
    again.ack()
    pair.asking.bye()


@WHO
@pytest.mark.parametrize("status", [408, 481])
def test_a_side_that_knows_no_such_dialog_is_gone(lab: Lab, who: str, anchored: bool, status: int) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(BODY[who])
    pair.asked.last("INVITE").reply(status)
    assert ask.status == 487
    assert pair.asking.has("BYE") == 1
    assert lab.ended == "upstream/timeout 200"


def test_a_side_that_answers_nothing_is_gone(lab: Lab) -> None:
    pair = Pair(lab, "caller", anchored=False)
    lab.lose = lambda line: line == "E→S INVITE"
    ask = pair.offer(BODY["caller"])
    lab.advance(33)
    assert ask.status == 487
    assert lab.ended == "upstream/timeout 200"


@WHO
@pytest.mark.parametrize("body", [b"nonsense", b"v=0\r\n", sdp("224.0.0.1")])
def test_an_offer_that_cannot_be_read_is_488(lab: Lab, who: str, anchored: bool, body: bytes) -> None:
    pair = Pair(lab, who, anchored=anchored)
    assert pair.offer(body).statuses == [100, 488]
    assert pair.asked.has("INVITE") == (pair.other == "callee")
    pair.asking.bye()


def test_an_offer_without_a_codec_of_ours_is_488_where_we_stand_between(lab: Lab) -> None:
    pair = Pair(lab, "caller", anchored=True)
    assert pair.offer(sdp(CARRIER[0], formats="18")).statuses == [100, 488]
    pair.asking.bye()


@WHO
def test_an_answer_that_cannot_be_read_is_acknowledged_and_refused(
    lab: Lab, who: str, anchored: bool
) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(BODY[who])
    acks = len(pair.asked.acks)
    pair.take(b"nonsense")
    assert len(pair.asked.acks) == acks + 1
    assert ask.statuses == [100, 488]
    pair.asking.bye()


@WHO
def test_a_late_offer_that_cannot_be_read_is_acknowledged_and_refused(lab: Lab, who: str) -> None:
    pair = Pair(lab, who, anchored=False)
    ask = pair.offer(b"")
    acks = len(pair.asked.acks)
    pair.take(b"nonsense")
    assert len(pair.asked.acks) == acks + 1
    assert ask.statuses == [100, 488]
    pair.asking.bye()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Require", "100rel, Path, Timer, gruu")], 420),
        ([("Require", 'a, "b')], 400),
        ([("Content-Type", "application/isup")], 415),
    ],
)
def test_extensions_and_other_bodies_are_refused_in_a_dialog_too(
    lab: Lab, headers: list[tuple[str, str]], status: int
) -> None:
    pair = Pair(lab, "callee", anchored=False)
    ask = pair.asking.ask("INVITE", BODY["callee"], headers=headers)
    assert ask.statuses == [status]
    if status == 420:
        assert ask.last.get("Unsupported") == "path, gruu"
    pair.asking.bye()


# --- at the same time ---


@WHO
def test_glare_is_491(lab: Lab, who: str, anchored: bool) -> None:
    """RFC 3261 §14.2: the asked side asks before it has answered."""
    pair = Pair(lab, who, anchored=anchored)
    first = pair.offer(BODY[who])
    second = pair.asked.offer(BODY[pair.other])
    assert second.statuses == [491]
    pair.take(BODY[pair.other])
    assert first.statuses == [100, 200]
    first.ack()
    pair.asking.bye()


@WHO
def test_a_second_offer_before_the_answer_to_the_first_is_500(lab: Lab, who: str, anchored: bool) -> None:
    pair = Pair(lab, who, anchored=anchored)
    first = pair.offer(BODY[who])
    second = pair.offer(BODY[who])
    assert second.statuses == [500]
    assert (second.last.get("Retry-After") or "").isdigit()
    pair.take(BODY[pair.other])
    assert first.status == 200
    first.ack()
    pair.asking.bye()


@WHO
def test_an_offer_waits_for_the_ack_of_the_last(lab: Lab, who: str) -> None:
    """RFC 3261 §14.1: no INVITE while another is under way in either direction."""
    pair = Pair(lab, who, anchored=False)
    first = pair.offer(BODY[who])
    pair.take(BODY[pair.other])
    assert pair.asked.offer(BODY[pair.other]).statuses == [100, 491]
    first.ack()
    second = pair.asked.offer(BODY[pair.other])
    assert second.statuses == [100]
    pair.asking.last("INVITE").reply(200, BODY[who])
    second.ack()
    pair.asking.bye()


def test_the_callee_asks_before_the_caller_has_acknowledged(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    assert called.offer(BODY["callee"]).statuses == [100, 491]
    assert ask.side.has("INVITE") == 0
    ask.ack()
    ask.side.bye()


# --- taken back, cut off ---


@WHO
def test_a_cancelled_offer_is_taken_back_on_the_other_side(lab: Lab, who: str, anchored: bool) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(BODY[who])
    pair.asked.last("INVITE").reply(100)
    ask.cancel()
    assert ask.statuses == [100, 487]
    assert pair.asked.has("CANCEL") == 1
    assert lab.core.calls
    again = pair.offer(BODY[who])
    pair.take(BODY[pair.other])
    again.ack()
    assert again.status == 200
    pair.asking.bye()


@WHO
def test_a_cancelled_offer_that_was_taken_meanwhile(lab: Lab, who: str, anchored: bool) -> None:
    pair = Pair(lab, who, anchored=anchored)
    lab.phone.takes_cancel = lab.carrier.takes_cancel = False
    ask = pair.offer(BODY[who])
    pair.asked.last("INVITE").reply(100)
    ask.cancel()
    acks = len(pair.asked.acks)
    pair.take(BODY[pair.other])
    assert len(pair.asked.acks) == acks + 1
    assert ask.statuses == [100, 487]
    pair.asking.bye()


@WHO
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("ends", ["asking", "asked"])
def test_bye_in_the_middle_of_an_offer(lab: Lab, who: str, late: bool, ends: str) -> None:
    pair = Pair(lab, who, anchored=False)
    ask = pair.offer(b"" if late else BODY[who])
    pair.asked.last("INVITE").reply(100)
    (pair.asking if ends == "asking" else pair.asked).bye()
    assert ask.status == 487
    assert (pair.asked if ends == "asking" else pair.asking).has("BYE") == 1
    lab.advance(LONG)


@WHO
def test_a_late_offer_whose_ack_never_comes(lab: Lab, who: str) -> None:
    pair = Pair(lab, who, anchored=False)
    pair.offer(b"")
    acks = len(pair.asked.acks)
    pair.take(BODY[pair.other])
    lab.advance(33)
    assert lab.ended == f"{who}/ack_missing 200"
    refusal = pair.asked.acks[acks]
    assert b"m=audio 0 RTP/AVP" in refusal.body


def test_a_call_with_a_late_offer_whose_ack_never_comes(lab: Lab) -> None:
    lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    lab.advance(33)
    assert lab.ended == "caller/ack_missing 200"
    assert b"m=audio 0 RTP/AVP 8 0 101" in called.acks[0].body
    assert called.has("BYE") == 1


@pytest.mark.parametrize("body", [b"nonsense", b"v=0\r\nx"])
def test_a_late_offer_call_whose_offer_cannot_be_read(lab: Lab, body: bytes) -> None:
    ask = lab.carrier.invite(NUMBER, b"")
    called = lab.phone.calls[0]
    called.invite.reply(200, body)
    assert ask.status == 488
    assert (len(called.acks), called.has("BYE")) == (1, 1)
    assert lab.ended == "upstream/not_acceptable 488"


def test_a_repeated_answer_to_an_offer_is_acknowledged_again(lab: Lab, anchored: bool) -> None:
    pair = Pair(lab, "caller", anchored=anchored)
    ask = pair.offer(BODY["caller"])
    acks = len(pair.asked.acks)
    pair.take(BODY["callee"])
    pair.take(BODY["callee"])
    assert len(pair.asked.acks) == acks + 2
    assert ask.statuses == [100, 200]
    ask.ack()
    pair.asking.bye()


def test_an_offer_while_the_call_ends_is_refused(lab: Lab) -> None:
    caller, called = lab.connect()
    lab.phone.bye_status = None
    caller.bye()
    assert called.offer(BODY["callee"]).statuses == [100, 491]
    called.last("BYE").reply(200)
