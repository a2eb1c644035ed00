"""Offers in reliable provisional responses, answered in their PRACK (RFC 3262 §5), on legs by themselves."""

from __future__ import annotations

from engine.call.leg_events import LegAnswered, LegOffered, LegProgressAcknowledged, LegRinging
from engine.call.legs import IncomingLeg, OutgoingLeg
from engine.sip.flow import Flow
from tests.call.peer import Side, sdp
from tests.call.phone import OURS, PEER, PHONE, Phones

THEIRS = sdp(PEER[0], 40000)
CAN = [("Supported", "100rel")]
RELIABLE = [("Require", "100rel"), ("RSeq", "1")]


def calling(phones: Phones) -> tuple[Side, OutgoingLeg]:
    """An INVITE without offer that takes reliable responses all the same."""
    wire = phones.core._wire
    leg = OutgoingLeg(
        wire=wire,
        role="phone",
        flow=Flow("udp", PHONE, PEER),
        contact=wire.contacts["udp"],
        call_id=wire.ids.call_id(),
        tag=wire.ids.tag(),
        listener=phones._heard,
    )
    asked, from_ = f"sip:1@{PEER[0]}", f"<sip:me@{PHONE[0]}>"
    phones.act(lambda: leg.call(asked, from_, b"", port=PEER[1], reliable=True))
    return phones.peer.calls[-1], leg


def test_an_offer_of_the_callees_is_answered_in_the_prack() -> None:
    phones = Phones()
    side, leg = calling(phones)
    side.invite.reply(183, THEIRS, RELIABLE)
    assert phones.take(LegRinging) == LegRinging(THEIRS, 183, reliable=True, offers=True)
    assert side.has("PRACK") == 0
    phones.act(lambda: leg.accept_offer(OURS))
    assert side.last("PRACK").request.body == OURS
    side.invite.reply(200)
    assert phones.take(LegAnswered) == LegAnswered(THEIRS)
    phones.act(leg.acknowledge)
    assert side.acks[0].body == b""


def test_one_that_nobody_can_use_is_refused_in_the_prack() -> None:
    phones = Phones()
    side, leg = calling(phones)
    side.invite.reply(183, THEIRS, RELIABLE)
    phones.act(lambda: leg.refuse_offer(488))
    assert b"m=audio 0 RTP/AVP" in side.last("PRACK").request.body
    phones.act(leg.cancel)
    assert side.has("CANCEL") == 1


def incoming(phones: Phones) -> IncomingLeg:
    leg = phones.legs[-1]
    assert isinstance(leg, IncomingLeg)
    return leg


def test_our_offer_to_a_caller_without_one() -> None:
    phones = Phones()
    ask = phones.peer.invite("1", b"", CAN)
    leg = incoming(phones)
    phones.act(lambda: leg.progress(183, OURS))
    assert ask.last.get("RSeq") is not None
    phones.act(lambda: leg.answer(b""))
    assert ask.status == 183
    ask.side.prack(ask.last, THEIRS)
    assert phones.take(LegProgressAcknowledged) == LegProgressAcknowledged(THEIRS)
    assert ask.status == 200


def test_a_new_offer_in_the_prack() -> None:
    phones = Phones()
    ask = phones.peer.invite("1", headers=CAN)
    leg = incoming(phones)
    phones.act(lambda: leg.progress(183, OURS))
    newer = sdp(PEER[0], 40002, version=2)
    prack = ask.side.prack(ask.last, newer)
    assert phones.take(LegOffered) == LegOffered(newer, "PRACK")
    assert prack.statuses == []
    phones.act(lambda: leg.accept_offer(OURS))
    assert (prack.status, prack.last.body) == (200, OURS)
    phones.act(lambda: leg.answer(OURS))
    assert (ask.status, ask.last.body) == (200, b"")


def test_an_update_of_ours_in_the_early_dialog() -> None:
    """RFC 3311 §5.1: once the first offer has its answer."""
    phones = Phones()
    ask = phones.peer.invite("1", headers=[*CAN, ("Allow", "INVITE, PRACK, UPDATE")])
    leg = incoming(phones)
    phones.act(lambda: leg.progress(183, OURS))
    ask.side.prack(ask.last)
    phones.act(lambda: leg.offer(OURS, "UPDATE"))
    update = ask.side.last("UPDATE")
    assert (update.request.body, update.request.uri.host) == (OURS, PEER[0])
    update.reply(200, THEIRS)
    assert update.request.contact is not None


def test_an_update_of_ours_to_the_callee_before_its_answer() -> None:
    phones = Phones()
    side, leg = phones.call()
    side.invite.reply(183, THEIRS, [*RELIABLE, ("Allow", "INVITE, PRACK, UPDATE")])
    phones.act(lambda: leg.offer(OURS, "UPDATE"))
    update = side.last("UPDATE")
    assert update.request.to.tag == side.tag
    update.reply(200, sdp(PEER[0], 40002))
    side.invite.reply(200)
    assert phones.take(LegAnswered) == LegAnswered(sdp(PEER[0], 40002))  # what holds by now
