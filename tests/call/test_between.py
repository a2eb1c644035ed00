"""What passes from one leg to the other beside re-INVITE: UPDATE, keys by INFO, kinds of ringing."""

from __future__ import annotations

import pytest

from engine.model.screening import Action
from tests.call.kit import ACCESS, CARRIER, NUMBER, Lab
from tests.call.peer import Side, sdp
from tests.call.test_clean_call import without_origin
from tests.call.test_offers import BODY, HOLD, WHO, Pair

UPDATES = [("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")]
RELIABLE = [*UPDATES, ("Supported", "100rel")]


def key(side: Side, signal: str) -> int:
    body = f"Signal={signal}\r\nDuration=160\r\n".encode()
    return side.ask("INFO", body, [("Content-Type", "application/dtmf-relay")]).status


# --- keys ---


@WHO
@pytest.mark.parametrize("record", [False, True])
def test_keys_pass_by_info(lab: Lab, who: str, record: bool) -> None:
    pair = Pair(lab, who, anchored=record)
    assert key(pair.asking, "7") == 200
    told = pair.asked.last("INFO")
    assert told.request.get("Content-Type") == "application/dtmf-relay"
    assert told.request.body == b"Signal=7\r\nDuration=160\r\n"
    told.reply(200)
    pair.asking.bye()


@pytest.mark.parametrize(
    ("signal", "ended"), [("1", "caller/hung_up 200"), ("2", "callee/warning_refused 607")]
)
def test_a_key_by_info_counts_in_the_warning(lab: Lab, signal: str, ended: str) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_callee")
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    assert key(called, signal) == 200
    if signal == "1":
        ask.ack()
        assert lab.stages[-1] == "connected"
        ask.side.bye()
    assert lab.ended == ended


def test_the_caller_presses_nothing_for_the_callee(lab: Lab) -> None:
    lab.verdict(action=Action.WARN, announcement="warn_callee", record=False)
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    ask.side.remote_tag = ask.last.to.tag or ""
    ask.side.target = "sip:127.0.20.1:5060"
    key(ask.side, "1")
    assert lab.stages[-1] == "warning"
    ask.cancel()


# --- UPDATE ---


def connected_with_update(lab: Lab) -> tuple[Side, Side]:
    ask = lab.carrier.invite(NUMBER, headers=UPDATES)
    called = lab.phone.calls[-1]
    called.invite.reply(200, sdp(ACCESS[0], 50000), UPDATES)
    ask.ack()
    return ask.side, called


@pytest.mark.parametrize("who", [0, 1], ids=["caller", "callee"])
def test_update_passes_as_update(lab: Lab, who: int) -> None:
    sides = connected_with_update(lab)
    asking, asked = sides[who], sides[1 - who]
    names = ("caller", "callee")
    ask = asking.ask("UPDATE", HOLD[names[who]], [("Contact", asking.peer.contact)])
    told = asked.last("UPDATE")
    assert without_origin(told.request.body) == without_origin(HOLD[names[who]])
    told.reply(200, BODY[names[1 - who]], contact=asked.peer.contact)
    assert ask.status == 200
    assert without_origin(ask.last.body) == without_origin(BODY[names[1 - who]])
    asking.bye()


def test_update_becomes_a_re_invite_for_a_peer_that_knows_none(lab: Lab) -> None:
    caller, called = lab.connect()
    ask = caller.ask("UPDATE", HOLD["caller"], [("Contact", caller.peer.contact)])
    told = called.last("INVITE")
    assert told is not called.invite
    told.reply(200, BODY["callee"])
    assert ask.status == 200
    assert len(called.acks) == 2
    caller.bye()


def early(lab: Lab) -> tuple[Side, Side]:
    """Both early dialogs have an agreed session: 183 and PRACK on either side."""
    ask = lab.carrier.invite(NUMBER, headers=RELIABLE)
    called = lab.phone.calls[-1]
    called.invite.reply(183, sdp(ACCESS[0], 50000), [*UPDATES, ("Require", "100rel"), ("RSeq", "5")])
    called.last("PRACK").reply(200)
    side = ask.side
    side.remote_tag = ask.last.to.tag or ""
    side.target = "sip:127.0.20.1:5060"
    assert side.ask("PRACK", headers=[("RAck", f"{ask.last.get('RSeq')} 1 INVITE")]).status == 200
    return side, called


@pytest.mark.parametrize("record", [False, True])
def test_update_in_early_dialogs(lab: Lab, record: bool) -> None:
    lab.verdict(record=record)
    caller, called = early(lab)
    ask = caller.ask("UPDATE", BODY["caller"], [("Contact", caller.peer.contact)])
    if record:  # our media worker takes it without the other side
        assert called.has("UPDATE") == 0
        assert lab.media.remotes()["caller"].port == 40002
    else:
        told = called.last("UPDATE")
        assert without_origin(told.request.body) == without_origin(BODY["caller"])
        told.reply(200, BODY["callee"], contact=called.peer.contact)
        assert without_origin(ask.last.body) == without_origin(BODY["callee"])
    assert ask.status == 200
    called.invite.reply(486)
    assert lab.ended == "callee/busy 486"


def test_an_early_offer_for_a_side_that_takes_none_is_refused(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=RELIABLE)
    called = lab.phone.calls[-1]
    called.invite.reply(183, sdp(ACCESS[0], 50000))  # neither reliable nor with UPDATE
    side = ask.side
    side.remote_tag, side.target = ask.last.to.tag or "", "sip:127.0.20.1:5060"
    side.ask("PRACK", headers=[("RAck", f"{ask.last.get('RSeq')} 1 INVITE")])
    assert side.ask("UPDATE", BODY["caller"], [("Contact", CARRIER[0])]).status in (400, 488)
    assert called.has("UPDATE") == 0
    called.invite.reply(486)


def test_a_caller_that_acknowledges_no_reliable_ringing(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=RELIABLE)
    called = lab.phone.calls[-1]
    called.invite.reply(183, sdp(ACCESS[0], 50000))
    lab.advance(33)
    assert ask.status == 504
    assert called.has("CANCEL") == 1
    assert lab.ended == "caller/ack_missing 504"


# --- an offer that was taken back when it had been answered ---


@WHO
def test_both_sides_end_with_the_same_description(lab: Lab, who: str, anchored: bool) -> None:
    pair = Pair(lab, who, anchored=anchored)
    ask = pair.offer(HOLD[who])
    held = pair.asked.last("INVITE")
    ask.cancel()
    assert ask.status == 487
    held.reply(200, BODY[pair.other].replace(b"m=audio", b"a=recvonly\r\nm=audio"))
    again = pair.asked.last("INVITE")
    assert again is not held
    assert b"a=sendonly" in held.request.body and b"a=sendonly" not in again.request.body
    acks = len(pair.asked.acks)
    again.reply(200, BODY[pair.other])
    assert len(pair.asked.acks) == acks + 1
    assert ask.statuses == [100, 487]
    taken = pair.offer(BODY[who])  # and the next offer passes as any
    pair.asked.last("INVITE").reply(200, BODY[pair.other])
    taken.ack()
    pair.asking.bye()


@pytest.fixture(params=[False, True], ids=["direct", "anchored"])
def anchored(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# --- ringing ---


@pytest.mark.parametrize(("status", "told"), [(180, 180), (181, 181), (182, 182), (183, 180)])
def test_what_kind_of_ringing(lab: Lab, status: int, told: int) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(status)
    assert ask.statuses == [100, told]
    ask.cancel(headers=[("Reason", 'SIP;cause=200;text="Call completed elsewhere"')])
    cancel = lab.phone.calls[0].last("CANCEL").request
    assert cancel.rows("Reason") == ['SIP;cause=200;text="Call completed elsewhere"']
