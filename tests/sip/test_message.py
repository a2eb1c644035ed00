"""Messages: the header index, typed values, limits, and what is written (RFC 3261 §7, §8.2.6)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import Params
from engine.sip.message import Request, Response, response_to
from engine.sip.names import LISTS, canonical
from engine.sip.parse import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_ROWS, parse
from engine.sip.status import REASONS, reason_phrase
from engine.sip.uri import NameAddr, Uri
from tests.sip.kit import wire


def request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def refused(data: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        parse(data)
    return caught.value


def test_typed_values() -> None:
    invite = request(
        wire(
            extra=(
                "Route: <sip:p1.example;lr>, <sip:p2.example;lr>",
                "Route: <sip:p3.example>",
                "Record-Route: <sip:r.example;lr>",
                "Supported: 100rel, Timer",
                "k: path",
                "Require: foo",
                "Content-Type: text/plain",
            ),
            body="hello",
        )
    )
    assert invite.method == "INVITE"
    assert invite.uri == Uri("sip", "bob", "192.0.2.1")
    assert invite.call_id == "p-call"
    assert invite.cseq == (1, "INVITE")
    assert invite.cseq.method == "INVITE"
    assert invite.from_ == NameAddr(None, Uri("sip", "peer", "192.0.2.9"), Params({"tag": "p"}))
    assert invite.to.tag is None
    assert invite.contact is not None
    assert str(invite.contact.uri) == "sip:peer@192.0.2.9"
    assert invite.top_via.branch == "z9hG4bK-p1"
    assert [str(route.uri) for route in invite.routes] == [
        "sip:p1.example;lr",
        "sip:p2.example;lr",
        "sip:p3.example",
    ]
    assert [route.uri.host for route in invite.record_routes] == ["r.example"]
    assert invite.max_forwards == 70
    assert invite.requires == ("foo",)
    assert invite.get_all("Supported") == ["100rel", "Timer", "path"]
    assert invite.body == b"hello"
    assert invite.get("content-type") == invite.get("c") == "text/plain"
    assert invite.get("Subject") is None
    assert invite.get_all("Subject") == []
    invite.validate()


def test_lists_are_split_and_other_headers_are_not() -> None:
    invite = request(
        wire(
            extra=(
                'P-Asserted-Identity: "a, b" <sip:a@h>, <tel:+861>',
                "Subject: one, two",
                "Subject: three",
                'Proxy-Authorization: Digest realm="a, b", nonce="c"',
                "X-Mine: a, b",
                "x-mine: c",
            )
        )
    )
    assert invite.get_all("P-Asserted-Identity") == ['"a, b" <sip:a@h>', "<tel:+861>"]
    assert invite.get_all("Subject") == ["one, two", "three"]
    assert invite.get_all("Proxy-Authorization") == ['Digest realm="a, b", nonce="c"']
    assert invite.get_all("X-MINE") == ["a, b", "c"]
    assert invite.get("x-Mine") == "a, b"


def test_star_contact_is_no_address() -> None:
    register = request(wire("REGISTER").replace(b"<sip:peer@192.0.2.9>\r\nContent", b"*\r\nContent"))
    assert register.get("Contact") == "*"
    assert register.contact is None
    assert register.contacts == ()


def test_bytes_that_are_not_utf8_read_as_replacement_and_are_answered_unchanged() -> None:
    data = wire().replace(b"<sip:peer@192.0.2.9>;tag=p", b'"\xcd\xf5" <sip:peer@192.0.2.9>;tag=p')
    invite = request(data)
    assert invite.from_.display == "\ufffd\ufffd"
    assert invite.get("From") == '"\ufffd\ufffd" <sip:peer@192.0.2.9>;tag=p'
    assert b'From: "\xcd\xf5" <sip:peer@192.0.2.9>;tag=p\r\n' in response_to(invite, 200).to_bytes()


def test_folding_and_compact_forms_and_spaces() -> None:
    data = (
        b"OPTIONS sip:a@h SIP/2.0\r\n"
        b"v:SIP/2.0/UDP h1;branch=z9hG4bK1 ,\r\n  SIP/2.0/TCP h2\r\n\t;branch=z9hG4bK2\r\n"
        b"V : SIP/2.0/UDP h3\r\n"
        b"F:\r\n <sip:a@h>\r\n ;tag=1\r\n"
        b"t: <sip:b@h>\r\n"
        b"i: x\r\n"
        b"cSEQ:\t1  OPTIONS\r\n"
        b"MAX-FORWARDS   : 5 \r\n"
        b"l: 0\r\n\r\n"
    )
    options = request(data)
    assert [via.host for via in options.vias] == ["h1", "h2", "h3"]
    assert options.from_.tag == "1"
    assert options.cseq == (1, "OPTIONS")
    assert options.max_forwards == 5


def test_leading_line_ends_are_skipped() -> None:
    assert request(b"\r\n\r\n" + wire()).method == "INVITE"


@pytest.mark.parametrize(
    ("stated", "body", "read"),
    [("", b"abc", b"abc"), ("Content-Length: 2\r\n", b"abc", b"ab"), ("l: 000\r\n", b"abc", b"")],
)
def test_content_length_cuts_a_datagram(stated: str, body: bytes, read: bytes) -> None:
    data = wire().replace(b"Content-Length: 0\r\n", stated.encode()) + body
    assert request(data).body == read


@pytest.mark.parametrize("value", ["4", "-1", "+3", "3x", "٣", "0x3", "", "99999999999"])
def test_content_length_that_is_wrong_gets_400(value: str) -> None:
    data = wire().replace(b"Content-Length: 0", b"Content-Length: " + value.encode()) + b"abc"
    error = refused(data)
    assert error.status_hint == 400
    assert error.request is not None


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia", 505),
        (b"sip:bob@192.0.2.1 SIP", b" sip:bob@192.0.2.1 SIP", 400),
        (b"192.0.2.1 SIP/2.0", b"192.0.2.1 SIP/2.0 ", 400),
        (b"192.0.2.1 SIP/2.0", b"192.0.2.1\tSIP/2.0", 400),
        (b"sip:bob@192.0.2.1 SIP", b"sip:bob@192.0.2.1; x SIP", 400),
        (b"1 INVITE", b"1 OPTIONS", 400),
        (b"1 INVITE", b"2147483648 INVITE", 400),
        (b"1 INVITE", b"-1 INVITE", 400),
        (b"1 INVITE", b"1", 400),
        (b"Call-ID: p-call\r\n", b"", 400),
        (b"CSeq: 1 INVITE\r\n", b"", 400),
        (b"From: <sip:peer@192.0.2.9>;tag=p\r\n", b"", 400),
        (b"To: <sip:bob@192.0.2.1>\r\n", b"", 400),
        (b"Call-ID: p-call", b"Call-ID: p-call\r\nCall-ID: other", 400),
        (b"From: ", b"From: <sip:x@y>\r\nFrom: ", 400),
        (b"Max-Forwards: 70", b"Max-Forwards 70", 400),
        (b"Max-Forwards: 70", b"Max Forwards: 70", 400),
        (b"Max-Forwards: 70", b"Subject: a\x01b", 400),
        (b"Max-Forwards: 70", b"Subject: a\rb", 400),
        (b"Max-Forwards: 70", b"Subject: a\nb", 400),
        (b"Max-Forwards: 70", b": x", 400),
    ],
)
def test_a_bad_request_is_refused_with_all_an_answer_needs(old: bytes, new: bytes, status: int) -> None:
    data = wire().replace(old, new, 1)
    assert data != wire()
    error = refused(data)
    assert error.status_hint == status
    assert error.request is not None
    answer = response_to(error.request, error.status_hint, to_tag="x").to_bytes()
    assert b"branch=z9hG4bK-p1" in answer
    assert answer.startswith(f"SIP/2.0 {status} ".encode())


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 099 No\r\n\r\n",
        b"SIP/2.0 +20 No\r\n\r\n",
        b"SIP/2.0 4294967301 better not\r\n\r\n",
        b"SIP/1.0 200 OK\r\n\r\n",
        wire().replace(b"Via: ", b"Via: garbage "),
        wire().replace(b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-p1;rport\r\n", b""),
        wire("ACK").replace(b"1 ACK", b"x"),
        wire().replace(b"INVITE sip", b"\x00INVITE sip"),
        b"\xff\xfe" * 200,
    ],
)
def test_what_cannot_be_answered_carries_no_request(data: bytes) -> None:
    assert refused(data).request is None


def test_limits() -> None:
    long = request(wire(extra=["Subject: " + "x" * (MAX_HEAD_BYTES - 400)]))
    assert long.call_id == "p-call"
    error = refused(wire(extra=["Subject: " + "x" * MAX_HEAD_BYTES]))
    assert (error.status_hint, error.request is not None) == (513, True)
    error = refused(wire(extra=["Subject: x"] * MAX_ROWS))
    assert (error.status_hint, error.request is not None) == (513, True)
    error = refused(wire(body="x" * (MAX_BODY_BYTES + 1)))
    assert (error.status_hint, error.request is not None) == (413, True)
    assert len(request(wire(body="x" * MAX_BODY_BYTES)).body) == MAX_BODY_BYTES


def test_truncated_request_is_refused() -> None:
    data = wire(body="v=0")
    for length in range(len(data)):
        error = refused(data[:length])
        assert error.status_hint == 400


def test_values_are_parsed_on_first_use_only() -> None:
    invite = request(wire(extra=["Route: <broken", "P-Asserted-Identity: <also broken"]))
    assert invite.from_.tag == "p"
    with pytest.raises(RemoteProtocolError, match="Route"):
        _ = invite.routes
    with pytest.raises(RemoteProtocolError):
        invite.validate()


@pytest.mark.parametrize("value", ["256", "-1", "x", "", "0x1"])
def test_max_forwards_out_of_range(value: str) -> None:
    invite = request(wire().replace(b"Max-Forwards: 70", b"Max-Forwards: " + value.encode()))
    with pytest.raises(RemoteProtocolError):
        _ = invite.max_forwards


def test_response_to_copies_what_the_rfc_names() -> None:
    invite = request(
        wire(
            via="SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b",
            extra=("Via: SIP/2.0/UDP c", "Record-Route: <sip:r;lr>", "Timestamp: 54", "Subject: no"),
        )
    )
    ringing = parse(
        response_to(invite, 180, to_tag="t", headers=[("Contact", "<sip:x@y>")], body=b"hi").to_bytes()
    )
    assert isinstance(ringing, Response)
    assert (ringing.status, ringing.reason) == (180, "Ringing")
    assert [via.host for via in ringing.vias] == ["a", "b", "c"]
    assert ringing.to == invite.to.with_tag("t")
    assert (ringing.from_, ringing.call_id, ringing.cseq) == (invite.from_, invite.call_id, invite.cseq)
    assert len(ringing.record_routes) == 1
    assert ringing.body == b"hi"
    assert ringing.get("Subject") is ringing.get("Timestamp") is None
    trying = response_to(invite, 100)
    assert trying.to.tag is None
    assert trying.get("Timestamp") == "54"
    assert trying.record_routes == response_to(invite, 486, to_tag="t").record_routes == ()
    assert response_to(request(wire("OPTIONS", extra=["Record-Route: <sip:r;lr>"])), 200).record_routes == ()


def test_response_to_keeps_a_tag_that_is_there() -> None:
    for to, tag in ((";tag=old", "old"), ("", "new")):
        answer = response_to(request(wire("BYE", to_tag=to)), 200, to_tag="new")
        assert answer.to_tag == answer.to.tag == parse(answer.to_bytes()).to_tag == tag
    with pytest.raises(LocalProtocolError):
        response_to(request(wire()), 200, to_tag="a b")


def test_reason_phrases() -> None:
    assert reason_phrase(607) == "Unwanted"
    assert reason_phrase(608) == "Rejected"
    assert reason_phrase(499) == "Client Error"
    assert all(100 <= status <= 699 for status in REASONS)
    answer = response_to(request(wire()), 603, "Network Blocked", to_tag="t")
    assert answer.to_bytes().startswith(b"SIP/2.0 603 Network Blocked\r\n")


INJECTIONS = ["a\r\nVia: x", "a\nb", "a\rb", "a\0b", "\x1b[0m", "a\\\r\nb"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_control_character_leaves_in_a_message(text: str) -> None:
    uri = Uri("sip", "a", "h")
    for message in (
        Request("INFO", uri, [("Subject", text)]),
        Request("INFO", uri, [(text, "x")]),
        Request(text, uri, []),
        Request("INFO", text, []),
        Request("INFO", Uri("sip", None, text), []),
        Response(200, text, []),
        Response(200, "OK", [("Subject", text)]),
    ):
        with pytest.raises(LocalProtocolError):
            message.to_bytes()
    for name in ("A B", "", "a:", "ä"):
        with pytest.raises(LocalProtocolError):
            Response(200, "OK", [(name, "x")]).to_bytes()
    with pytest.raises(LocalProtocolError):
        Response(99, "OK", []).to_bytes()
    with pytest.raises(LocalProtocolError):
        Response(200, "OK", [("Subject", "\ud800")]).to_bytes()


def test_content_length_is_set_by_to_bytes_alone() -> None:
    data = Request(
        "INFO", "sip:a@h", [("Content-Length", "99"), ("l", "98"), ("Subject", "x")], b"four"
    ).to_bytes()
    assert data == b"INFO sip:a@h SIP/2.0\r\nSubject: x\r\nContent-Length: 4\r\n\r\nfour"


# --- round trips ---

tokens = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40).map(
    lambda text: text.strip(" \t")
)
bodies = st.binary(max_size=100)
mandatory = [
    ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"),
    ("From", "<sip:a@h>;tag=1"),
    ("To", "<sip:b@h>"),
    ("Call-ID", "c"),
]
reserved = {"via", "from", "to", "call-id", "cseq", "content-length", "v", "f", "t", "i", "l"}
rows = st.lists(st.tuples(tokens.filter(lambda name: name.lower() not in reserved), values), max_size=8)


@given(tokens, rows, bodies)
def test_every_request_survives_the_wire(method: str, extra: list[tuple[str, str]], body: bytes) -> None:
    sent = Request(method, "sip:b@h", [*mandatory, ("CSeq", f"7 {method}"), *extra], body)
    try:
        received = parse(sent.to_bytes())
    except RemoteProtocolError as error:
        assert "more than one" in str(error)
        return
    assert isinstance(received, Request)
    assert (received.method, received.cseq, received.body) == (method, (7, method), body)
    for name, _ in extra:
        if canonical(name) not in LISTS:
            assert received.get_all(name) == [
                value for other, value in extra if other.lower() == name.lower()
            ]
    again = parse(received.to_bytes())
    assert list(again.headers) == list(received.headers)


@given(st.integers(100, 699), values, rows, bodies)
def test_every_response_survives_the_wire(
    status: int, reason: str, extra: list[tuple[str, str]], body: bytes
) -> None:
    sent = Response(status, reason, [*mandatory, ("CSeq", "7 INFO"), *extra], body)
    try:
        received = parse(sent.to_bytes())
    except RemoteProtocolError as error:
        assert "more than one" in str(error)
        return
    assert isinstance(received, Response)
    assert (received.status, received.reason, received.body) == (status, reason, body)


def test_a_start_line_that_is_continued_is_malformed() -> None:
    """Folding belongs to headers (RFC 3261 §7.3.1); what stands behind a start line is not passed over."""
    good = wire()
    start, _, rest = good.partition(b"\r\n")
    with pytest.raises(RemoteProtocolError):
        parse(start + b"\r\n Subject: hidden\r\n" + rest)
