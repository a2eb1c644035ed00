"""SIP from the network: messages, streams, values, digests, and the transaction layer."""

from __future__ import annotations

from contextlib import suppress

from engine.call.leg_info import key_body, read_info
from engine.sip import layouts
from engine.sip.digest import authorization, directives
from engine.sip.digest_server import DigestServer, Outcome, Secret
from engine.sip.effects import Discarded, RequestReceived, Send
from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.framing import Broken, Framer
from engine.sip.glance import branch_of, is_response, top_via_of
from engine.sip.grammar import split_list
from engine.sip.layer import TransactionLayer
from engine.sip.matching import server_key
from engine.sip.message import Request, Response, response_to
from engine.sip.parse import MAX_BODY_BYTES, MAX_HEAD_BYTES, parse
from engine.sip.plain import plain_invite
from engine.sip.replaces import Replaces
from engine.sip.salvage import salvaged
from engine.sip.session_expires import min_se, session_expires
from engine.sip.uri import NameAddr, Uri
from engine.sip.via import Via
from tests.call.peer import sdp
from tests.fuzz.kit import CUT, Target, numbers, safe_message
from tests.sip.ids import SeededIds
from tests.sip.kit import wire
from tests.sip.torture_messages import read_all

layouts.SIGHTINGS = 1  # type: ignore[misc]

HERE, THERE = ("192.0.2.1", 5060), ("192.0.2.9", 5060)
TOKENS = (
    *(b"\r\n", b"\r\n ", b"\r", b"\n", b"\0", b"\\\0", b",", b";", b'"', b"<", b">", b"\\", b"%", b"%0d%0a"),
    *(b"\xff", "é".encode(), b"@", b":", b"[", b"]", b"?", b"=", b" ", b"\t", b"SIP/2.0", b"sip:", b"tel:"),
    *(b"z9hG4bK", b";branch=", b";rport", b";tag=", b";received=", b"Content-Length: 5\r\n", b"l:", b"v: "),
    *(b"Via: SIP/2.0/UDP h\r\n", b"Route: <sip:a;lr>\r\n", b"Require: x\r\n", b"urn:service:sos", b"*"),
)
TORTURE = tuple(message.data for message in read_all())
ANSWER = response_to(parse(wire()), 180, to_tag="x").to_bytes()  # type: ignore[arg-type]
LISTS = ("Contact", "Route", "Record-Route", "Via", "Supported", "Allow", "Reason", "Diversion", "Warning")


def message(data: bytes) -> None:
    """What is read can be written, is read again the same, and carries nothing but its rows."""
    if data.startswith(b"INVITE "):
        glanced_at(data)
    try:
        found = parse(data)
        known = parse(data)  # its layout has been learnt by now
    except RemoteProtocolError as error:
        if error.request is not None:
            safe_message(response_to(error.request, error.status_hint, to_tag="x").to_bytes())
        return
    assert [*known.headers] == [*found.headers] and known.first == found.first and known.body == found.body
    for name in LISTS:
        with suppress(RemoteProtocolError):
            found.get_all(name)
    with suppress(RemoteProtocolError):
        session_expires(found)
        min_se(found)
    written = found.to_bytes()
    safe_message(written)
    if len(written) < MAX_HEAD_BYTES:  # compact names grow
        again = parse(written)
        assert type(again) is type(found)
        assert again.body == found.body
        assert kept(again) == kept(found)
    with suppress(RemoteProtocolError):
        found.validate()
        if isinstance(found, Request):
            found.stamp("198.51.100.7", 5080)
            answer = response_to(found, 200, to_tag="t").to_bytes()
            safe_message(answer)
            if len(answer) < MAX_HEAD_BYTES:
                parse(answer)


def salvage(data: bytes) -> None:
    """What is made of a malformed request is well-formed, and still of a call to whom it was to."""
    made = salvaged(data, THERE, lambda uri: True)
    if made is None:
        return
    made.validate()
    assert made.method in ("INVITE", "CANCEL", "ACK", "BYE") and made.contact is not None
    assert (made.to.tag is not None) == (made.method in ("ACK", "BYE"))
    written = made.to_bytes()
    safe_message(written)
    again = parse(written)
    assert isinstance(again, Request) and str(again.uri) == str(made.uri)


def glanced_at(data: bytes) -> None:
    """What the gate reads of a plain INVITE is what the parser reads."""
    plain = plain_invite(data)
    if plain is None:
        return
    found = parse(data)
    assert isinstance(found, Request)
    found.validate()
    assert found.request_uri == plain.uri
    assert (found.uri.user, found.from_.uri.user) == (plain.called, plain.calling)
    assert (found.from_tag, found.to_tag, found.call_id) == (plain.from_tag, None, plain.call_id)
    assert (found.cseq.number, server_key(found, found.top_via)) == (plain.cseq, plain.key)
    assert (bool(found.body), "P-Asserted-Identity" in found.first) == (plain.has_body, plain.asserted)


def kept(found: Request | Response) -> list[tuple[str, str]]:
    return [row for row in found.headers if row[0] != "Content-Length"]


def glance(data: bytes) -> None:
    """What the transport reads of our own messages without parsing agrees with the parser."""
    if data.startswith(b"\r\n"):
        return  # we write no empty lines before one
    branch, via, response = branch_of(data), top_via_of(data), is_response(data)
    assert "\r" not in branch and "\n" not in branch
    with suppress(RemoteProtocolError):
        found = parse(data)
        assert response == isinstance(found, Response)
        if via is not None:
            assert (via.host, via.port) == (found.top_via.host, found.top_via.port)


def stream(data: bytes) -> None:
    """However the bytes come split, the same comes out; nothing is kept beyond the limits."""
    (size,), data = numbers(data, "B")
    whole, pieces = Framer(), Framer()
    frames = whole.feed(data)
    step = size % 64 + 1
    for start in range(0, len(data), step):
        for frame in pieces.feed(data[start : start + step]):
            if isinstance(frame, bytes):
                assert frame in frames
                assert len(frame) <= MAX_HEAD_BYTES + MAX_BODY_BYTES + 4
    assert pieces.broken == whole.broken
    for frame in frames:
        if isinstance(frame, Broken):
            answer = frame.answer(THERE)
            if answer:
                safe_message(answer)


def values(data: bytes) -> None:
    """A value that is read is written as the same value, without a control character."""
    text = data.decode("utf-8", "replace")
    for read in (Uri.parse, NameAddr.parse, Via.parse, Replaces.parse):
        with suppress(RemoteProtocolError):
            found = read(text)
            try:
                written = str(found)
            except LocalProtocolError:
                continue  # cannot be said: nothing is sent then
            assert all(character >= " " and character != "\x7f" for character in written), written
            assert read(written) == found
    Via.salvaged(text)
    with suppress(RemoteProtocolError):
        assert all(split_list(text))


def digest(data: bytes) -> None:
    """Challenges of anybody are answered or refused; credentials of anybody are worth nothing."""
    text = data.decode("utf-8", "replace")
    with suppress(RemoteProtocolError, LocalProtocolError):
        value = authorization(
            text, username="u", password="p", method="INVITE", uri="sip:h", cnonce="c", nonce_count=1
        )
        assert "\r" not in value and "\n" not in value
    with suppress(RemoteProtocolError):
        directives(text)
    server = DigestServer("test", b"k" * 32, {"u": Secret.of_password("u", "test", "p")}, 0.0)
    assert server.check([text], "INVITE", Uri("sip", None, "h"), 1.0).outcome is not Outcome.ACCEPTED
    assert len(server) == 0


def layer(data: bytes) -> None:
    """Any sequence of messages: nothing raised, nothing kept once all timers have run out."""
    layer = TransactionLayer(SeededIds(), HERE)
    now = 0.0
    for piece in data.split(CUT)[:40]:
        (kind,), piece = numbers(piece, "B")
        now += kind % 8
        flow = Flow("tcp" if kind & 16 else "udp", HERE, THERE)
        for effect in layer.receive(piece, flow, now):
            assert isinstance(effect, Discarded | RequestReceived | Send) or effect is not None
            if isinstance(effect, Send):
                safe_message(effect.data)
            elif isinstance(effect, RequestReceived) and not kind & 32:
                answer = response_to(effect.request, 200 if kind & 64 else 486, to_tag="x")
                with suppress(LocalProtocolError):  # answered by an earlier one of the same key
                    layer.respond(effect.key, answer, now)
        layer.timer(now)
    for _ in range(4):
        now += 400.0
        layer.timer(now)
    left = layer.counts()
    unanswered = left.pop("server") + left.pop("merge")
    assert not any(left.values()), left
    assert unanswered <= 80


def info(data: bytes) -> None:
    """An INFO with keys: a key, a refusal or nothing."""
    kind, _, body = data.partition(b"\n")
    rows = [("Content-Type", kind.decode("latin-1").strip("\r\n\t ")[:60])]
    told = read_info(Request("INFO", "sip:h", rows, body))
    if told is not None and hasattr(told, "digit"):
        assert told.digit in "0123456789*#ABCD"
        assert 0 <= told.duration_ms <= 10_000


_INVITE = wire(body=sdp("192.0.2.9").decode(), extra=["Content-Type: application/sdp"])
_SEQUENCE = CUT.join(
    b"\x01" + each for each in (_INVITE, _INVITE, wire("ACK", to_tag=";tag=x"), wire("CANCEL"), ANSWER)
)
_CREDENTIALS = (
    b'Digest realm="test", nonce="000000000001000000011234567890abcdef1234567890abcdef", algorithm=SHA-256,'
    b' qop="auth", opaque="o"',
    b'Digest username="u", realm="test", nonce="0", uri="sip:h", response="0", nc=00000001, cnonce="c",'
    b" qop=auth, algorithm=MD5",
)
_VALUES = (
    b'"A \\"B\\"" <sips:u%20x:p@[2001:db8::1]:5061;transport=tcp;lr?Subject=a%20b>;tag=1;q="0.5"',
    b"tel:+8613900000002;phone-context=example.com",
    b"SIP/2.0/TCP host.example:5061;branch=z9hG4bK-1;rport;received=[::1]",
    b"call@host;from-tag=a;to-tag=b;early-only",
    b"urn:service:sos.police",
    b"<sip:a@b>, <sip:c@d;x=y>;z",
)

TARGETS = (
    Target("sip-message", message, (_INVITE, ANSWER, *TORTURE), TOKENS),
    Target("sip-salvage", salvage, (_INVITE, *TORTURE), TOKENS),
    Target("sip-glance", glance, (_INVITE, ANSWER, *TORTURE), TOKENS),
    Target("sip-stream", stream, (b"\x07" + _INVITE + b"\r\n\r\n" + ANSWER, b"\x30" + _INVITE * 3), TOKENS),
    Target("sip-values", values, _VALUES, TOKENS),
    Target("sip-digest", digest, _CREDENTIALS, (*TOKENS, b"nc=", b"qop=", b"realm=", b'""')),
    Target(
        "sip-layer", layer, (_SEQUENCE, CUT.join(b"\x41" + each for each in TORTURE[:20])), (*TOKENS, CUT)
    ),
    Target(
        "sip-info",
        info,
        (b"application/dtmf-relay\n" + key_body("5", 160), b"application/dtmf\n11", b"application/dtmf\n#"),
        (b"Signal=", b"Duration=", b"\r\n", b"=", b"9" * 400),
    ),
)
