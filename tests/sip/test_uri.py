"""URIs and name-addrs: what is read, what is written, and what can never be written."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import Params, split_list
from engine.sip.uri import NameAddr, Uri, sip_uri
from engine.sip.via import Via


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:alice@atlanta.example", Uri("sip", "alice", "atlanta.example")),
        ("SIP:Alice@Atlanta.Example:5060", Uri("sip", "Alice", "atlanta.example", 5060)),
        ("sips:10.0.0.1", Uri("sips", None, "10.0.0.1")),
        ("sip:10.0.0.1:5070", Uri("sip", None, "10.0.0.1", 5070)),
        ("sip:bob@[2001:db8::1]:5060", Uri("sip", "bob", "2001:db8::1", 5060)),
        ("sip:[::ffff:192.0.2.1]", Uri("sip", None, "::ffff:192.0.2.1")),
        (
            "sip:a@b;transport=UDP;LR;x=",
            Uri("sip", "a", "b", params=Params({"transport": "UDP", "lr": None, "x": ""})),
        ),
        ("sip:a:secret@b", Uri("sip", "a", "b", password="secret")),
        ("sip:a@b?Subject=hi%20there&x=", Uri("sip", "a", "b", headers=(("Subject", "hi there"), ("x", "")))),
        ("sip:sips%3Auser%40example.com@example.net", Uri("sip", "sips:user@example.com", "example.net")),
        (
            "sip:user;par=u%40example.net@example.com",
            Uri("sip", "user;par=u@example.net", "example.com"),
        ),
        (
            "sip:cal%6Cer@h;%6C%72;n%61me=v%61lue%25%34%31",
            Uri("sip", "caller", "h", params=Params({"lr": None, "name": "value%41"})),
        ),
        ("sip:null-%00-null@example.com", Uri("sip", "null-\0-null", "example.com")),
        (
            "sip:+8613800138000;ext=1@h;user=phone",
            Uri("sip", "+8613800138000;ext=1", "h", params=Params({"user": "phone"})),
        ),
        ("tel:+86-138-0013-8000", Uri("tel", "+86-138-0013-8000", "")),
        ("tel:110;phone-context=+86", Uri("tel", "110", "", params=Params({"phone-context": "+86"}))),
        ("urn:service:sos", Uri("urn", None, "service:sos")),
        (
            "nobodyKnowsThisScheme:totallyopaquecontent",
            Uri("nobodyknowsthisscheme", None, "totallyopaquecontent"),
        ),
    ],
)
def test_uri_is_read_and_written_again(text: str, uri: Uri) -> None:
    assert Uri.parse(text) == uri
    assert Uri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@host",
        "sip:alice@",
        "sip:a b@host",
        "sip:a@b@c",
        "sip:a@ho st",
        "sip:a@host:0",
        "sip:a@host:65536",
        "sip:a@host:٥٠٦٠",
        "sip:a@host:+5",
        "sip:a@[::1",
        "sip:a@[1::2::3]",
        "sip:a@[fe80::1%25eth0]",
        "sip:a%zz@host",
        "sip:a%FF@host",
        "sip:a@host;=x",
        "sip:a@host;x=1;X=2",
        "sip:a@host?x",
        "sip:a\r\n@host",
        "<sip:a@host>",
        "tel:",
        "tel:abc-xyz",
        "1x:y",
        "urn:",
        "urn:a b",
        "-",
    ],
)
def test_what_is_no_uri_is_the_peers_fault(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Uri.parse(text)


@pytest.mark.parametrize(
    "uri",
    [
        Uri("sip", "a", "host\r\nVia: x"),
        Uri("sip", "a", "b@c"),
        Uri("sip", "a", "[::1]"),
        Uri("sip", "", "host"),
        Uri("sip", "a", "host", 0),
        Uri("sip", "a", "host", 70000),
        Uri("tel", "110\r\n", ""),
        Uri("tel", None, ""),
        Uri("urn", None, "a\r\nb"),
        Uri("urn", None, ""),
        Uri("a b", None, "x"),
    ],
)
def test_what_cannot_be_a_uri_is_never_written(uri: Uri) -> None:
    with pytest.raises(LocalProtocolError):
        str(uri)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('"Bell, Alexander" <sip:a@h>;tag=1', ("Bell, Alexander", "sip:a@h", {"tag": "1"})),
        ("Alice <sip:a@h>", ("Alice", "sip:a@h", {})),
        ("token1~` token2'+_ <sip:a@h>", ("token1~` token2'+_", "sip:a@h", {})),
        ("caller<sip:a@h>;tag=3", ("caller", "sip:a@h", {"tag": "3"})),
        ('"Quoted"<sip:a@h>', ("Quoted", "sip:a@h", {})),
        (r'"a \"b\" \\ c" <sip:a@h>', (r'a "b" \ c', "sip:a@h", {})),
        ('"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:a@h>', ("BEL: NUL: DEL:", "sip:a@h", {})),
        ('"" <sip:a@h>', ("", "sip:a@h", {})),
        ("<sip:a@h;lr>", (None, "sip:a@h;lr", {})),
        ("sip:a@h;lr", (None, "sip:a@h", {"lr": None})),
        ("sip:a@h ;   tag    = 1918181833n", (None, "sip:a@h", {"tag": "1918181833n"})),
        ('<sip:a@h> ; x = "a;b, \\"c\\"" ; Y', (None, "sip:a@h", {"x": 'a;b, "c"', "y": None})),
        ("<sip:a@h?x=%3Cy%3E>", (None, "sip:a@h?x=%3Cy%3E", {})),
        ("张三 <sip:a@h>", ("张三", "sip:a@h", {})),
    ],
)
def test_name_addr(text: str, address: tuple[str | None, str, dict[str, str | None]]) -> None:
    display, uri, params = address
    parsed = NameAddr.parse(text)
    assert parsed == NameAddr(display, Uri.parse(uri), Params(params))
    assert NameAddr.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "sip:a@h?x=y",
        "sip:a@h, sip:b@h",
        '"Mr. J. User <sip:a@h>',
        '"x" sip:a@h',
        "<sip:a@h",
        "<sip:a@h> trailing",
        "< sip:a@h >",
        "<sip:a@h>;tag=1;tag=2",
        "<sip:a@h>;;",
        "<sip:a@h>;tag=a b",
        '<sip:a@h>;x="open',
    ],
)
def test_what_is_no_name_addr_is_the_peers_fault(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        NameAddr.parse(text)


def test_tags_are_set_and_taken_off() -> None:
    address = NameAddr.parse("<sip:a@h>;x=1")
    assert address.tag is None
    assert str(address.with_tag("t")) == "<sip:a@h>;x=1;tag=t"
    assert address.with_tag("t").with_tag("u").tag == "u"


@pytest.mark.parametrize("control", ["\r\n", "\r", "\n", "\0", "\x1b", "\x7f"])
def test_no_control_character_leaves_through_a_name_addr(control: str) -> None:
    uri = Uri("sip", "a", "h")
    text = f"x{control}y"
    for address in (
        NameAddr(text, uri),
        NameAddr(None, uri, Params({"tag": text})),
        NameAddr(None, uri, Params({text: "1"})),
        NameAddr(None, Uri("sip", "a", text)),
    ):
        with pytest.raises(LocalProtocolError):
            str(address)
    # Where the grammar has escapes, the value itself passes, escaped.
    escaped = str(Uri("sip", text, "h", params=Params({"p": text}), headers=((text, text),), password=text))
    assert escaped.isprintable()
    assert Uri.parse(escaped).user == text


def test_split_list_heeds_quotes_and_brackets() -> None:
    assert split_list('"a, b" <sip:a@h;x=1,2>, <sip:b@h> ,, c;d="e,f"') == [
        '"a, b" <sip:a@h;x=1,2>',
        "<sip:b@h>",
        'c;d="e,f"',
    ]
    assert split_list("") == split_list(" , ") == []
    for broken in ('"a, b', "a, <b", 'a, "b\\"'):
        with pytest.raises(RemoteProtocolError):
            split_list(broken)


def test_via_is_read_and_written() -> None:
    via = Via.parse("SIP /  2.0  / udp  [2001:DB8::9]:5062 ; branch = z9hG4bK1 ;rport;maddr=224.0.0.1")
    assert (via.transport, via.host, via.port) == ("udp", "2001:db8::9", 5062)
    assert (via.branch, via.received, via.rport) == ("z9hG4bK1", None, None)
    assert "rport" in via.params
    assert str(via) == "SIP/2.0/UDP [2001:db8::9]:5062;branch=z9hG4bK1;rport;maddr=224.0.0.1"
    stamped = via.stamped("2001:db8::10", 40000)
    assert (stamped.received, stamped.rport) == ("2001:db8::10", 40000)
    assert Via.parse(str(stamped)) == stamped
    assert stamped.stamped("2001:db8::10", 40000) == stamped


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h;;",
        "SIP/2.0/UDP h:99999",
        "h;branch=1",
    ],
)
def test_what_is_no_via_is_the_peers_fault(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Via.parse(text)


# --- round trips ---

labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=3).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str).filter(lambda text: "%" not in text),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
printable = texts.map(lambda text: "".join(char for char in text if char not in map(chr, (*range(32), 127))))
uri_params = st.dictionaries(texts.filter(bool).map(str.lower), st.none() | texts, max_size=3).map(Params)
tokens = st.text(string.ascii_lowercase + string.digits + "-.!%*_+`'~", min_size=1, max_size=8)
header_params = st.dictionaries(tokens, st.none() | printable.filter(bool), max_size=3).map(Params)
sip_uris = st.builds(
    Uri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.none() | texts.filter(bool),
    host=hosts,
    port=st.none() | st.integers(1, 65535),
    params=uri_params,
    headers=st.lists(st.tuples(texts.filter(bool), texts), max_size=2).map(tuple),
)


@given(
    st.none() | texts | st.from_regex(r"\+?[0-9a-z%]{0,6}", fullmatch=True), hosts | st.just("2001:db8::1")
)
def test_the_short_way_to_a_uri_is_the_long_one(user: str | None, host: str) -> None:
    try:
        expected = str(Uri("sip", user, host))
    except LocalProtocolError:
        with pytest.raises(LocalProtocolError):
            sip_uri(user, host)
    else:
        assert sip_uri(user, host) == expected


@given(sip_uris)
def test_every_uri_survives_the_wire(uri: Uri) -> None:
    text = str(uri)
    assert text.isascii()
    assert text.isprintable()
    assert Uri.parse(text) == uri


@given(st.none() | printable, sip_uris, header_params)
def test_every_name_addr_survives_the_wire(display: str | None, uri: Uri, params: Params) -> None:
    address = NameAddr(display, uri, params)
    assert NameAddr.parse(str(address)) == address
    assert split_list(f"{address}, {address}") == [str(address)] * 2


@given(
    st.sampled_from(["udp", "tcp", "tls", "ws", "wss"]),
    hosts,
    st.none() | st.integers(1, 65535),
    header_params,
)
def test_every_via_survives_the_wire(transport: str, host: str, port: int | None, params: Params) -> None:
    via = Via(transport, host, port, params)
    assert Via.parse(str(via)) == via


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    for parse in (Uri.parse, NameAddr.parse, Via.parse, split_list):
        try:
            found = parse(text)
        except RemoteProtocolError:
            continue
        if not isinstance(found, list):
            assert str(found)


@given(st.text('sip:@<>";,= \\%a0[]?\x00', max_size=30))
def test_what_is_read_can_be_written_and_read_again(text: str) -> None:
    for parse in (Uri.parse, NameAddr.parse):
        try:
            found = parse(text)
        except RemoteProtocolError:
            continue
        assert parse(str(found)) == found


def test_parameters_are_values() -> None:
    params = Params({"lr": None, "transport": "tcp"})
    assert params == Params({"transport": "tcp", "lr": None})
    assert hash(params) == hash(Params({"transport": "tcp", "lr": None}))
    assert params.with_("LR", "1").without("transport") == Params({"lr": "1"})
    for change in (
        lambda: params.__setitem__("a", "b"),
        lambda: params.update({"a": "b"}),
        lambda: params.setdefault("a", "b"),
        lambda: params.pop("lr"),
        lambda: params.clear(),
    ):
        with pytest.raises(TypeError):
            change()
    assert params == Params({"lr": None, "transport": "tcp"})
