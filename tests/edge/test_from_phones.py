"""Calls from phones to the engine: what they need, and where they may lead (RFC 3261 §16)."""

from __future__ import annotations

import pytest

from engine.sip.dialog import Dialog
from engine.sip.effects import AckReceived, RequestReceived
from engine.sip.flow import Flow
from engine.sip.message import Request, Response
from engine.sip.salvage import HELP_HOPS
from engine.sip.uri import NameAddr, Uri
from tests.edge.kit import EDGE, ENGINE, Lab, Phone, answers, place, ring, second, settings


def test_a_call_from_a_phone(lab: Lab, bob: Phone) -> None:
    invite = place(bob, headers=[("P-Asserted-Identity", "<sip:110@x>"), ("Route", "<sip:evil.example;lr>")])
    came = lab.engine.hear(RequestReceived)
    assert lab.ladder() == [
        "0 bob→E INVITE",
        "0 E→bob 407 Proxy Authentication Required",
        "0 bob→E ACK",
        "0 bob→E INVITE",
        "0 E→bob 100 Trying",
        "0 E→N INVITE",
    ]
    request = came.request
    assert request.rows("P-Asserted-Identity") == ["<sip:bob@192.0.2.1>"]
    assert request.rows("Proxy-Authorization") == request.rows("Route") == []
    assert str(request.uri) == "sip:13800138000@192.0.2.1"
    lab.engine.respond(came.key, request, 180)
    answer = lab.engine.respond(came.key, request, 200)
    assert answers(bob) == [100, 180, 200]
    dialog = Dialog.uac(invite, answer, bob.contact)
    bob.ack(dialog, EDGE)
    assert lab.engine.hear(AckReceived).request.routes == ()
    bob.request(dialog.request("BYE"), EDGE)
    assert lab.engine.hear(RequestReceived).request.method == "BYE"
    theirs = Dialog.uas(request, answer, lab.engine.contact)
    lab.engine.request(theirs.request("INFO"), EDGE)
    assert bob.takes().request.method == "INFO"


def test_a_connection_that_registered_needs_no_further_proof(lab: Lab) -> None:
    desk = second(lab)
    desk.send(desk.make("INVITE", "1", call_id="1"))
    assert lab.engine.hear(RequestReceived).request.rows("P-Asserted-Identity") == ["<sip:bob@192.0.2.1>"]
    desk.heard.clear()
    assert desk.ask(desk.make("INVITE", "1", call_id="2", user="alice")).status == 407


@pytest.mark.parametrize(("allowed", "status"), [(False, 407), (True, 100)])
def test_an_udp_address_that_registered_may_be_taken_for_proof(allowed: bool, status: int) -> None:
    lab = Lab(settings(registered_pass=allowed))
    bob = lab.phone("bob", "192.0.2.20")
    bob.register()
    assert bob.ask(bob.make("INVITE", "1", call_id="1")).status == status
    other = lab.phone("bob", "192.0.2.20", port=5070)
    assert other.ask(other.make("INVITE", "1", call_id="2")).status == 407


@pytest.mark.parametrize("target", ["sip:110@192.0.2.1", "urn:service:sos", "urn:service:sos.police"])
def test_an_emergency_call_needs_no_credentials_and_vouches_for_nobody(lab: Lab, target: str) -> None:
    """The engine is told so: else the From of a stranger would open somebody's window for calls back."""
    stranger = lab.phone("stranger", "192.0.2.77")
    asked = {"P-Asserted-Identity": "<sip:x@y>", "Proxy-Require": "x", "Proxy-Authorization": "Digest ="}
    invite = stranger.make("INVITE", "110", headers=asked.items())
    invite = Request("INVITE", Uri.parse(target), invite.headers)
    stranger.send(invite)
    came = lab.engine.hear(RequestReceived)
    assert str(came.request.uri) == target
    assert came.request.rows("P-Asserted-Identity") == ["<sip:anonymous@anonymous.invalid>"]
    answer = lab.engine.respond(came.key, came.request, 200)
    dialog = Dialog.uac(invite, answer, stranger.contact)
    stranger.ack(dialog, EDGE)
    stranger.request(dialog.request("BYE"), EDGE)
    lab.engine.hear(AckReceived)
    assert lab.engine.hear(RequestReceived).request.method == "BYE"


def test_an_emergency_call_of_a_known_phone_says_whose_it_is(lab: Lab) -> None:
    desk = second(lab)
    desk.send(desk.make("INVITE", "119", call_id="1"))
    assert lab.engine.hear(RequestReceived).request.rows("P-Asserted-Identity") == ["<sip:bob@192.0.2.1>"]


def test_an_emergency_call_from_where_a_phone_registered_is_that_phone_s(lab: Lab, bob: Phone) -> None:
    for user, asserted in (("bob", "bob@192.0.2.1"), ("alice", "anonymous@anonymous.invalid")):
        bob.send(bob.make("INVITE", "119", call_id=user, user=user))
        came = lab.engine.hear(RequestReceived)
        assert came.request.rows("P-Asserted-Identity") == [f"<sip:{asserted}>"]


def test_a_token_without_its_dialog_opens_nothing(lab: Lab, bob: Phone) -> None:
    ring(lab)
    route = bob.takes().request.rows("Record-Route")[0]
    stranger = lab.phone("stranger", "192.0.2.77")
    assert stranger.ask(stranger.make("INVITE", "1", headers=[("Route", route)])).status == 407


def test_a_dialog_without_its_token_leads_nowhere(lab: Lab, bob: Phone) -> None:
    stranger = lab.phone("stranger", "192.0.2.77")
    for route in ("<sip:192.0.2.1;lr>", "<sip:AAAA@192.0.2.1;lr>", "<sip:192.0.2.20;lr>"):
        request = stranger.make("BYE", "bob", headers=[("Route", route)], call_id=route)
        rows = [(name, value + ";tag=x" if name == "To" else value) for name, value in request.headers]
        assert stranger.ask(Request("BYE", Uri.parse("sip:bob@192.0.2.20"), rows)).status == 407
        ack = Request("ACK", "sip:bob@192.0.2.20", [(n, v.replace("BYE", "ACK")) for n, v in rows])
        stranger.carry_out(stranger.layer.send(ack, stranger.flow(EDGE), lab.now))
    assert bob.heard == lab.engine.heard == []


def test_a_phone_cannot_have_us_send_elsewhere(lab: Lab, bob: Phone) -> None:
    """The target of a dialog is its peer's word; from a phone it leads to the engine or nowhere."""
    invite = place(bob)
    came = lab.engine.hear(RequestReceived)
    answer = lab.engine.respond(came.key, came.request, 200)
    dialog = Dialog.uac(invite, answer, bob.contact)
    dialog.remote_target = Uri.parse("sip:victim@198.51.100.7")
    lab.ladder()
    bob.request(dialog.request("BYE"), EDGE)
    dialog.route_set = (*dialog.route_set, NameAddr.parse("<sip:198.51.100.8;lr>"))
    bob.request(dialog.request("BYE"), EDGE)
    assert [line for line in lab.ladder() if " E→" in line] == ["0 E→N BYE", "0 E→N BYE"]


@pytest.mark.parametrize("known", [True, False])
def test_a_dialog_may_name_a_worker_of_the_engine_and_no_other_port_there(known: bool) -> None:
    """Not the port of something else that listens on the engine's host."""
    lab = Lab(settings(engines=frozenset([(ENGINE[0], 5062)]) if known else frozenset()))
    bob = lab.phone("bob", "192.0.2.20")
    bob.register()
    worker = lab.host("W2", (ENGINE[0], 5062))
    invite = place(bob)
    came = lab.engine.hear(RequestReceived)
    answer = lab.engine.respond(came.key, came.request, 200)
    dialog = Dialog.uac(invite, answer, bob.contact)
    dialog.remote_target = Uri.parse(f"sip:{ENGINE[0]}:5062")
    lab.ladder()
    for method in ("INFO", "BYE"):
        bob.request(dialog.request(method), EDGE)
    bob.ack(dialog, EDGE)
    goes_to = "W2" if known else "N"
    assert [line for line in lab.ladder() if " E→" in line] == [
        f"0 E→{goes_to} {method}" for method in ("INFO", "BYE", "ACK")
    ]
    assert bool(worker.heard) is known


def test_what_a_proxy_does_not_pass_on(lab: Lab, bob: Phone) -> None:
    def altered(name: str, value: str, target: str = "sip:1@192.0.2.1") -> Response:
        request = bob.make("INVITE", "1", call_id=value)
        rows = [row for row in request.headers if row[0] != name]
        return bob.ask(Request("INVITE", Uri.parse(target), [*rows, (name, value)]))

    assert altered("Max-Forwards", "0").status == 483
    assert altered("X", "1", "mailto:bob@example.com").status == 416
    answer = altered("Proxy-Require", "x, y")
    assert (answer.status, answer.get("Unsupported")) == (420, "x, y")
    assert altered("Proxy-Require", '"x, y').status == 400


def test_a_loop_is_noticed() -> None:
    """The engine's address is our own by mistake."""
    lab = Lab(settings(engine=EDGE))
    bob = lab.phone("bob", "192.0.2.20")
    bob.register(contact="<sip:bob@192.0.2.1>")
    place(bob, "bob")
    assert answers(bob) == [100, 482]


def test_the_engine_is_gone(lab: Lab, bob: Phone) -> None:
    lab.lose = lambda datagram: datagram.target == "N"
    place(bob)
    lab.advance(33)
    assert answers(bob) == [100, 408]


def test_the_engine_cannot_be_reached(lab: Lab, bob: Phone) -> None:
    place(bob)
    branch = lab.engine.hear(RequestReceived).request.top_via.branch
    assert branch is not None
    failed = lab.core.send_failed(Flow("udp", EDGE, ENGINE), branch, "refused", lab.now)
    lab.edge.carry_out(failed)  # type: ignore[arg-type]
    assert answers(bob) == [100, 500]


def test_a_branch_that_is_used_again_leaves_nothing_behind_and_loses_no_answer(lab: Lab) -> None:
    """What is kept of the first call is forgotten later than its transaction; not the second's, then."""
    address = ("192.0.2.77", 5060)
    lab.stranger("S", address)
    via = f"SIP/2.0/UDP {address[0]};branch=z9hG4bKsame"

    def say(method: str, call: str) -> None:
        rows = [f"Via: {via}", "Max-Forwards: 70", f"From: <sip:s@x>;tag={call}", "To: <sip:110@x>"]
        rows += [f"Call-ID: {call}", f"CSeq: 1 {method}", f"Contact: <sip:s@{address[0]}>"]
        start = f"{method} sip:110@{EDGE[0]} SIP/2.0"
        lab.inject("\r\n".join([start, *rows, "", ""]).encode(), address, lab.edge)

    say("INVITE", "one")
    first = lab.engine.hear(RequestReceived)
    lab.engine.respond(first.key, first.request, 486)
    say("ACK", "one")
    lab.advance(6)
    say("INVITE", "two")
    second = lab.engine.hear(RequestReceived)
    lab.engine.respond(second.key, second.request, 180)
    lab.advance(30)
    lab.sent("E")
    lab.engine.respond(second.key, second.request, 486)
    assert "486 Busy Here" in lab.sent("E")
    say("ACK", "two")
    lab.advance(200)
    assert {name: count for name, count in lab.core.counts().items() if count} == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Contact", "<sip:"),
        ("Max-Forwards", "many"),
        ("Route", "<<>"),
        ("Bad Name", "x"),
        ("Subject", "a\x01b"),
    ],
)
@pytest.mark.parametrize("number", ["110", "13800138000"])
def test_a_call_for_help_is_not_refused_for_its_form(lab: Lab, number: str, name: str, value: str) -> None:
    address = ("192.0.2.77", 5060)
    lab.stranger("S", address)
    rows = {
        "Via": f"SIP/2.0/UDP {address[0]};branch=z9hG4bKbad",
        "From": "<sip:s@x>;tag=s",
        "To": f"<sip:{number}@x>",
        "Call-ID": "bad",
        "CSeq": "1 INVITE",
        "Contact": f"<sip:s@{address[0]}>",
        name: value,
    }
    lines = [f"INVITE sip:{number}@{EDGE[0]} SIP/2.0", *(f"{each}: {text}" for each, text in rows.items())]
    lab.inject("\r\n".join([*lines, "", ""]).encode(), address, lab.edge)
    if number == "110":
        came = lab.engine.hear(RequestReceived).request
        assert came.uri.user == "110"
        came.validate()
    else:
        assert lab.engine.heard == []


def without_hops(request: Request) -> Request:
    rows = [row for row in request.headers if row[0] != "Max-Forwards"]
    return Request(request.method, request.request_uri, [("Max-Forwards", "0"), *rows], request.body)


def test_a_call_for_help_goes_on_without_hops_and_so_does_all_that_belongs_to_it(lab: Lab) -> None:
    stranger = lab.phone("stranger", "192.0.2.77")
    invite = without_hops(stranger.make("INVITE", "110"))
    stranger.send(invite)
    came = lab.engine.hear(RequestReceived)
    assert came.request.max_forwards == HELP_HOPS
    answer = lab.engine.respond(came.key, came.request, 200)
    dialog = Dialog.uac(invite, answer, stranger.contact)
    ack = without_hops(dialog.request("ACK", of_invite=dialog.local_cseq))
    stranger.carry_out(stranger.layer.send(ack, stranger.flow(EDGE), stranger.net.now))
    stranger.request(without_hops(dialog.request("BYE")), EDGE)
    assert lab.engine.hear(AckReceived).request.max_forwards == HELP_HOPS
    assert lab.engine.hear(RequestReceived).request.max_forwards == HELP_HOPS
