"""What RFC 4475 (and RFC 5118 for IPv6) asks of a parser, each case in words of our own.

Cases that concern the transaction user (unknown schemes, missing Require, odd bodies) are the caller's;
here the message must merely come through.
"""

from __future__ import annotations

import pytest

from engine.sip.effects import Discarded, RequestReceived, Send
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.ids import SeededIds
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, Response, parse
from tests.sip.kit import wire

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))


def received(data: bytes) -> Request:
    """The request as the layer passes it up."""
    effects = TransactionLayer(SeededIds(), ("192.0.2.1", 5060)).receive(data, FLOW, 0.0)
    assert [type(effect) for effect in effects] == [RequestReceived], effects
    assert isinstance(effects[0], RequestReceived)
    return effects[0].request


def answered(data: bytes) -> str:
    """The stateless answer the layer gives, or `nothing`."""
    effects = TransactionLayer(SeededIds(), ("192.0.2.1", 5060)).receive(data, FLOW, 0.0)
    assert isinstance(effects[0], Discarded)
    if len(effects) == 1:
        return "nothing"
    assert isinstance(effects[1], Send)
    start = effects[1].data.partition(b"\r\n")[0].decode()
    return start.removeprefix("SIP/2.0 ").partition(" (")[0]


def test_short_tortuous_invite() -> None:  # §3.1.1.1
    invite = received(
        b"INVITE sip:vera@chair.example.com;unknownparam SIP/2.0\r\n"
        b"TO :\r\n sip:vera@chair.example.com ;   tag    = 1918n\r\n"
        b'from   : "J R \\\\\\""       <sip:jr@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
        b"MaX-fOrWaRdS: 0068\r\n"
        b"Call-ID: wsinv.n@192.0.2.1\r\n"
        b"Content-Length   : 3\r\n"
        b"cseq: 0009\r\n  INVITE\r\n"
        b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n"
        b"s :\r\n"
        b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
        b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
        b"Content-Type: application/sdp\r\n"
        b"Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
        b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
        b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
        b'm:"Quoted string \\"\\"" <sip:jr@example.com> ; newparam =\r\n      newvalue ;\r\n'
        b"  secondparam ; q = 0.33\r\n\r\nv=0"
    )
    assert invite.to.tag == "1918n"
    assert (invite.from_.display, invite.from_.tag) == ('J R \\"', "98asjd8")
    assert invite.max_forwards == 68
    assert invite.cseq == (9, "INVITE")
    assert [(via.transport, via.branch) for via in invite.vias] == [
        ("udp", "390skdjuw"),
        ("tcp", "z9hG4bK9ikj8"),
        ("udp", "z9hG4bK30239"),
    ]
    assert invite.get("Subject") == ""
    assert invite.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert invite.get_all("UnknownHeaderWithUnusualValue") == [";;,,;;,;"]
    assert "lr" in invite.routes[0].uri.params
    assert invite.contact is not None
    assert invite.contact.display == 'Quoted string ""'
    assert dict(invite.contact.params) == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}


def test_wide_range_of_valid_characters() -> None:  # §3.1.1.2
    method = "!interesting-Method0123456789_*+`.%indeed'~"
    request = received(
        wire(method, via="SIP/2.0/UDP host1.example.com;branch=z9hG4bK-.!%66*_+`'~")
        .replace(
            b"sip:bob@192.0.2.1 SIP",
            b"sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
            b"@example.com SIP",
        )
        .replace(
            b"<sip:bob@192.0.2.1>", b'"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_u~(to)&x?,/;;*@example.com>'
        )
        .replace(
            b"<sip:peer@192.0.2.9>;tag=p",
            b"token1~` token2'+_ token3*%!.- <sip:mundane@example.com> "
            b";fromParam''~+*_!.-%=\"\xd1\x80\xd0\xb0\";tag=_token~1'+`*%!-.",
        )
    )
    assert request.method == method
    assert request.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert request.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert request.to.display == "BEL: NUL: DEL:"
    assert request.from_.display == "token1~` token2'+_ token3*%!.-"
    assert request.from_.params["fromparam''~+*_!.-%"] == "ра"
    assert request.from_.tag == "_token~1'+`*%!-."


def test_escapes_that_look_like_headers_or_methods_stay_what_they_are() -> None:  # §3.1.1.5
    request = received(wire("RE%47IST%45R", extra=["%25ubject: x", 'Subject: "%Z%45"']))
    assert request.method == "RE%47IST%45R"
    assert request.get("%25ubject") == "x"


def test_no_space_before_the_bracket() -> None:  # §3.1.1.6
    options = received(wire("OPTIONS").replace(b"<sip:peer@192.0.2.9>;tag=p", b"caller<sip:c@e.com>;tag=323"))
    assert (options.from_.display, options.from_.tag) == ("caller", "323")


def test_long_values() -> None:  # §3.1.1.7
    name = "a" * 200
    invite = received(
        wire(
            from_tag=f";tag={name};{name}={name}",
            call_id="b" * 300,
            extra=[f"{name}: x", *[f"Via: SIP/2.0/TCP sip{number}.example.com" for number in range(34)]],
        )
    )
    assert len(invite.vias) == 35
    assert invite.from_.tag == name


def test_extra_bytes_after_a_datagrams_body() -> None:  # §3.1.1.8
    register = received(wire("REGISTER") + b"\r\nINVITE sip:joe@example.com SIP/2.0\r\n\r\n")
    assert (register.method, register.body) == ("REGISTER", b"")


def test_vias_of_unknown_transports() -> None:  # §3.1.1.10
    options = received(wire("OPTIONS", extra=["Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKkdjuw"]))
    assert [via.transport for via in options.vias] == ["udp", "unknown"]


def test_binary_body() -> None:  # §3.1.1.11
    data = wire("MESSAGE").replace(b"Content-Length: 0", b"Content-Length: 6") + b"\x00\r\n\r\n\xff"
    assert received(data).body == b"\x00\r\n\r\n\xff"


@pytest.mark.parametrize("reason", ["= 2**3 * 5**2 но сто девяносто девять - простое", ""])
def test_unusual_or_empty_reason_phrase(reason: str) -> None:  # §3.1.1.12, §3.1.1.13
    data = wire("INVITE").replace(b"INVITE sip:bob@192.0.2.1 SIP/2.0", f"SIP/2.0 200 {reason}".encode())
    response = parse(data)
    assert isinstance(response, Response)
    assert response.reason == reason


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        # §3.1.2.1 extra separators
        (wire(extra=["Route: <sip:a@h>;;,;,,"]), "400 Bad Request"),
        (wire().replace(b"Contact: <sip:peer@192.0.2.9>", b'Contact: "J" <sip:j@h>;;;;'), "400 Bad Request"),
        (wire(via="SIP/2.0/UDP 192.0.2.15;;,;,,"), "nothing"),
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
    "data",
    [
        # §3.1.2.12 a date in another zone, §3.1.2.15 a display name that should be quoted
        wire(extra=["Date: Fri, 01 Jan 2010 16:00:00 EST"]),
        wire().replace(b"<sip:peer@192.0.2.9>;tag=p", b"Bell, Alexander <sip:a@h>;tag=43"),
        # §3.2.1 nothing behind the magic cookie
        wire(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"),
        # §3.3.2 - §3.3.4 unknown schemes
        wire("OPTIONS").replace(b"sip:bob@192.0.2.1 SIP", b"nobodyKnowsThisScheme:totallyopaquecontent SIP"),
        wire("OPTIONS").replace(b"sip:bob@192.0.2.1 SIP", b"soap.beep://192.0.2.103:3002 SIP"),
        wire("REGISTER").replace(b"<sip:bob@192.0.2.1>", b"<isbn:2983792873>"),
        # §3.3.5, §3.3.6, §3.3.11 are the transaction user's
        wire("OPTIONS", extra=["Require: nothingSupportsThis", "Proxy-Require: noProxiesSupportThis"]),
        wire(extra=["Content-Type: application/unknownformat"], body="<audio/>"),
        wire("OPTIONS").replace(b"Max-Forwards: 70", b"Max-Forwards: 0"),
        # §3.3.12 - §3.3.14 Contacts with parameters and headers
        wire("REGISTER").replace(b"<sip:peer@192.0.2.9>\r\nCont", b"sip:+197@h;user=phone;expires=3\r\nCont"),
        wire("REGISTER").replace(b"<sip:peer@192.0.2.9>\r\nCont", b"<sip:u@h?Route=%3Csip:h%3E>\r\nCont"),
        # §3.4.1 RFC 2543
        wire(via="SIP/2.0/UDP iftgw.example.com").replace(b"Max-Forwards: 70\r\n", b""),
    ],
)
def test_requests_that_must_come_through(data: bytes) -> None:
    received(data)


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


def test_ipv6_without_brackets_is_refused() -> None:  # RFC 5118 §4.2
    data = wire("REGISTER").replace(b"sip:bob@192.0.2.1 SIP", b"sip:2001:db8::10 SIP")
    assert answered(data) == "400 Bad Request"
