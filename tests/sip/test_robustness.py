"""Whatever a peer sends, nothing but RemoteProtocolError is raised, and the layer raises nothing."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sip.effects import Discarded, RequestReceived, Send
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, response_to
from engine.sip.parse import parse
from tests.sip.ids import SeededIds
from tests.sip.kit import wire

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))
SEEDS = [
    wire(extra=["Route: <sip:r;lr>", "Record-Route: <sip:r;lr>", "Require: x"], body="v=0"),
    wire("ACK", to_tag=";tag=x"),
    wire("CANCEL"),
    wire("OPTIONS", via="SIP/2.0/UDP [2001:db8::1]:5061;branch=1;received=1.2.3.4;rport=5"),
    response_to(parse(wire()), 200, to_tag="x").to_bytes(),  # type: ignore[arg-type]
]
PIECES = [
    b"\r\n",
    b"\r\n ",
    b",",
    b";",
    b'"',
    b"<",
    b">",
    b"\\",
    b"%",
    b"\x00",
    b"\xff",
    b"@",
    b":",
    b"[",
    b" ",
    b"SIP/2.0",
]


READABLE = (
    *("call_id", "cseq", "from_", "to", "top_via", "vias", "contact", "contacts", "routes", "record_routes"),
    *("requires", "max_forwards", "uri"),
)


def feed(data: bytes) -> None:
    try:
        message = parse(data)
    except RemoteProtocolError as error:
        if error.request is not None:
            answer = response_to(error.request, error.status_hint, to_tag="x").to_bytes()
            assert answer.endswith(b"Content-Length: 0\r\n\r\n")
    else:
        for read in READABLE:
            try:
                getattr(message, read, None)
            except RemoteProtocolError:
                continue
        if isinstance(message, Request):
            response_to(message, 200, to_tag="x").to_bytes()
        # What could be read is written without raising, too.
        message.to_bytes()
    layer = TransactionLayer(SeededIds(), ("192.0.2.1", 5060))
    for effect in layer.receive(data, FLOW, 0.0):
        assert isinstance(effect, Discarded | RequestReceived | Send)
        if isinstance(effect, RequestReceived):
            layer.respond(effect.key, response_to(effect.request, 200, to_tag="x"), 0.0)
    layer.receive(data, FLOW, 0.1)
    layer.timer(100.0)
    layer.timer(200.0)
    assert not any(layer.counts().values())


@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    feed(data)


@given(st.text('INVITE sip:@/2.0\r\n;,<>"ViaFromTCSeq=', max_size=300))
def test_garbage_that_looks_like_sip(text: str) -> None:
    feed(text.encode())


@given(st.sampled_from(SEEDS), st.data())
@settings(max_examples=400)
def test_mutated_messages(seed: bytes, draw: st.DataObject) -> None:
    data = bytearray(seed)
    for _ in range(draw.draw(st.integers(1, 4))):
        start = draw.draw(st.integers(0, len(data)))
        end = start + draw.draw(st.sampled_from([0, 0, 1, 2, 10, 60]))
        data[start:end] = draw.draw(st.sampled_from(PIECES) | st.binary(max_size=3))
    feed(bytes(data))


@given(st.sampled_from(SEEDS), st.integers(0, 600))
def test_truncated_messages(seed: bytes, length: int) -> None:
    feed(seed[:length])


@given(
    st.sampled_from(
        ["From", "To", "Contact", "Via", "Route", "Record-Route", "CSeq", "Call-ID", "Max-Forwards"]
    ),
    st.text(string.printable + "é\ud7ff\u2028", max_size=40),
)
def test_any_value_in_any_header(name: str, value: str) -> None:
    feed(wire().replace(f"{name}: ".encode(), f"{name}: {value}".encode(), 1))
    feed(wire(extra=[f"{name}: {value}"]))


def test_oversize_datagrams() -> None:
    for size in (1 << 16, 1 << 20):
        for piece in (*PIECES, b"a", b"a: b\r\n", b"\r\n\t", b"Via: SIP/2.0/UDP h\r\n"):
            filler = piece * (size // len(piece))
            feed(filler)
            feed(wire().replace(b"Max-Forwards: 70", b"Subject: " + filler))
            feed(wire().replace(b"Via: ", b"Via: " + filler))
            feed(wire().replace(b"From: ", b"From: " + filler))
            feed(wire() + filler)


def test_a_quoted_pair_outside_quotes() -> None:
    feed(wire(via="SIP/2.0/UDP 192.0.2.9;branch=z9h\\\x01G4bK-1"))
    feed(wire(from_tag=";tag=a\\\x7f"))
    feed(wire(extra=["Record-Route: <sip:r;lr>;a=\\\x00"]))
