"""Client transactions: retransmission, timeouts, final responses (RFC 3261 §17.1, RFC 6026)."""

from __future__ import annotations

import pytest

from engine.sip.dialog import Dialog
from engine.sip.effects import (
    Discarded,
    RequestReceived,
    ResponseReceived,
    Send,
    TransactionFailed,
)
from engine.sip.errors import LocalProtocolError
from engine.sip.message import response_to
from engine.sip.parse import parse
from tests.sip.kit import ALICE, BOB, Datagram, Host, Net, make_request


def idle(*hosts: Host) -> bool:
    return all(not any(host.layer.counts().values()) for host in hosts)


def test_invite_to_nobody_is_retransmitted_by_timer_a_and_fails_by_timer_b(net: Net, alice: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    net.advance(31.9)
    assert net.times("A", "INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert alice.heard == []
    net.advance(0.1)
    assert alice.heard == [TransactionFailed(key, "timeout")]
    assert idle(alice)


def test_retransmissions_are_the_same_bytes(net: Net, alice: Host) -> None:
    seen: list[bytes] = []

    def keep(datagram: Datagram) -> bool:
        seen.append(datagram.data)
        return True

    net.lose = keep
    alice.request(make_request("INVITE", alice, BOB), BOB)
    net.advance(4)
    assert len(seen) == 4
    assert len(set(seen)) == 1


def test_provisional_stops_timers_a_and_b(net: Net, alice: Host, bob: Host) -> None:
    alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 180)
    assert alice.hear(ResponseReceived).response.status == 180
    net.advance(300)
    assert net.ladder() == ["0 A→B INVITE", "0 B→A 180 Ringing"]
    assert alice.heard == []


def test_failure_is_acknowledged_by_the_transaction_and_again_when_repeated(
    net: Net, alice: Host, bob: Host
) -> None:
    alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    lost = 0

    def lose_two_acks(datagram: Datagram) -> bool:
        nonlocal lost
        lost += datagram.summary == "ACK"
        return datagram.summary == "ACK" and lost <= 2

    net.lose = lose_two_acks
    bob.respond(invite.key, invite.request, 486)
    net.advance(10)
    assert net.ladder() == [
        "0 A→B INVITE",
        "0 B→A 486 Busy Here",
        "0 A→B ACK",
        "0.5 B→A 486 Busy Here",
        "0.5 A→B ACK",
        "1.5 B→A 486 Busy Here",
        "1.5 A→B ACK",
    ]
    assert alice.hear(ResponseReceived).response.status == 486
    assert alice.heard == []
    net.advance(32)
    assert idle(alice, bob)


def test_ack_for_failure_has_the_invites_branch_route_and_the_responses_to(
    net: Net, alice: Host, bob: Host
) -> None:
    request = make_request("INVITE", alice, BOB, route="<sip:192.0.2.1;lr>")
    alice.request(request, BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 404)
    first, ack = parse(net.written["INVITE"]), parse(net.written["ACK"])
    assert ack.rows("Via") == first.rows("Via")
    assert ack.rows("Route") == ["<sip:192.0.2.1;lr>"]
    assert ack.to.tag == "B-local"
    assert ack.from_ == first.from_
    assert ack.call_id == first.call_id
    assert ack.cseq == (1, "ACK")


def test_each_2xx_comes_up_in_accepted_so_that_the_caller_acknowledges_again(
    net: Net, alice: Host, bob: Host
) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 200)
    net.advance(2)
    heard = [alice.hear(ResponseReceived) for _ in range(3)]
    assert {effect.key for effect in heard} == {key}
    assert [effect.response.status for effect in heard] == [200, 200, 200]
    dialog = Dialog.uac(make_request("INVITE", alice, BOB), heard[0].response, alice.contact)
    alice.ack(dialog, BOB)
    net.advance(100)
    assert alice.heard == []
    assert idle(alice, bob)


def test_a_second_fork_may_answer_while_accepted(net: Net, alice: Host, bob: Host) -> None:
    key = alice.request(make_request("INVITE", alice, BOB), BOB)
    invite = bob.hear(RequestReceived).request
    for tag in ("one", "two"):
        response = response_to(invite, 200, to_tag=tag, headers=[("Contact", "<sip:x@192.0.2.7>")])
        net.inject(response.to_bytes(), BOB, alice)
    assert [alice.hear(ResponseReceived).response.to.tag for _ in range(2)] == ["one", "two"]
    net.inject(response_to(invite, 486, to_tag="one").to_bytes(), BOB, alice)
    assert alice.heard == []
    net.advance(32)
    net.inject(response_to(invite, 200, to_tag="one").to_bytes(), BOB, alice)
    assert isinstance(alice.hear(Discarded), Discarded)
    assert key.branch not in str(alice.heard)


def test_options_is_retransmitted_by_timer_e_and_fails_by_timer_f(net: Net, alice: Host) -> None:
    key = alice.request(make_request("OPTIONS", alice, BOB), BOB)
    net.advance(40)
    assert net.times("A", "OPTIONS") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert alice.heard == [TransactionFailed(key, "timeout")]
    assert idle(alice)


def test_provisional_to_options_slows_timer_e_to_t2(net: Net, alice: Host, bob: Host) -> None:
    alice.request(make_request("OPTIONS", alice, BOB), BOB)
    options = bob.hear(RequestReceived)
    bob.respond(options.key, options.request, 100)
    net.lose = lambda datagram: True
    net.advance(31.9)
    assert net.times("A", "OPTIONS") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    net.advance(0.1)
    alice.hear(ResponseReceived)
    assert alice.hear(TransactionFailed).reason == "timeout"


def test_repeated_final_response_to_options_is_absorbed_until_timer_k(
    net: Net, alice: Host, bob: Host
) -> None:
    alice.request(make_request("OPTIONS", alice, BOB), BOB)
    options = bob.hear(RequestReceived)
    answer = bob.respond(options.key, options.request, 200)
    assert alice.hear(ResponseReceived).response.status == 200
    net.advance(4.9)
    net.inject(answer.to_bytes(), BOB, alice)
    assert alice.heard == []
    net.advance(0.1)
    net.inject(answer.to_bytes(), BOB, alice)
    assert alice.hear(Discarded).reason == "response matches no request"


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_transport_error_ends_an_unanswered_request(net: Net, alice: Host, method: str) -> None:
    key = alice.request(make_request(method, alice, BOB), BOB)
    alice.carry_out(alice.layer.send_failed(alice.flow(BOB), key.branch, "refused", net.now))
    assert alice.heard == [TransactionFailed(key, "transport")]
    net.advance(32)
    assert net.sent("A") == [method]
    assert idle(alice)


def test_transport_error_of_a_response_or_ack_concerns_no_request(net: Net, alice: Host) -> None:
    alice.request(make_request("OPTIONS", alice, BOB), BOB)
    assert alice.layer.send_failed(alice.flow(BOB), "", "refused", net.now) == []
    assert alice.layer.send_failed(alice.flow(("192.0.2.77", 5060)), "z9hG4bK-A-1", "refused", net.now) == []


def test_reliable_transport_has_no_retransmission_and_no_linger(net: Net) -> None:
    alice = net.host("A", ALICE, "tcp")
    bob = net.host("B", BOB, "tcp")
    alice.request(make_request("OPTIONS", alice, BOB), BOB)
    net.advance(20)
    options = bob.hear(RequestReceived)
    assert options.request.top_via.transport == "tcp"
    bob.respond(options.key, options.request, 200)
    net.advance(0)
    assert net.ladder() == ["0 A→B OPTIONS", "20 B→A 200 OK (OPTIONS)"]
    assert alice.layer.counts()["client"] == bob.layer.counts()["server"] == 0

    alice.request(make_request("INVITE", alice, BOB, call_id="call-2"), BOB)
    invite = bob.hear(RequestReceived)
    bob.respond(invite.key, invite.request, 486)
    net.advance(0)
    assert net.ladder() == ["20 A→B INVITE", "20 B→A 486 Busy Here", "20 A→B ACK"]
    assert alice.layer.counts()["client"] == bob.layer.counts()["server"] == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"z9hG4bK-A-1", b"z9hG4bK-A-9"), "response matches no request"),
        ((b"1 OPTIONS", b"1 INFO"), "response matches no request"),
        ((b"192.0.2.2:5060", b"192.0.2.3:5060"), "response names another sent-by"),
        ((b"From:", b"Via: SIP/2.0/UDP 192.0.2.8\r\nFrom:"), "response for another element"),
        ((b"From: ", b"From: <"), "From: malformed URI"),
    ],
)
def test_a_response_that_is_not_ours_changes_nothing(
    net: Net, alice: Host, bob: Host, change: tuple[bytes, bytes], reason: str
) -> None:
    key = alice.request(make_request("OPTIONS", alice, BOB), BOB)
    options = bob.hear(RequestReceived)
    data = response_to(options.request, 200, to_tag="b").to_bytes()
    assert data.replace(*change) != data
    net.inject(data.replace(*change), BOB, alice)
    assert alice.hear(Discarded).reason == reason
    net.inject(data, BOB, alice)
    assert alice.hear(ResponseReceived).key == key


def test_ack_and_cancel_are_not_started_as_requests(net: Net, alice: Host) -> None:
    for method in ("ACK", "CANCEL"):
        with pytest.raises(LocalProtocolError):
            alice.request(make_request(method, alice, BOB), BOB)


def test_a_branch_that_would_break_out_of_its_place_does_not_leave(net: Net, alice: Host) -> None:
    request = make_request("OPTIONS", alice, BOB)
    with pytest.raises(LocalProtocolError):
        alice.layer.request(request, alice.flow(BOB), net.now, "z9hG4bK-1\r\nSubject: injected")


@pytest.mark.parametrize("before", [" ", "\t", " \t "])
def test_a_response_is_known_by_its_via_however_it_is_spaced(alice: Host, before: str) -> None:
    """Space may stand before each semicolon (RFC 3261 §25.1, SEMI)."""
    _, effects = alice.layer.request(make_request("OPTIONS", alice, BOB), alice.flow(BOB), 0.0)
    (sent,) = (effect.data for effect in effects if isinstance(effect, Send))
    via = next(line for line in sent.split(b"\r\n") if line.startswith(b"Via: "))
    answer = response_to(parse(sent), 200, to_tag="b").to_bytes()  # type: ignore[arg-type]
    spaced = answer.replace(via, via.replace(b";rport", f"{before};rport".encode()))
    effects = alice.layer.receive(spaced, alice.flow(BOB), 0.1)
    assert [type(effect) for effect in effects] == [ResponseReceived]
