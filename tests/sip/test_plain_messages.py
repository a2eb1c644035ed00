"""Plain messages are read in a quick way: it reads what the careful way reads, and refuses nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.message import Request, Response, response_to
from engine.sip.parse import parse, parse_with_care
from engine.sip.uri import NameAddr, name_addr_of, tag_of
from tests.sip.kit import wire

INVITE = wire(extra=["Record-Route: <sip:r;lr>", "Supported: timer, path", "Via: SIP/2.0/TCP c"], body="v=0")
SEEDS = [
    INVITE,
    wire(),
    wire("REGISTER").replace(b"Contact: <sip:peer@192.0.2.9>", b"Contact: *"),
    wire("ACK", to_tag=";tag=x", extra=["x-charge: a", "X-Charge: b", "m: <sip:c@d>"]),
    wire(
        via="SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b",
        extra=["Timestamp: 4", "Contact: <sip:z@y>;q=0.4, <sip:z@x>"],
    ),
    response_to(parse(wire()), 180, to_tag="x").to_bytes(),  # type: ignore[arg-type]
    response_to(parse(INVITE), 200, "", to_tag="x", body=b"v=0").to_bytes(),  # type: ignore[arg-type]
]
PIECES = [
    *(b"\r\n", b"\r", b"\n", b"\r\n ", b"\t", b" ", b":", b": ", b",", b";", b'"', b"<", b">", b"\\", b"%"),
    *(b"\x00", b"\x7f", b"\xff", "\u738b".encode(), b"0", b"1", b"v", b"SIP/2.0", b"Via", b"Subject\r\n"),
    *(b"To: <sip:a@b>\r\n", b"Contact: *\r\n", b"Via: SIP/2.0/UDP h\r\n", b";tag=", b";rport", b"X-Y: z\r\n"),
]


def facts(message: Request | Response) -> list[object]:
    start = (
        (message.method, message.request_uri)
        if isinstance(message, Request)
        else (message.status, message.reason)
    )
    read = [start, list(message.headers), dict(message.first), message.body, message.call_id, message.cseq]
    read.append(message.to_bytes())
    try:
        message.validate()
        read += [message.from_tag, message.to_tag, message.from_.tag, message.to.tag, message.contacts]
    except RemoteProtocolError as error:
        read.append(str(error))
    if isinstance(message, Request):
        via = message.top_via
        message.stamp("192.0.2.7", 5071)
        assert message.top_via == via.stamped("192.0.2.7", 5071)
        read += [message.top_via, list(message.headers), message.to_bytes()]
        read += [response_to(message, status, to_tag="t").to_bytes() for status in (100, 180, 486)]
    return read


def parse_plainly(data: bytes) -> Request | Response | None:
    """By a layout that has been learnt, perhaps just now."""
    with suppress(RemoteProtocolError):
        parse(data)
    with patch("engine.sip.parse.parse_with_care", return_value=None):
        return parse(data)


def agree(data: bytes) -> bool:
    """Whether the message is plain; if it is, both ways read the same."""
    plain = parse_plainly(data)
    if plain is None:
        return False
    assert facts(plain) == facts(parse_with_care(data))
    return True


@pytest.mark.parametrize("data", SEEDS)
def test_what_nearly_all_send_is_plain(data: bytes) -> None:
    assert agree(data)


@given(st.sampled_from(SEEDS), st.data())
@settings(max_examples=1_000)
def test_both_ways_read_the_same(seed: bytes, draw: st.DataObject) -> None:
    parse(seed)
    agree(mutated(seed, draw))


def mutated(seed: bytes, draw: st.DataObject) -> bytes:
    data = bytearray(seed)
    for _ in range(draw.draw(st.integers(1, 3))):
        start = draw.draw(st.integers(0, len(data)))
        data[start : start + draw.draw(st.sampled_from([0, 0, 1, 2, 9]))] = draw.draw(st.sampled_from(PIECES))
    return bytes(data)


VALUES = ("from_tag", "to_tag", "call_id", "cseq", "contacts", "record_routes")
OF_REQUESTS = ("top_via", "max_forwards", "uri")


@given(st.sampled_from(SEEDS), st.data())
@settings(max_examples=600)
def test_what_is_valid_has_the_values_that_are_read_one_by_one(seed: bytes, draw: st.DataObject) -> None:
    try:
        message = parse(mutated(seed, draw))
        bare = bare_of(message)
        message.validate()
    except RemoteProtocolError:
        return
    names = VALUES + OF_REQUESTS * isinstance(message, Request)
    assert {name: getattr(message, name) for name in names} == {name: getattr(bare, name) for name in names}


@given(st.sampled_from(SEEDS), st.data())
@settings(max_examples=600)
def test_what_is_invalid_has_a_value_that_cannot_be_read(seed: bytes, draw: st.DataObject) -> None:
    try:
        message = parse(mutated(seed, draw))
    except RemoteProtocolError:
        return
    bare = bare_of(message)
    try:
        message.validate()
    except RemoteProtocolError as error:
        names = (*VALUES, *("top_via", "max_forwards", "routes", "uri") * isinstance(message, Request))
        said = {outcome(lambda name=name: str(getattr(bare, name)), said=True) for name in names}
        assert str(error) in {*said, "headers in the Request-URI"}


def bare_of(message: Request | Response) -> Request | Response:
    """A message with the same rows, of which nothing has been read."""
    rows = [*message.headers]
    if isinstance(message, Request):
        return Request(message.method, message.request_uri, rows, message.body)
    return Response(message.status, message.reason, rows, message.body)


names = st.sampled_from(
    ["Via", "To", "to", "v", "Subject", "X-Y", "X-y", "Content-Length", "X Y", "", "\xe9", "A:"]
)
ODD = ["a", ":", " ", ",", "\r", "\n", "\r\n", "\t", "\\", "\x01", "\x7f", "\xe9", "\ud800"]
texts = st.lists(st.sampled_from(ODD), max_size=5).map("".join)


@given(
    st.lists(st.tuples(names, texts | st.just("a")), max_size=4),
    texts | st.just("sip:a@b"),
    st.binary(max_size=9),
)
@settings(max_examples=1_000)
def test_plain_messages_are_written_like_others(rows: list[tuple[str, str]], text: str, body: bytes) -> None:
    for message, start in (
        (Request("INFO", text, rows, body), f"INFO {text} SIP/2.0"),
        (Response(200, text, rows, body), f"SIP/2.0 200 {text}"),
    ):
        assert outcome(message.to_bytes) == outcome(lambda m=message, s=start: m.encode_with_care(s))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Max-Forwards: 70\r\n", b"Subject\r\n"),
        (b"Max-Forwards: 70\r\n", b"Subject: a\nb\x01\r\n"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        (b"To: ", b"To: <sip:a@b>\r\nTo: "),
        (b"Via: ", b"Via: x\r\nVia: "),
        (b"Content-Length: 0", b"Content-Length: 1"),
        (b" SIP/2.0\r\nVia", b"  SIP/2.0\r\nVia"),
        (b"Call-ID: p-call\r\n", b""),
    ],
)
def test_nothing_bad_is_plain(old: bytes, new: bytes) -> None:
    data = wire().replace(old, new, 1)
    assert data != wire()
    assert parse_plainly(data) is None
    with pytest.raises(RemoteProtocolError):
        parse(data)


pieces = st.sampled_from(
    [
        *(
            '"A" ',
            '"\\"',
            "A ",
            "<",
            "sip:",
            "sips:",
            "tel:",
            "a",
            "1",
            "@",
            "h",
            ":5060",
            ";user=phone",
            ";lr",
        ),
        *(
            ";x=",
            ";x",
            ">",
            ";tag=",
            "t",
            "%41",
            "%",
            "?a=b",
            ",",
            " ",
            "\t",
            "[::1]",
            "A.B",
            "\u738b",
            "\udcff",
        ),
    ]
)
parties = st.lists(pieces, max_size=8).map("".join)
likely = st.tuples(
    st.sampled_from(["", '"A" ', '"\u738b" ', "A ", '"\x01"']),
    st.lists(pieces, max_size=3).map("".join),
    st.sampled_from(["h", "H", "h:5060", "h:70000", "h:0", "a.b.", "h;lr;lr", "h;a=1;b", "h;%6c=1"]),
    st.sampled_from(["", ";tag=t", ";tag=", ";tag=a;tag=b", ";x;tag=t", ";TAG=t", " ;tag=t"]),
).map(lambda parts: f"{parts[0]}<sip:{parts[1]}{parts[2]}>{parts[3]}")


def outcome(read: Callable[[], object], *, said: bool = False) -> object:
    try:
        return read()
    except (LocalProtocolError, RemoteProtocolError) as error:
        return str(error) if said else "refused"


@given(parties | likely)
@settings(max_examples=1_000)
def test_a_tag_is_what_the_whole_value_says(text: str) -> None:
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    assert outcome(lambda: tag_of(text)) == outcome(lambda: name_addr_of(readable).tag)


@given(parties | likely)
@settings(max_examples=1_000)
def test_a_plain_party_is_what_the_whole_grammar_says(text: str) -> None:
    assert outcome(lambda: NameAddr.parse(text)) == outcome(lambda: name_addr_of(text))


def test_tags_of_plain_values() -> None:
    assert tag_of('"Jean Dupont" <sip:+8613@127.0.10.1:5061;user=phone>;tag=4a') == "4a"
    assert tag_of("<sip:127.0.10.1>") is None
