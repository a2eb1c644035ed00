"""Where requests inside a dialog go: routes, remote targets and their transports."""

from __future__ import annotations

import pytest

from engine.call.wire import Wire
from engine.model.address import Address
from engine.sip.dialog import Dialog
from engine.sip.flow import Flow
from engine.sip.layer import TransactionLayer
from engine.sip.uri import NameAddr, Uri
from tests.call.kit import ACCESS, NUMBER, Lab
from tests.call.peer import sdp
from tests.sip.ids import SeededIds

OURS = Address("10.0.0.1", 5060)
TLS = Address("10.0.0.1", 5061)
UDP = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.9", 5060))
WS = Flow("wss", ("10.0.0.1", 443), ("10.0.0.9", 4711))
ME = "<sip:me@10.0.0.1>"


@pytest.fixture
def wire() -> Wire:
    ids = SeededIds()
    layer = TransactionLayer(ids, (OURS.host, OURS.port))
    return Wire(layer, ids, OURS, {"tls": TLS})


def dialog(target: str, *routes: str) -> Dialog:
    return Dialog(
        call_id="c",
        local_tag="a",
        remote_tag="b",
        local=ME,
        remote=ME,
        local_cseq=1,
        remote_cseq=None,
        remote_target=Uri.parse(target),
        route_set=tuple(NameAddr.parse(route) for route in routes),
        contact="<sip:10.0.0.1>",
        confirmed=True,
    )


def flow(transport: str, host: str, port: int) -> Flow:
    local = TLS if transport == "tls" else OURS
    return Flow(transport, (local.host, local.port), (host, port))


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("sip:a@10.0.0.2", flow("udp", "10.0.0.2", 5060)),
        ("sip:a@10.0.0.2:5070", flow("udp", "10.0.0.2", 5070)),
        ("sip:a@[2001:db8::1]:5070", flow("udp", "2001:db8::1", 5070)),
        ("sip:a@10.0.0.2;transport=tcp", flow("tcp", "10.0.0.2", 5060)),
        ("sip:a@10.0.0.2;transport=TCP", flow("tcp", "10.0.0.2", 5060)),
        ("sip:a@10.0.0.2;transport=tls", flow("tls", "10.0.0.2", 5061)),
        ("sips:a@10.0.0.2", flow("tls", "10.0.0.2", 5061)),
        ("sips:a@10.0.0.2:5070;transport=tcp", flow("tls", "10.0.0.2", 5070)),
        ("sip:a@10.0.0.2;transport=sctp", flow("udp", "10.0.0.2", 5060)),
        ("sip:a@10.0.0.2;transport=ws", UDP),
        ("sip:a@10.0.0.2;lr", flow("udp", "10.0.0.2", 5060)),
        ("tel:+8613900000002", UDP),
        ("sip:a@phone.example.org", UDP),
        ("sip:a@999.1.1.1", UDP),
    ],
)
def test_the_target_says_where(wire: Wire, target: str, there: Flow) -> None:
    assert wire.flow_for(dialog(target), UDP) == there


@pytest.mark.parametrize(
    ("routes", "there"),
    [
        (["<sip:10.0.0.3;lr>"], flow("udp", "10.0.0.3", 5060)),
        (["<sip:10.0.0.3;lr;transport=tcp>", "<sip:10.0.0.4;lr>"], flow("tcp", "10.0.0.3", 5060)),
        (["<sip:10.0.0.3:5080>"], flow("udp", "10.0.0.3", 5080)),  # a strict router
    ],
)
def test_the_first_route_says_where(wire: Wire, routes: list[str], there: Flow) -> None:
    assert wire.flow_for(dialog("sip:a@10.0.0.2", *routes), UDP) == there


@pytest.mark.parametrize("target", ["sip:a@10.0.0.2", "sip:a@x.invalid;transport=ws", "sips:a@10.0.0.2"])
def test_only_the_peer_opens_a_websocket(wire: Wire, target: str) -> None:
    assert wire.flow_for(dialog(target), WS) == WS


def test_a_strict_router_gets_itself_as_request_uri(lab: Lab) -> None:
    """RFC 3261 §12.2.1.1; what a callee's proxy recorded without `lr`."""
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    route = ("Record-Route", f"<sip:{ACCESS[0]}:5060>")
    called.invite.reply(200, sdp(ACCESS[0]), [route], contact="<sip:callee@10.9.9.9>")
    ask.ack()
    ask.side.bye()
    for request in (called.acks[0], called.last("BYE").request):
        assert str(request.uri) == f"sip:{ACCESS[0]}:5060"
        assert request.rows("Route") == ["<sip:callee@10.9.9.9>"]
