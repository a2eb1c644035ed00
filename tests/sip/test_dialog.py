"""Dialogs: what both ends remember, and the requests they make (RFC 3261 §12)."""

from __future__ import annotations

import pytest

from engine.sip.dialog import Dialog
from engine.sip.effects import AckReceived, RequestReceived, ResponseReceived
from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.message import Request, Response, response_to
from engine.sip.parse import parse
from engine.sip.uri import Uri
from tests.sip.kit import Net, make_request, wire

CONTACT = "<sip:us@192.0.2.1>"


def invite(extra: tuple[str, ...] = (), **parts: str) -> Request:
    message = parse(wire(extra=extra, **parts))  # type: ignore[arg-type]
    assert isinstance(message, Request)
    return message


def answer(request: Request, status: int, *rows: tuple[str, str], tag: str = "theirs") -> Response:
    message = parse(response_to(request, status, to_tag=tag, headers=rows).to_bytes())
    assert isinstance(message, Response)
    return message


def uac(*rows: tuple[str, str], status: int = 200) -> Dialog:
    request = invite()
    return Dialog.uac(request, answer(request, status, *rows), CONTACT)


def test_uas_takes_target_and_routes_from_the_request() -> None:
    request = invite(("Record-Route: <sip:p1;lr>, <sip:p2;lr>",))
    dialog = Dialog.uas(request, "ours", CONTACT)
    assert (dialog.call_id, dialog.local_tag, dialog.remote_tag) == ("p-call", "ours", "p")
    assert not dialog.confirmed
    assert str(dialog.remote_target) == "sip:peer@192.0.2.9"
    assert dialog.next_hop() == Uri.parse("sip:p1;lr")
    bye = dialog.request("BYE", headers=[("Reason", "Q.850;cause=16")])
    assert (bye.uri, bye.cseq, bye.max_forwards) == (dialog.remote_target, (1, "BYE"), 70)
    assert [route.uri.host for route in bye.routes] == ["p1", "p2"]
    assert (bye.from_.tag, bye.to.tag, bye.call_id) == ("ours", "p", "p-call")
    assert (bye.from_.uri, bye.to.uri) == (request.to.uri, request.from_.uri)
    assert bye.contact is None
    assert bye.get("Reason") == "Q.850;cause=16"
    reinvite = dialog.request("INVITE", headers=[("Content-Type", "application/sdp")], body=b"v=0")
    assert reinvite.cseq.number == 2
    assert reinvite.get("Contact") == CONTACT
    assert reinvite.body == b"v=0"


def test_uas_from_a_response() -> None:
    request = invite()
    assert not Dialog.uas(request, answer(request, 183, tag="ours"), CONTACT).confirmed
    dialog = Dialog.uas(request, answer(request, 200, tag="ours"), CONTACT)
    assert dialog.confirmed
    assert dialog.local_tag == "ours"
    with pytest.raises(LocalProtocolError):
        Dialog.uas(request, response_to(request, 180), CONTACT)


def test_uas_needs_a_contact() -> None:
    data = wire().replace(b"Contact: <sip:peer@192.0.2.9>\r\n", b"")
    request = parse(data)
    assert isinstance(request, Request)
    with pytest.raises(RemoteProtocolError) as caught:
        Dialog.uas(request, "ours", CONTACT)
    assert (caught.value.status_hint, caught.value.request) == (400, request)


def test_uac_reverses_the_record_routes() -> None:
    dialog = uac(
        ("Record-Route", "<sip:p1;lr>"),
        ("Record-Route", "<sip:p2;lr>"),
        ("Contact", "<sip:b@192.0.2.7:5070>"),
    )
    assert (dialog.call_id, dialog.local_tag, dialog.remote_tag) == ("p-call", "p", "theirs")
    assert dialog.confirmed
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:b@192.0.2.7:5070"
    assert [route.uri.host for route in bye.routes] == ["p2", "p1"]
    assert bye.cseq == (2, "BYE")
    assert bye.to.tag == "theirs"


def test_ack_has_the_invites_number_and_the_dialogs_route() -> None:
    dialog = uac(("Contact", "<sip:b@192.0.2.7>"), ("Record-Route", "<sip:p1;lr>"))
    dialog.request("INFO")
    ack = dialog.request("ACK", headers=[("Content-Type", "application/sdp")], body=b"v=0", of_invite=1)
    assert (ack.method, ack.cseq, ack.body) == ("ACK", (1, "ACK"), b"v=0")
    assert [route.uri.host for route in ack.routes] == ["p1"]
    assert str(ack.uri) == "sip:b@192.0.2.7"
    for method in ("ACK", "CANCEL"):
        with pytest.raises(LocalProtocolError):
            dialog.request(method)


def test_strict_router_gets_itself_as_request_uri() -> None:
    dialog = uac(
        ("Record-Route", "<sip:last;lr>, <sip:strict:5070;method=INVITE;x=y>"),
        ("Contact", "<sip:b@192.0.2.7>"),
    )
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:strict:5070;x=y"
    assert bye.get_all("Route") == ["<sip:last;lr>", "<sip:b@192.0.2.7>"]
    assert dialog.next_hop().host == "strict"


def test_early_dialog_is_confirmed_by_the_2xx() -> None:
    request = invite()
    dialog = Dialog.uac(
        request, answer(request, 180, ("Record-Route", "<sip:p1;lr>"), ("Contact", "<sip:early@h>")), CONTACT
    )
    assert not dialog.confirmed
    dialog.confirm(answer(request, 200, ("Record-Route", "<sip:p2;lr>"), ("Contact", "<sip:late@h>")))
    assert dialog.confirmed
    assert dialog.remote_target.user == "late"
    assert dialog.next_hop().host == "p2"


def test_uas_confirms_without_taking_its_own_contact() -> None:
    request = invite(("Record-Route: <sip:p1;lr>",))
    dialog = Dialog.uas(request, "ours", CONTACT)
    dialog.confirm(response_to(request, 200, to_tag="ours", headers=[("Contact", CONTACT)]))
    assert dialog.confirmed
    assert dialog.remote_target.user == "peer"
    assert dialog.next_hop().host == "p1"


def test_response_without_contact_leaves_the_request_uri() -> None:
    assert str(uac(status=180).remote_target) == "sip:bob@192.0.2.1"


def test_remote_cseq_only_grows() -> None:
    dialog = Dialog.uas(invite(), "ours", CONTACT)
    dialog.receive(invite(cseq=5))  # type: ignore[arg-type]
    with pytest.raises(RemoteProtocolError) as caught:
        dialog.receive(invite(cseq=4))  # type: ignore[arg-type]
    assert caught.value.status_hint == 500
    ack = parse(wire("ACK", cseq=1))
    assert isinstance(ack, Request)
    dialog.receive(ack)
    assert dialog.remote_cseq == 5


@pytest.mark.parametrize(
    ("method", "moves"), [("INVITE", True), ("UPDATE", True), ("INFO", False), ("BYE", False)]
)
def test_target_refresh(method: str, moves: bool) -> None:
    dialog = uac(("Contact", "<sip:b@192.0.2.7>"))
    data = wire(method, cseq=9).replace(b"Contact: <sip:peer@192.0.2.9>", b"Contact: <sip:moved@192.0.2.8>")
    request = parse(data)
    assert isinstance(request, Request)
    dialog.receive(request)
    assert dialog.remote_target.user == ("moved" if moves else "b")


def test_peer_without_tag_reads_as_empty() -> None:
    request = invite(from_tag="")
    dialog = Dialog.uas(request, "ours", CONTACT)
    assert dialog.remote_tag == ""
    assert dialog.request("BYE").to.tag is None


def test_a_call_between_two_layers() -> None:
    net = Net(delay_s=0.01)
    alice = net.host("A", ("192.0.2.2", 5060))
    bob = net.host("B", ("192.0.2.1", 5060))
    request = make_request("INVITE", alice, bob.address)
    alice.request(request, bob.address)
    net.advance(0.1)
    received = bob.hear(RequestReceived)
    response = bob.respond(received.key, received.request, 200)
    theirs = Dialog.uas(received.request, response, bob.contact)
    net.advance(0.1)
    ours = Dialog.uac(request, alice.hear(ResponseReceived).response, alice.contact)
    assert (ours.local_tag, ours.remote_tag) == (theirs.remote_tag, theirs.local_tag)
    alice.ack(ours, bob.address)
    net.advance(0.1)
    theirs.receive(bob.hear(AckReceived).request)
    for host, peer, dialog in ((bob, alice, theirs), (alice, bob, ours)):
        host.request(dialog.request("INVITE"), peer.address)
        net.advance(0.1)
        heard = peer.hear(RequestReceived)
        other = ours if dialog is theirs else theirs
        other.receive(heard.request)
        peer.respond(heard.key, heard.request, 200)
        net.advance(0.1)
        assert host.hear(ResponseReceived).response.status == 200
        host.ack(dialog, peer.address)
        net.advance(0.1)
        peer.hear(AckReceived)
    alice.request(ours.request("BYE"), bob.address)
    net.advance(0.1)
    bye = bob.hear(RequestReceived)
    assert bye.request.cseq.number == 3
    bob.respond(bye.key, bye.request, 200)
    net.advance(60)
    assert not any(alice.layer.counts().values())
    assert not any(bob.layer.counts().values())
