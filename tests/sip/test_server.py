"""Server transactions: retransmission, ACK, absorption, matching (RFC 3261 §17.2, RFC 6026)."""

from __future__ import annotations

import pytest

from engine.sip.effects import AckReceived, AckTimeout, Discarded, RequestReceived, Send
from engine.sip.errors import LocalProtocolError
from engine.sip.message import Response, response_to
from engine.sip.parse import parse
from tests.sip.kit import PEER, Host, Net, wire

US = ("192.0.2.1", 5060)


@pytest.fixture
def us(net: Net) -> Host:
    return net.host("U", US)


def receive(net: Net, us: Host, data: bytes) -> RequestReceived:
    net.inject(data, PEER, us)
    return us.hear(RequestReceived)


def idle(us: Host) -> bool:
    return not any(us.layer.counts().values())


def test_retransmitted_invite_is_answered_from_the_transaction(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    net.inject(wire(), PEER, us)
    assert net.sent("U") == []
    us.respond(invite.key, invite.request, 100)
    us.respond(invite.key, invite.request, 180)
    net.inject(wire(), PEER, us)
    assert net.sent("U") == ["100 Trying", "180 Ringing", "180 Ringing"]
    assert us.heard == []


def test_failure_is_retransmitted_by_timer_g_until_the_ack(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    us.respond(invite.key, invite.request, 486)
    net.advance(10)
    assert net.times("U", "486 Busy Here") == [0, 0.5, 1.5, 3.5, 7.5]
    net.inject(wire(), PEER, us)
    assert len(net.sent("U")) == 6
    net.inject(wire("ACK", to_tag=";tag=U-local"), PEER, us)
    net.inject(wire("ACK", to_tag=";tag=U-local"), PEER, us)
    net.inject(wire(), PEER, us)
    net.advance(4.9)
    assert net.sent("U") == []
    assert us.layer.counts()["server"] == 1
    net.advance(0.1)
    assert us.layer.counts()["server"] == 0
    assert us.heard == []
    net.advance(32)
    assert idle(us)


def test_timer_h_reports_a_failure_nobody_acknowledged(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    us.respond(invite.key, invite.request, 486)
    net.advance(32)
    assert us.heard == [AckTimeout(invite.key, "failure")]
    assert net.times("U", "486 Busy Here") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert idle(us)


def test_2xx_is_retransmitted_until_its_ack(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    us.respond(invite.key, invite.request, 200)
    net.advance(4)
    assert net.times("U", "200 OK") == [0, 0.5, 1.5, 3.5]
    ack = wire("ACK", via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-ack", to_tag=";tag=U-local")
    net.inject(ack, PEER, us)
    assert us.hear(AckReceived).request.call_id == "p-call"
    net.inject(ack, PEER, us)
    net.advance(30)
    assert us.heard == []
    assert len(net.sent("U")) == 4
    assert idle(us)


def test_retransmitted_invite_is_absorbed_once_accepted(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    us.respond(invite.key, invite.request, 200)
    net.inject(wire(), PEER, us)
    assert net.sent("U") == ["200 OK"]
    net.inject(wire("ACK", via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-ack", to_tag=";tag=U-local"), PEER, us)
    net.inject(wire(), PEER, us)
    assert net.sent("U") == []
    us.hear(AckReceived)
    assert us.heard == []


def test_timer_l_reports_a_2xx_nobody_acknowledged(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    us.respond(invite.key, invite.request, 200)
    net.advance(31.9)
    assert net.times("U", "200 OK") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert us.heard == []
    net.advance(0.1)
    assert us.heard == [AckTimeout(invite.key, "2xx")]
    assert idle(us)


@pytest.mark.parametrize(
    "ack",
    [
        wire("ACK", via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-x", to_tag=";tag=other"),
        wire("ACK", via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-x", to_tag=";tag=U-local", cseq=2),
        wire("ACK", via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-x", to_tag=";tag=U-local", call_id="z"),
    ],
)
def test_an_ack_for_something_else_is_discarded(net: Net, us: Host, ack: bytes) -> None:
    invite = receive(net, us, wire())
    us.respond(invite.key, invite.request, 200)
    net.inject(ack, PEER, us)
    assert us.hear(Discarded).reason == "ACK matches no INVITE"
    net.advance(0.5)
    assert net.sent("U") == ["200 OK", "200 OK"]


def test_ack_for_2xx_with_the_invites_own_branch_counts(net: Net, us: Host) -> None:
    # Against RFC 3261 §13.2.2.4, but seen in the field.
    invite = receive(net, us, wire())
    us.respond(invite.key, invite.request, 200)
    net.inject(wire("ACK", to_tag=";tag=U-local"), PEER, us)
    us.hear(AckReceived)
    net.advance(10)
    assert net.sent("U") == ["200 OK"]


def test_ack_before_the_final_response_is_ignored(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    net.inject(wire("ACK"), PEER, us)
    us.respond(invite.key, invite.request, 486)
    assert us.heard == []
    net.advance(0.5)
    assert net.sent("U") == ["486 Busy Here", "486 Busy Here"]


def test_options_is_answered_once_and_again_when_repeated_until_timer_j(net: Net, us: Host) -> None:
    options = receive(net, us, wire("OPTIONS"))
    net.inject(wire("OPTIONS"), PEER, us)
    assert net.sent("U") == []
    us.respond(options.key, options.request, 200)
    net.advance(31.9)
    assert net.times("U", "200 OK (OPTIONS)") == [0]
    net.inject(wire("OPTIONS"), PEER, us)
    assert net.sent("U") == ["200 OK (OPTIONS)"] * 2
    us.respond(options.key, options.request, 500)
    assert net.sent("U") == []
    net.advance(0.1)
    assert idle(us)


def test_provisional_to_a_non_invite_is_repeated(net: Net, us: Host) -> None:
    options = receive(net, us, wire("OPTIONS"))
    us.respond(options.key, options.request, 100)
    net.inject(wire("OPTIONS"), PEER, us)
    us.respond(options.key, options.request, 200)
    assert net.sent("U") == ["100 Trying (OPTIONS)", "100 Trying (OPTIONS)", "200 OK (OPTIONS)"]


def test_unknown_methods_are_passed_up(net: Net, us: Host) -> None:
    assert receive(net, us, wire("NEWMETHOD")).request.method == "NEWMETHOD"


def test_merged_request_gets_482(net: Net, us: Host) -> None:
    receive(net, us, wire())
    net.inject(wire(via="SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK-other;rport"), PEER, us)
    assert us.heard == []
    assert net.sent("U") == ["482 Loop Detected"]


@pytest.mark.parametrize(
    "other",
    [
        {"cseq": 2},
        {"call_id": "another"},
        {"from_tag": ";tag=q"},
        {"to_tag": ";tag=known"},
        {"method": "OPTIONS"},
    ],
)
def test_a_request_that_differs_in_one_part_is_not_merged(
    net: Net, us: Host, other: dict[str, object]
) -> None:
    receive(net, us, wire())
    via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-other"
    receive(net, us, wire(via=via, **other))  # type: ignore[arg-type]


def test_the_same_request_is_new_again_once_its_transaction_ended(net: Net, us: Host) -> None:
    options = receive(net, us, wire("OPTIONS"))
    us.respond(options.key, options.request, 200)
    net.advance(32)
    receive(net, us, wire("OPTIONS", via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-other"))


def test_same_branch_from_another_sent_by_is_another_transaction(net: Net, us: Host) -> None:
    receive(net, us, wire())
    other = wire(via="SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-p1", call_id="b")
    assert receive(net, us, other).key.sent_by == ("192.0.2.9", 5070)


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=z9hG4bK"])
def test_rfc_2543_requests_are_matched_by_the_old_rule(net: Net, us: Host, branch: str) -> None:
    via = f"SIP/2.0/UDP 192.0.2.9{branch}"
    invite = receive(net, us, wire(via=via))
    net.inject(wire(via=via), PEER, us)
    us.respond(invite.key, invite.request, 486)
    net.inject(wire(via=via), PEER, us)
    net.inject(wire("ACK", via=via, to_tag=";tag=U-local"), PEER, us)
    net.advance(10)
    assert net.sent("U") == ["486 Busy Here", "486 Busy Here"]
    receive(net, us, wire(via=via, cseq=2))
    net.inject(wire("CANCEL", via=via, cseq=2), PEER, us)
    assert net.sent("U") == ["200 OK (CANCEL)"]


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=z9hG4bK"])
def test_rfc_2543_calls_do_not_meet(net: Net, us: Host, branch: str) -> None:
    via = f"SIP/2.0/UDP 192.0.2.9{branch}"
    first = receive(net, us, wire(via=via))
    assert receive(net, us, wire(via=via, call_id="another")).key != first.key


def test_rfc_2543_ack_for_2xx_counts(net: Net, us: Host) -> None:
    via = "SIP/2.0/UDP 192.0.2.9"
    invite = receive(net, us, wire(via=via))
    us.respond(invite.key, invite.request, 200)
    net.inject(wire("ACK", via=via, to_tag=";tag=U-local"), PEER, us)
    us.hear(AckReceived)


@pytest.mark.parametrize(
    ("via", "source", "target"),
    [
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-1;rport", ("192.0.2.9", 40000), ("192.0.2.9", 40000)),
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-1", ("192.0.2.9", 40000), ("192.0.2.9", 5060)),
        ("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-1", ("192.0.2.9", 40000), ("192.0.2.9", 5070)),
        ("SIP/2.0/UDP phone.example;branch=z9hG4bK-1", ("192.0.2.9", 5060), ("192.0.2.9", 5060)),
        (
            "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-1;maddr=192.0.2.50",
            ("192.0.2.9", 5060),
            ("192.0.2.9", 5060),
        ),
    ],
)
def test_responses_go_where_rfc_3581_says(
    net: Net, us: Host, via: str, source: tuple[str, int], target: tuple[str, int]
) -> None:
    net.stranger("there", target)
    net.inject(wire(via=via), source, us)
    invite = us.hear(RequestReceived)
    assert invite.flow.remote == source
    us.respond(invite.key, invite.request, 100)
    net.inject(wire(via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-2;rport"), source, us)
    assert net.ladder()[0] == "0 U→there 100 Trying"


def test_source_is_noted_in_the_top_via_only(net: Net, us: Host) -> None:
    data = wire(
        via="SIP/2.0/UDP phone.example;branch=z9hG4bK-1;rport, SIP/2.0/UDP a.example;branch=z9hG4bK-0"
    )
    request = receive(net, us, data).request
    assert (request.top_via.received, request.top_via.rport) == ("192.0.2.9", 5060)
    assert [via.received for via in request.vias] == ["192.0.2.9", None]
    answer = parse(response_to(request, 200, to_tag="x").to_bytes())
    assert answer.vias == request.vias


def test_a_forged_received_is_dropped(net: Net, us: Host) -> None:
    request = receive(net, us, wire(via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-1;received=6.6.6.6")).request
    assert request.top_via.received is None


def test_answers_the_machine_forbids_are_our_bug(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    with pytest.raises(LocalProtocolError, match="To tag"):
        us.layer.respond(invite.key, response_to(invite.request, 180), net.now)
    us.respond(invite.key, invite.request, 486)
    for status in (180, 200, 486):
        with pytest.raises(LocalProtocolError):
            us.respond(invite.key, invite.request, status)
    net.advance(32)
    with pytest.raises(LocalProtocolError, match="no server transaction"):
        us.respond(invite.key, invite.request, 486)
    assert idle(us)


def test_a_response_that_cannot_be_written_leaves_the_transaction_as_it_was(net: Net, us: Host) -> None:
    invite = receive(net, us, wire())
    bad = response_to(invite.request, 486, to_tag="t", headers=[("Reason", "x\r\nInjected: yes")])
    with pytest.raises(LocalProtocolError):
        us.layer.respond(invite.key, bad, net.now)
    us.respond(invite.key, invite.request, 486)
    assert net.sent("U") == ["486 Busy Here"]


def test_request_that_cannot_be_parsed_gets_the_same_error_each_time_without_state(
    net: Net, us: Host
) -> None:
    bad = wire().replace(b"Max-Forwards: 70", b"Max-Forwards: x")
    answers = []
    for _ in range(2):
        effects = us.layer.receive(bad, us.flow(PEER), net.now)
        assert [type(effect) for effect in effects] == [Discarded, Send]
        answers.append(effects[1].data)  # type: ignore[union-attr]
    answer = parse(answers[0])
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason) == (400, "Bad Request (Max-Forwards is not 0 to 255)")
    assert answer.to.tag
    assert answers[0] == answers[1]
    assert idle(us)


def test_ack_that_cannot_be_parsed_is_never_answered(net: Net, us: Host) -> None:
    net.inject(wire("ACK").replace(b"CSeq: 1 ACK", b"CSeq: x"), PEER, us)
    us.hear(Discarded)
    assert net.sent("U") == []


def test_keep_alives_are_silent(net: Net, us: Host) -> None:
    for data in (b"", b"\r\n\r\n", b"\0", b"\0\0\0\0"):
        net.inject(data, PEER, us)
    assert us.heard == []
