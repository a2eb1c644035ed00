"""CANCEL and the races it runs (RFC 3261 §9)."""

from __future__ import annotations

import pytest

from engine.sip.dialog import Dialog
from engine.sip.effects import (
    AckReceived,
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    TransactionFailed,
)
from engine.sip.errors import LocalProtocolError
from engine.sip.parse import parse
from tests.sip.kit import BOB, PEER, Datagram, Host, Net, make_request, wire

REASON = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')


def test_cancel_after_ringing(net: Net, alice: Host, bob: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    alice.hear(ResponseReceived)
    alice.cancel(key, [REASON])
    alice.cancel(key)
    cancelled = bob.hear(CancelReceived)
    assert cancelled.key == invite.key
    assert cancelled.cancel.get("Reason") == REASON[1]
    bob.respond(invite.key, invite.request, 487)
    assert net.ladder() == [
        "0 A→B INVITE",
        "0 B→A 180 Ringing",
        "0 A→B CANCEL",
        "0 B→A 200 OK (CANCEL)",
        "0 B→A 487 Request Terminated",
        "0 A→B ACK",
    ]
    assert alice.hear(ResponseReceived).response.status == 487
    assert alice.heard == bob.heard == []
    net.advance(64)
    assert not any(alice.layer.counts().values())
    assert not any(bob.layer.counts().values())


def test_cancel_repeats_what_identifies_the_invite(net: Net, alice: Host, bob: Host) -> None:
    request = make_request("INVITE", alice, BOB, route="<sip:192.0.2.1;lr>")
    key = alice.request(request, BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    alice.cancel(key)
    first, cancel = parse(net.written["INVITE"]), parse(net.written["CANCEL"])
    for name in ("Via", "From", "To", "Call-ID", "Route"):
        assert cancel.rows(name) == first.rows(name)
    assert cancel.cseq == (1, "CANCEL")
    assert net.written["CANCEL"].split()[1] == net.written["INVITE"].split()[1]
    # The answer to the CANCEL has the tag of the early dialog (§9.2).
    assert parse(net.written["200 OK (CANCEL)"]).to.tag == "B-local"


def test_cancel_before_any_response_is_held(net: Net, alice: Host, bob: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    alice.cancel(key)
    net.advance(0.2)
    assert net.sent("A") == ["INVITE"]
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 100)
    assert net.ladder() == ["0.2 B→A 100 Trying", "0.2 A→B CANCEL", "0.2 B→A 200 OK (CANCEL)"]
    bob.hear(CancelReceived)


def test_held_cancel_of_an_invite_nobody_answers_never_leaves(net: Net, alice: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    alice.cancel(key)
    net.advance(32)
    assert set(net.sent("A")) == {"INVITE"}
    assert alice.heard == [TransactionFailed(key, "timeout")]


@pytest.mark.parametrize("status", [200, 486])
def test_final_response_without_provisional_drops_the_held_cancel(
    net: Net, alice: Host, bob: Host, status: int
) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    alice.cancel(key)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, status)
    assert "CANCEL" not in net.sent("A")
    assert alice.hear(ResponseReceived).response.status == status


def test_cancel_crossing_200_is_answered_and_changes_nothing(net: Net, alice: Host, bob: Host) -> None:
    net.delay_s = 0.1
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    net.advance(0.1)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    net.advance(0.1)
    alice.hear(ResponseReceived)
    alice.cancel(key)
    bob.respond(invite.key, invite.request, 200)
    net.advance(0.2)
    assert net.ladder() == [
        "0 A→B INVITE",
        "0.1 B→A 180 Ringing",
        "0.2 A→B CANCEL",
        "0.2 B→A 200 OK",
        "0.3 B→A 200 OK (CANCEL)",
    ]
    assert bob.heard == []
    assert alice.hear(ResponseReceived).response.status == 200
    assert alice.heard == []


def test_cancel_crossing_a_failure_is_answered_and_changes_nothing(net: Net, bob: Host) -> None:
    net.inject(wire(), PEER, bob)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 486)
    net.inject(wire("CANCEL"), PEER, bob)
    assert net.sent("B") == ["486 Busy Here", "200 OK (CANCEL)"]
    assert bob.heard == []


def test_cancel_after_the_final_response_is_not_sent(net: Net, alice: Host, bob: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 200)
    alice.cancel(key)
    assert net.sent("A") == ["INVITE"]
    net.advance(64)
    alice.cancel(key)
    assert net.sent("A") == []


def test_lost_cancel_is_retransmitted_and_answered_once(net: Net, alice: Host, bob: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    net.ladder()
    lost: list[str] = []

    def lose_each_first(datagram: Datagram) -> bool:
        lost.append(datagram.summary)
        return lost.count(datagram.summary) == 1

    net.lose = lose_each_first
    alice.cancel(key)
    net.advance(2)
    assert net.ladder() == [
        "0 A→B CANCEL",
        "0.5 A→B CANCEL",
        "0.5 B→A 200 OK (CANCEL)",
        "1.5 A→B CANCEL",
        "1.5 B→A 200 OK (CANCEL)",
    ]
    bob.hear(CancelReceived)
    assert bob.heard == []


def test_an_invite_that_ignores_its_cancel_ends_after_64_t1(net: Net, alice: Host, bob: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    net.advance(100)
    alice.hear(ResponseReceived)
    alice.cancel(key)
    net.advance(31.9)
    assert alice.heard == []
    net.advance(0.1)
    assert alice.heard == [TransactionFailed(key, "timeout")]
    assert not any(alice.layer.counts().values())


def test_a_cancel_nobody_answers_is_not_reported_itself(net: Net, alice: Host, bob: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    alice.hear(ResponseReceived)
    net.lose = lambda datagram: datagram.summary == "CANCEL"
    alice.cancel(key)
    net.advance(10)
    bob.respond(invite.key, invite.request, 486)
    net.advance(60)
    assert alice.hear(ResponseReceived).response.status == 486
    assert alice.heard == []


def test_cancel_that_matches_nothing_gets_481(net: Net, bob: Host) -> None:
    net.inject(wire("CANCEL"), PEER, bob)
    assert net.sent("B") == ["481 Call/Transaction Does Not Exist (CANCEL)"]
    assert bob.heard == []
    assert not any(bob.layer.counts().values())


def test_cancel_of_another_method_than_invite_matches_nothing(net: Net, bob: Host) -> None:
    net.inject(wire("OPTIONS"), PEER, bob)
    bob.hear(RequestReceived)
    net.inject(wire("CANCEL"), PEER, bob)
    assert net.sent("B") == ["481 Call/Transaction Does Not Exist (CANCEL)"]


def test_repeated_cancel_is_answered_but_reported_once(net: Net, bob: Host) -> None:
    net.inject(wire(), PEER, bob)
    bob.hear(RequestReceived)
    net.inject(wire("CANCEL"), PEER, bob)
    net.inject(wire("CANCEL"), PEER, bob)
    assert net.sent("B") == ["200 OK (CANCEL)"] * 2
    bob.hear(CancelReceived)
    assert bob.heard == []


def test_only_an_invite_can_be_cancelled_and_a_bad_reason_raises_at_once(net: Net, alice: Host) -> None:
    options = alice.request(make_request("OPTIONS", alice, BOB), BOB)
    with pytest.raises(LocalProtocolError):
        alice.cancel(options)
    invite = alice.request(make_request("INVITE", alice, BOB), BOB)
    with pytest.raises(LocalProtocolError):
        alice.cancel(invite, [("Reason", "a\r\nb")])
    alice.cancel(invite, [REASON])


def test_answered_call_after_all(net: Net, alice: Host, bob: Host) -> None:
    """The whole of a call that was to be cancelled: 200 crosses CANCEL, then ACK and BYE."""
    request = make_request("INVITE", alice, BOB)
    key = alice.request(request, BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    bob.respond(invite.key, invite.request, 200)
    alice.cancel(key)
    alice.hear(ResponseReceived)
    dialog = Dialog.uac(request, alice.hear(ResponseReceived).response, alice.contact)
    alice.ack(dialog, BOB)
    bob.hear(AckReceived)
    alice.request(dialog.request("BYE"), BOB)
    bye = bob.hear(RequestReceived)
    bob.respond(bye.key, bye.request, 200)
    assert alice.hear(ResponseReceived).response.cseq == (2, "BYE")
    net.advance(64)
    assert not any(alice.layer.counts().values())
    assert not any(bob.layer.counts().values())


def test_only_the_host_that_invited_may_cancel(net: Net, bob: Host) -> None:
    net.stranger("X", ("192.0.2.66", 5060))
    net.inject(wire(), PEER, bob)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    net.inject(wire("CANCEL"), ("192.0.2.66", 5060), bob)
    net.inject(wire("CANCEL"), (PEER[0], 40000), bob)  # another port of the same host
    assert net.sent("B") == ["180 Ringing", "481 Call/Transaction Does Not Exist (CANCEL)", "200 OK (CANCEL)"]
    assert bob.hear(CancelReceived).key == invite.key
