"""Calls from the engine to phones (RFC 3261 §16, RFC 5626 §5.3, RFC 5658)."""

from __future__ import annotations

import pytest

from engine.sip.dialog import Dialog
from engine.sip.effects import AckReceived, CancelReceived, RequestReceived, Send
from engine.sip.flow import Flow
from engine.sip.message import Request, Response
from tests.edge.kit import EDGE, ENGINE, Lab, Phone, answers, below, last, ring, second, settings
from tests.sip.kit import make_request

WORKER = ("192.0.2.50", 5062)


def test_a_call_to_a_phone(lab: Lab, bob: Phone) -> None:
    invite = ring(lab)
    came = bob.takes()
    bob.respond(came.key, came.request, 180)
    bob.respond(came.key, came.request, 200)
    assert lab.ladder() == [
        "0 N→E INVITE",
        "0 E→N 100 Trying",
        "0 E→bob INVITE",
        "0 bob→E 180 Ringing",
        "0 E→N 180 Ringing",
        "0 bob→E 200 OK",
        "0 E→N 200 OK",
    ]
    assert str(came.request.uri) == "sip:bob@192.0.2.20:5060"
    assert came.request.max_forwards == 69
    dialog = Dialog.uac(invite, last(lab.engine), lab.engine.contact)
    lab.engine.ack(dialog, EDGE)
    assert bob.hear(AckReceived).request.routes == ()
    bye = dialog.request("BYE")
    lab.engine.request(bye, EDGE)
    came = bob.takes()
    assert (came.request.method, came.request.routes) == ("BYE", ())
    bob.respond(came.key, came.request, 200)
    assert lab.ladder() == [
        "0 N→E ACK",
        "0 E→bob ACK",
        "0 N→E BYE",
        "0 E→bob BYE",
        "0 bob→E 200 OK (BYE)",
        "0 E→N 200 OK (BYE)",
    ]
    lab.advance(40)
    held = {name: count for name, count in lab.core.counts().items() if count}
    assert held == {"bindings": 1, "nonces": 1}


def test_the_phone_ends_the_call(lab: Lab, bob: Phone) -> None:
    ring(lab)
    came = bob.takes()
    answer = bob.respond(came.key, came.request, 200)
    dialog = Dialog.uas(came.request, answer, bob.contact)
    lab.ladder()
    bob.request(dialog.request("BYE"), EDGE)
    bye = lab.engine.heard.pop()
    assert isinstance(bye, RequestReceived)
    assert (bye.request.method, bye.request.routes) == ("BYE", ())
    assert lab.ladder() == ["0 bob→E BYE", "0 E→N BYE"]


def test_a_repeated_2xx_is_passed_on_and_so_is_each_ack(lab: Lab, bob: Phone) -> None:
    invite = ring(lab)
    came = bob.takes()
    bob.respond(came.key, came.request, 200)
    dialog = Dialog.uac(invite, last(lab.engine), lab.engine.contact)
    lab.lose = lambda datagram: datagram.summary == "ACK" and datagram.target == "bob"
    lab.engine.ack(dialog, EDGE)
    lab.advance(0.6)
    assert answers(lab.engine) == [100, 200, 200]
    lab.lose = lambda datagram: False
    lab.engine.ack(dialog, EDGE)
    bob.hear(AckReceived)
    lab.ladder()
    lab.advance(40)
    assert lab.ladder() == []  # nobody repeats anything any more


def test_the_engine_may_come_over_a_connection(lab: Lab, bob: Phone) -> None:
    for listens_at, status in ((ENGINE, "100"), (("192.0.2.2", 5070), "407")):
        flow = Flow("tcp", EDGE, (ENGINE[0], 40001))
        request = make_request("INVITE", lab.engine, EDGE, call_id=f"by-{status}")
        via = f"SIP/2.0/TCP {listens_at[0]}:{listens_at[1]};branch=z9hG4bK-{status}"
        (first, *_) = lab.core.receive(below(request, via), flow, lab.now)
        assert isinstance(first, Send)
        assert first.flow == flow and first.data.startswith(f"SIP/2.0 {status} ".encode())


@pytest.mark.parametrize(
    ("transport", "source", "says", "believed"),
    [
        ("udp", (WORKER[0], 5062), "192.0.2.50:5062", True),
        ("udp", (WORKER[0], 5060), "192.0.2.50:5060", False),
        ("udp", (WORKER[0], 40001), "192.0.2.50:5062", False),
        ("tcp", (WORKER[0], 40001), "192.0.2.50:5062", True),
        ("tcp", (WORKER[0], 40001), "192.0.2.50:5063", False),
        ("tcp", (WORKER[0], 40001), "192.0.2.50", False),
        ("tcp", ("192.0.2.51", 40001), "192.0.2.50:5062", False),
    ],
)
def test_a_worker_is_known_by_its_port(
    transport: str, source: tuple[str, int], says: str, believed: bool
) -> None:
    """What else runs on its host calls nobody's phone in anybody's name."""
    lab = Lab(settings(engines=frozenset([WORKER])))
    lab.phone("bob", "192.0.2.20").register()
    request = make_request("INVITE", lab.engine, EDGE, call_id="w")
    via = f"SIP/2.0/{transport.upper()} {says};branch=z9hG4bK-w"
    (first, *_) = lab.core.receive(below(request, via), Flow(transport, EDGE, source), lab.now)
    assert isinstance(first, Send)
    assert first.data.startswith(b"SIP/2.0 100 " if believed else b"SIP/2.0 407 ")


def test_nobody_of_that_name_and_nobody_there(lab: Lab, bob: Phone) -> None:
    for user in ("nobody", "alice"):
        ring(lab, user, call_id=user)
    assert answers(lab.engine) == [404, 480]


def test_a_number_is_found_however_the_engine_spells_it(lab: Lab, bob: Phone) -> None:
    ring(lab, "+86bob")
    assert bob.takes().request.method == "INVITE"


def test_an_asserted_identity_is_kept_from_phones_when_privacy_is_asked_for(lab: Lab, bob: Phone) -> None:
    for privacy, expected in (("none", 1), ("header;id", 0)):
        request = make_request("INVITE", lab.engine, EDGE, call_id=privacy)
        headers = [*request.headers, ("P-Asserted-Identity", "<sip:x@y>"), ("Privacy", privacy)]
        lab.engine.request(Request("INVITE", request.uri, headers), EDGE)
        assert len(bob.takes().request.rows("P-Asserted-Identity")) == expected


def test_both_phones_ring_and_the_first_to_answer_gets_the_call(lab: Lab, bob: Phone) -> None:
    desk = second(lab)
    invite = ring(lab)
    mine, theirs = bob.takes(), desk.takes()
    bob.respond(mine.key, mine.request, 180)
    desk.respond(theirs.key, theirs.request, 180)
    assert len({last(lab.engine).to.tag, *(e.request.top_via.branch for e in (mine, theirs))}) == 3
    desk.respond(theirs.key, theirs.request, 200)
    cancelled = bob.hear(CancelReceived)
    assert cancelled.cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    bob.respond(mine.key, mine.request, 487)
    assert answers(lab.engine) == [100, 180, 180, 200]
    assert theirs.request.rows("Record-Route")[0].endswith("@192.0.2.1:5060;transport=ws;lr>")
    assert len(theirs.request.record_routes) == 2
    assert len(mine.request.record_routes) == 1
    lab.ladder()
    dialog = Dialog.uac(invite, Response(200, "OK", desk_answer(theirs)), lab.engine.contact)
    lab.engine.request(dialog.request("BYE"), EDGE)
    assert lab.ladder() == ["0 N→E BYE", "0 E→bob BYE"]
    assert desk.takes().request.method == "BYE"


def desk_answer(came: RequestReceived) -> list[tuple[str, str]]:
    """What the engine reads in the 200 of that phone."""
    rows = [(name, value) for name, value in came.request.headers if name not in ("To", "Via", "Contact")]
    return [*rows, ("To", f"{came.request.rows('To')[0]};tag=bob-local"), ("Contact", "<sip:x@a.invalid>")]


def test_the_best_of_several_refusals(lab: Lab, bob: Phone) -> None:
    desk = second(lab)
    ring(lab)
    mine, theirs = bob.takes(), desk.takes()
    bob.respond(mine.key, mine.request, 480)
    assert answers(lab.engine) == [100]
    desk.respond(theirs.key, theirs.request, 486)
    assert answers(lab.engine) == [486]


def test_a_refusal_for_all_stops_the_others(lab: Lab, bob: Phone) -> None:
    desk = second(lab)
    ring(lab)
    mine, theirs = bob.takes(), desk.takes()
    desk.respond(theirs.key, theirs.request, 180)
    bob.respond(mine.key, mine.request, 603)
    desk.hear(CancelReceived)
    assert answers(lab.engine) == [100, 180]
    desk.respond(theirs.key, theirs.request, 487)
    assert answers(lab.engine) == [603]


def test_the_caller_takes_it_back(lab: Lab, bob: Phone) -> None:
    desk = second(lab)
    ring(lab)
    key = lab.engine.heard[0].key  # type: ignore[union-attr]
    mine, theirs = bob.takes(), desk.takes()
    for phone, came in ((bob, mine), (desk, theirs)):
        phone.respond(came.key, came.request, 180)
    lab.engine.cancel(key, [("Reason", "SIP;cause=603")])  # type: ignore[arg-type]
    for phone, came in ((bob, mine), (desk, theirs)):
        assert phone.hear(CancelReceived).cancel.get("Reason") == "SIP;cause=603"
        phone.respond(came.key, came.request, 487)
    assert answers(lab.engine) == [100, 180, 180, 487]


def test_the_caller_takes_it_back_and_the_phone_has_gone(lab: Lab, bob: Phone) -> None:
    ring(lab)
    key = lab.engine.heard[0].key  # type: ignore[union-attr]
    came = bob.takes()
    bob.respond(came.key, came.request, 180)
    lab.lose = lambda datagram: "bob" in (datagram.source, datagram.target)
    lab.engine.cancel(key)  # type: ignore[arg-type]
    lab.advance(33)
    assert answers(lab.engine) == [100, 180, 487]


def test_a_phone_that_does_not_answer_at_all(lab: Lab, bob: Phone) -> None:
    lab.lose = lambda datagram: datagram.target == "bob"
    ring(lab)
    lab.advance(33)
    assert answers(lab.engine) == [100, 408]


def test_silence_to_a_message_is_passed_on_as_silence(lab: Lab, bob: Phone) -> None:
    """RFC 4320 §4.2."""
    lab.lose = lambda datagram: datagram.target == "bob"
    ring(lab, method="MESSAGE")
    lab.advance(33)
    assert answers(lab.engine) == []
    assert lab.core.counts()["server"] == lab.core.counts()["contexts"] == 0


def test_ringing_has_an_end(lab: Lab, bob: Phone) -> None:
    """Timer C (RFC 3261 §16.8); each provisional answer starts it anew."""
    ring(lab)
    came = bob.takes()
    bob.respond(came.key, came.request, 180)
    lab.advance(180)
    bob.respond(came.key, came.request, 183)
    lab.advance(184)
    assert bob.heard == []
    lab.advance(1)
    bob.hear(CancelReceived)


@pytest.mark.parametrize("rung", [True, False])
def test_a_connection_that_closes_ends_the_wait(lab: Lab, rung: bool) -> None:
    desk = second(lab)
    ring(lab)
    came = desk.takes()
    if rung:
        desk.respond(came.key, came.request, 180)
    lab.hang_up_connection(desk)
    assert answers(lab.engine) == ([100, 180, 480] if rung else [100, 480])
    lab.advance(70)
    assert lab.core.counts()["contexts"] == lab.core.counts()["client"] == 0


def test_the_other_flow_of_a_phone_is_tried(lab: Lab) -> None:
    outbound = [("Supported", "outbound")]
    flows = []
    for place in (1, 2):
        flow = lab.phone("bob", "192.0.2.21", "tcp", 40000 + place)
        flow.cseq = 10 * place
        contact = f'<sip:bob-{place}@a.invalid>;reg-id={place};+sip.instance="<urn:uuid:1>"'
        flow.register(contact=contact, headers=outbound)
        flows.append(flow)
    ring(lab)
    assert flows[0].heard == []  # one flow of a phone at a time (RFC 5626 §7)
    flows[1].takes()
    lab.hang_up_connection(flows[1])
    came = flows[0].takes()
    flows[0].respond(came.key, came.request, 486)
    assert answers(lab.engine) == [100, 486]


def test_a_request_along_a_flow_that_is_gone(lab: Lab) -> None:
    desk = second(lab)
    invite = ring(lab)
    came = desk.takes()
    desk.respond(came.key, came.request, 200)
    dialog = Dialog.uac(invite, last(lab.engine), lab.engine.contact)
    answers(lab.engine)
    lab.hang_up_connection(desk)
    lab.core.opened(desk.flow_at_edge)  # somebody else got the port
    lab.engine.request(dialog.request("BYE"), EDGE)
    lab.engine.ack(dialog, EDGE)
    assert answers(lab.engine) == [430]
    assert desk.heard == []


def test_the_path_of_the_registration_is_the_route(lab: Lab) -> None:
    bob = lab.phone("bob", "192.0.2.20")
    bob.register(headers=[("Path", "<sip:p1.example;lr>"), ("Path", "<sip:p2.example;lr>")])
    ring(lab)
    assert bob.takes().request.rows("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]


def test_challenges_of_several_phones_go_back_together(lab: Lab, bob: Phone) -> None:
    desk = second(lab)
    ring(lab)
    for phone in (bob, desk):
        came = phone.takes()
        phone.respond(
            came.key, came.request, 407, [("Proxy-Authenticate", f"Digest realm={phone.transport}")]
        )
    found = last(lab.engine).rows("Proxy-Authenticate")
    assert sorted(found) == ["Digest realm=udp", "Digest realm=ws"]


def test_an_overloaded_phone_is_not_an_overloaded_edge(lab: Lab, bob: Phone) -> None:
    ring(lab)
    came = bob.takes()
    bob.respond(came.key, came.request, 503)
    assert answers(lab.engine) == [100, 500]
