"""Near relations of the messages of RFC 4475: one fault at a time in a request that is otherwise well.

The messages themselves are in test_torture.py.
"""

from __future__ import annotations

import pytest

from engine.sip.effects import Discarded, Send
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.layer import TransactionLayer
from engine.sip.parse import parse
from tests.sip.ids import SeededIds
from tests.sip.kit import wire

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))


def answered(data: bytes) -> str:
    """The stateless answer the layer gives, or `nothing`."""
    effects = TransactionLayer(SeededIds(), ("192.0.2.1", 5060)).receive(data, FLOW, 0.0)
    assert isinstance(effects[0], Discarded)
    if len(effects) == 1:
        return "nothing"
    assert isinstance(effects[1], Send)
    start = effects[1].data.partition(b"\r\n")[0].decode()
    return start.removeprefix("SIP/2.0 ").partition(" (")[0]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        # §3.1.2.1 extra separators
        (wire(extra=["Route: <sip:a@h>;;,;,,"]), "400 Bad Request"),
        (wire().replace(b"Contact: <sip:peer@192.0.2.9>", b'Contact: "J" <sip:j@h>;;;;'), "400 Bad Request"),
        (wire(via="SIP/2.0/UDP 192.0.2.15;;,;,,"), "400 Bad Request"),
        (wire(via="SIP/2.0/UDP [192.0.2.15;;,;,,"), "nothing"),
        # more values than there can be hops or places, each of which would have to be read
        (wire(extra=["Route: " + ",".join(["<sip:h>"] * 1_000)]), "400 Bad Request"),
        (wire(extra=["Record-Route: " + ",".join(["<sip:h>"] * 1_000)]), "400 Bad Request"),
        (wire(extra=["Contact: " + ",".join(["<sip:h>"] * 1_000)]), "400 Bad Request"),
        # §3.1.2.2, §3.1.2.3 Content-Length too large, negative
        (wire().replace(b"Content-Length: 0", b"Content-Length: 9999"), "400 Bad Request"),
        (wire().replace(b"Content-Length: 0", b"Content-Length: -999"), "400 Bad Request"),
        # §3.1.2.4 overlarge scalars
        (wire("REGISTER").replace(b"1 REGISTER", b"36893488147419103232 REGISTER"), "400 Bad Request"),
        (wire().replace(b"Max-Forwards: 70", b"Max-Forwards: 300"), "400 Bad Request"),
        # §3.1.2.6 unterminated quote
        (wire().replace(b"To: <", b'To: "Mr. J. User <'), "400 Bad Request"),
        # §3.1.2.7 - §3.1.2.10 the request line
        (wire().replace(b"sip:bob@192.0.2.1 SIP", b"<sip:bob@192.0.2.1> SIP"), "400 Bad Request"),
        (wire().replace(b"sip:bob@192.0.2.1 SIP", b"sip:bob@192.0.2.1; lr SIP"), "400 Bad Request"),
        (wire().replace(b"INVITE sip", b"INVITE  sip"), "400 Bad Request"),
        (wire().replace(b"SIP/2.0\r\nVia", b"SIP/2.0  \r\nVia"), "400 Bad Request"),
        # §3.1.2.11 headers in the Request-URI
        (wire().replace(b"192.0.2.1 SIP", b"192.0.2.1?Route=%3Csip:e.com%3E SIP"), "400 Bad Request"),
        # §3.1.2.13, §3.1.2.14 a question mark without brackets, spaces within them
        (
            wire().replace(b"<sip:peer@192.0.2.9>\r\nContent", b"sip:p@h?Route=x\r\nContent"),
            "400 Bad Request",
        ),
        (wire().replace(b"<sip:bob@192.0.2.1>", b'"W, T" < sip:t@example.org >'), "400 Bad Request"),
        # §3.1.2.16 - §3.1.2.18 version, mismatched methods
        (wire().replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), "505 Version Not Supported"),
        (wire("OPTIONS").replace(b"1 OPTIONS", b"1 INVITE"), "400 Bad Request"),
        (wire("NEWMETHOD").replace(b"1 NEWMETHOD", b"1 INVITE"), "400 Bad Request"),
        # §3.3.1 required headers missing
        (wire().replace(b"Call-ID: p-call\r\n", b""), "400 Bad Request"),
        # §3.3.8, §3.3.9 several values where one is allowed, several Content-Lengths
        (wire(extra=["From: <sip:other@h>;tag=x"]), "400 Bad Request"),
        (wire(extra=["Max-Forwards: 5"]), "400 Bad Request"),
        (wire(extra=["Content-Length: 5"]), "400 Bad Request"),
    ],
)
def test_invalid_requests(data: bytes, answer: str) -> None:
    assert answered(data) == answer


@pytest.mark.parametrize(
    "change",
    [
        # §3.1.2.5 overlarge scalar, §3.1.2.19 overlarge status
        (b"1 OPTIONS", b"9292394834772304023312 OPTIONS"),
        (b"SIP/2.0 200", b"SIP/2.0 4294967301"),
    ],
)
def test_invalid_responses_are_discarded(change: tuple[bytes, bytes]) -> None:
    data = wire("OPTIONS").replace(b"OPTIONS sip:bob@192.0.2.1 SIP/2.0", b"SIP/2.0 200 OK")
    with pytest.raises(RemoteProtocolError):
        parse(data.replace(*change))
    assert answered(data.replace(*change)) == "nothing"


@pytest.mark.parametrize(
    ("via", "host", "port"),
    [
        ("SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1", "2001:db8::9:1", None),  # RFC 5118 §4.1
        ("SIP/2.0/UDP [2001:db8::9:1]:5061;branch=z9hG4bK1", "2001:db8::9:1", 5061),
        ("SIP/2.0/UDP [2001:db8::1];received=[2001:db8::9:255];branch=z9hG4bK1", "2001:db8::1", None),  # §4.5
        ("SIP/2.0/UDP [2001:db8::1];received=2001:db8::9:255;branch=z9hG4bK1", "2001:db8::1", None),
        ("SIP/2.0/UDP [::ffff:192.0.2.10];branch=z9hG4bK1", "::ffff:192.0.2.10", None),  # §4.8
    ],
)
def test_ipv6_in_via(via: str, host: str, port: int | None) -> None:
    found = parse(wire(via=via)).top_via
    assert (found.host, found.port) == (host, port)
