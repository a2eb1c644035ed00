"""The 61 messages of RFC 4475 and RFC 5118: what the RFC says of each, and what becomes of it here.

`layer` is the transaction layer's part: the message comes through, is answered with a status, or is dropped.
`engine` is what the whole core does for a trunk's peer: a status, a call that goes on, or nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from engine.edge.accounts import Accounts
from engine.edge.core import EdgeCore
from engine.sdp import audio_target
from engine.sdp import parse as parse_sdp
from engine.sip.digest_server import Secret
from engine.sip.effects import Discarded, RequestReceived, Send
from engine.sip.flow import Flow
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, Response
from engine.sip.parse import parse
from tests.call.kit import CARRIER, ENGINE, Lab
from tests.edge.credentials import with_credentials
from tests.edge.kit import EDGE, REALM, SETTINGS, is_emergency
from tests.sip.ids import SeededIds
from tests.sip.torture_messages import Torture, read_all

THROUGH, DROPPED, CALL = "comes through", "dropped", "call"
MESSAGES = {message.name: message for message in read_all()}
FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))


class Row(NamedTuple):
    rfc: str
    """What the RFC says, shortened."""
    layer: str | int
    engine: str | int
    why: str = ""
    """Why the engine does what it does, where the RFC leaves a choice or we differ."""


NO_REGISTRAR = "no registrar: that is the edge's, see below"
NO_DIALOG = "a To tag of no dialog that we know"

TABLE = {
    # RFC 4475 §3.1.1: valid
    "wsinv": Row("All elements should treat this as a well-formed request.", THROUGH, 481, NO_DIALOG),
    "intmeth": Row(
        "Endpoints will generate a 501 listing the methods they understand in Allow.", THROUGH, 501
    ),
    "esc01": Row("A parser must accept this as a well-formed message.", THROUGH, CALL),
    "escnull": Row("Parsers must accept this message; two distinct contacts.", THROUGH, 405, NO_REGISTRAR),
    "esc02": Row("An endpoint would reject this message with a 501.", THROUGH, 501),
    "lwsdisp": Row("Elements should accept this request as well formed.", THROUGH, 200),
    "longreq": Row("Well-formed; many and very long values.", THROUGH, CALL),
    "dblreq": Row("Handle the REGISTER normally and ignore the extra bits.", THROUGH, 405, NO_REGISTRAR),
    "semiuri": Row("Accept; the user part is user;par=u@example.net.", THROUGH, 200),
    "transports": Row("Parsers must accept this message as well formed.", THROUGH, 200),
    "mpart01": Row("Parsers must accept this message; NULs in the body.", THROUGH, 405, "takes no MESSAGE"),
    "unreason": Row("A parser must accept this message.", DROPPED, DROPPED, "answers no request of ours"),
    "noreason": Row("A parser must accept this message.", DROPPED, DROPPED, "answers no request of ours"),
    # §3.1.2: invalid
    "badinv01": Row("Should respond with a 400 Bad Request error.", 400, 400),
    "clerr": Row("Sent over UDP: should respond with a 400 Bad Request error.", 400, 400),
    "ncl": Row("Should respond with an error; the rest of the datagram can be discarded.", 400, 400),
    "scalar02": Row("Should respond with a 400 Bad Request due to the CSeq error.", 400, 400),
    "scalarlg": Row("An element receiving this response will simply discard it.", DROPPED, DROPPED),
    "quotbal": Row("Should return a 400 Bad Request error.", 400, 400),
    "ltgtruri": Row("Reasonable always to reject with a 400 Bad Request.", 400, 400),
    "lwsruri": Row("Should respond with a 400 Bad Request.", 400, 400),
    "lwsstart": Row("Acceptable to reject this request as malformed.", 400, 400),
    "trws": Row("Acceptable to reject this request as malformed.", 400, 400),
    "escruri": Row("Acceptable to reject this request with a 400 Bad Request.", 400, 400),
    "baddate": Row("Shouldn't be rejected unless the Date were important.", THROUGH, CALL),
    "regbadct": Row("Reasonable to respond with a 400 Bad Request.", 400, 400),
    "badaspec": Row("Must not break; reasonable to reject with a 400.", 400, 400),
    "baddn": Row("Reasonable to reject; may be liberal and infer the quotes.", THROUGH, 200, "liberal"),
    "badvers": Row("Should respond with a 505 Version Not Supported error.", 505, 505),
    "mismatch01": Row("Will respond with a 400 Bad Request.", 400, 400),
    "mismatch02": Row("Should respond with a 501; a 400 is also acceptable.", 400, 400, "found before it"),
    "bigcode": Row("Should simply drop it.", DROPPED, DROPPED),
    # §3.2 to §3.4: transaction and application layer, backward compatibility
    "badbranch": Row("Reject with a 400, or fall back to RFC 2543 matching.", THROUGH, 200, "falls back"),
    "insuf": Row("Must not break; ideally a 400 Bad Request.", 400, 400),
    "unkscm": Row("Will reject it with a 416 Unsupported URI Scheme.", THROUGH, 416),
    "novelsc": Row("A 416 is appropriate where the scheme is never meaningful.", THROUGH, 416),
    "unksm2": Row("Parsers must not fail; a registrar answers 400.", THROUGH, 405, NO_REGISTRAR),
    "bext01": Row("Will respond with a 420 Bad Extension and an Unsupported header.", THROUGH, 420),
    "invut": Row("An endpoint would reject it with a 415 Unsupported Media Type.", THROUGH, 415),
    "regaut01": Row("Endpoints that are no registrar: 405 is appropriate.", THROUGH, 405),
    "multi01": Row("Would respond with a 400 Bad Request error.", 400, 400),
    "mcl01": Row("Should respond with an error.", 400, 400),
    "bcast": Row("An endpoint should simply discard it.", DROPPED, DROPPED),
    "zeromf": Row("An endpoint processes it as if Max-Forwards were positive.", THROUGH, 200),
    "cparam01": Row("This REGISTER should succeed.", THROUGH, 405, NO_REGISTRAR),
    "cparam02": Row("The register should succeed.", THROUGH, 405, NO_REGISTRAR),
    "regescrt": Row("The register should succeed and keep the escaped Route.", THROUGH, 405, NO_REGISTRAR),
    "sdp01": Row("Could respond with a 406 Not Acceptable.", THROUGH, CALL, "the callee may know that type"),
    "inv2543": Row(
        "Should be accepted by elements that maintain backwards compatibility.",
        THROUGH,
        400,
        "a dialog needs a Contact (RFC 3261 §8.1.1.8): without it nobody could be told that the call ended",
    ),
    # RFC 5118 §4
    "ipv6-good": Row("Well-formed.", THROUGH, 405, NO_REGISTRAR),
    "ipv6-bad": Row("Should respond with a 400 Bad Request error.", 400, 400),
    "port-ambiguous": Row("Well-formed; 5070 is a part of the address.", THROUGH, 405, NO_REGISTRAR),
    "port-unambiguous": Row("Well-formed; the port is 5070.", THROUGH, 405, NO_REGISTRAR),
    "via-received-param-with-delim": Row("Be liberal and accept it.", THROUGH, 481, NO_DIALOG),
    "via-received-param-no-delim": Row("Accept it.", THROUGH, 200),
    "ipv6-in-sdp": Row(
        "Valid and well-formed.",
        400,
        400,
        "as printed its Content-Length is 17 above the body: RFC 4475 §3.1.2.2; taken with the length mended",
    ),
    "mult-ip-in-header": Row("Well-formed; IPv4 and IPv6 mixed in the Vias.", THROUGH, 481, NO_DIALOG),
    "mult-ip-in-sdp": Row("Well-formed; a stream by IPv4, another by IPv6.", THROUGH, CALL),
    "ipv4-mapped-ipv6": Row("Well-formed; IPv4-mapped addresses in headers and body.", THROUGH, CALL),
    "ipv6-bug-abnf-3-colons": Row("An implementation must tolerate both constructs.", THROUGH, 200),
    "ipv6-correct-abnf-2-colons": Row("An implementation must tolerate both constructs.", THROUGH, 200),
}

every = pytest.mark.parametrize("name", MESSAGES)


def layer_does(data: bytes) -> str | int:
    effects = TransactionLayer(SeededIds(), ("192.0.2.1", 5060)).receive(data, FLOW, 0.0)
    if isinstance(effects[0], RequestReceived):
        assert len(effects) == 1
        return THROUGH
    assert isinstance(effects[0], Discarded)
    return _status(effects[1]) if len(effects) > 1 else DROPPED


def _status(effect: object) -> int:
    assert isinstance(effect, Send)
    # What is wrong with a request stands in its answer, too: only the status line can be relied on.
    return int(effect.data.removeprefix(b"SIP/2.0 ")[:3])


def mended(message: Torture) -> bytes:
    """With a Content-Length that is right."""
    head, _, body = message.data.partition(b"\r\n\r\n")
    rows = [row for row in head.split(b"\r\n") if not row.startswith(b"Content-Length")]
    return b"\r\n".join([*rows, b"Content-Length: %d\r\n\r\n" % len(body)]) + body


def test_all_61_are_here() -> None:
    assert list(MESSAGES) == list(TABLE)
    assert len(TABLE) == 61
    assert [message.rfc for message in MESSAGES.values()].count(4475) == 49


@every
def test_what_the_layer_does(name: str) -> None:
    assert layer_does(MESSAGES[name].data) == TABLE[name].layer


@every
def test_what_the_engine_does(name: str) -> None:
    lab = Lab()
    effects = lab.core.receive(MESSAGES[name].data, Flow("udp", ENGINE, CARRIER), lab.now)
    answers = [_status(effect) for effect in effects if isinstance(effect, Send)]
    lab.carry_out(effects)
    expected = TABLE[name].engine
    if expected == DROPPED:
        assert (answers, len(lab.discarded)) == ([], 1)
    elif expected == CALL:
        first, second = lab.ladder()
        assert (first.endswith(" 100"), second) == (True, "E→S INVITE")
    elif not answers:  # screened first
        assert lab.ladder() == [f"E→C {expected}"]
    else:
        assert answers == [expected]
    lab.advance(400.0)
    assert not lab.core.calls
    assert not any(lab.core.counts().values())


# --- the registrar at the edge ---


class Edge:
    """An edge that knows the users of these messages."""

    def __init__(self) -> None:
        secrets = {user: Secret.of_password(user, REALM, "secret") for user in ("watson", "user", "j.user")}
        self.core = EdgeCore(
            SETTINGS,
            secrets,
            SeededIds("E"),
            accounts=Accounts(secrets, address_of=str),
            is_emergency=is_emergency,
        )

    def receive(self, data: bytes) -> Response:
        effects = self.core.receive(data, Flow("udp", EDGE, ("198.51.100.1", 5060)), 1.0)
        (answer,) = [effect.data for effect in effects if isinstance(effect, Send)]
        found = parse(answer)
        assert isinstance(found, Response)
        return found

    def register(self, name: str) -> Response:
        """The message as it is, then once more with the credentials that are asked for."""
        request, challenged = parse(MESSAGES[name].data), self.receive(MESSAGES[name].data)
        assert isinstance(request, Request)
        assert challenged.status == 401
        again = with_credentials(
            request,
            challenged,
            cseq=request.cseq.number + 1,
            user=request.to.uri.user or "",
            password="secret",
        )
        rows = [(header, text.replace("juw", "jux")) for header, text in again.headers]
        return self.receive(Request("REGISTER", again.uri, rows).to_bytes())


def test_contact_parameters_at_the_registrar() -> None:  # §3.3.12, §3.3.13
    for name, uri in (
        ("cparam01", "<sip:+19725552222@gw1.example.net>"),
        ("cparam02", "<sip:+19725552222@gw1.example.net;unknownparam>"),
    ):
        answer = Edge().register(name)
        assert answer.status == 200
        assert [value.partition(";expires")[0] for value in answer.rows("Contact")] == [uri]


def test_headers_in_a_contact_are_not_registered() -> None:
    """§3.3.14 would keep them. Whoever registers could then write headers into the requests of others: 400.

    RFC 3261 §19.1.5 leaves it to the element which headers of a URI it honours.
    """
    assert Edge().register("regescrt").status == 400


def test_other_registrations() -> None:
    assert Edge().receive(MESSAGES["regaut01"].data).status == 401  # §3.3.7: a new challenge
    # §3.3.4: who asks is unknown, which comes before what is asked for
    assert Edge().receive(MESSAGES["unksm2"].data).status in (400, 401, 403, 404)
    assert Edge().receive(MESSAGES["escnull"].data).status == 401


# --- what is read in those that come through ---


def request(name: str) -> Request:
    found = parse(MESSAGES[name].data)
    assert isinstance(found, Request)
    found.validate()
    return found


def test_a_short_tortuous_invite() -> None:
    invite = request("wsinv")
    assert (invite.uri.user, dict(invite.uri.params)) == ("vivekg", {"unknownparam": None})
    assert invite.to.tag == "1918181833n"
    assert (invite.from_.display, invite.from_.tag) == ('J Rosenberg \\"', "98asjd8")
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
    assert dict(invite.routes[0].uri.params) == {
        "lr": None,
        "unknownwith": "value",
        "unknown-no-value": None,
    }
    assert invite.contact is not None
    assert invite.contact.display == 'Quoted string ""'
    assert dict(invite.contact.params) == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert len(invite.body) == 150


def test_a_wide_range_of_characters() -> None:
    odd = request("intmeth")
    assert odd.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert odd.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert odd.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert odd.to.display == "BEL: NUL: DEL:"
    assert odd.from_.display == "token1~` token2'+_ token3*%!.-"
    assert odd.from_.params["fromparam''~+*_!.-%"] == "работающий"
    assert odd.from_.tag == "_token~1'+`*%!-."
    assert odd.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert odd.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes() -> None:
    esc = request("esc01")
    assert (esc.uri.user, esc.to.uri.user, esc.from_.uri.user) == (
        "sips:user@example.com",
        "user",
        "I have spaces",
    )
    assert esc.contact is not None
    assert (esc.contact.uri.user, dict(esc.contact.uri.params)) == (
        "caller",
        {"lr": None, "name": "value%41"},
    )
    nulls = request("escnull")
    assert nulls.to.uri.user == "null-\0-null"
    assert [contact.uri.user for contact in nulls.contacts] == ["\0", "\0\0"]
    assert nulls.contacts[0].uri != nulls.contacts[1].uri
    none = request("esc02")
    assert (none.method, none.to.display, len(none.contacts)) == ("RE%47IST%45R", "%Z%45", 2)
    assert none.get("C%6Fntact") == "<sip:alias2@host2.example.com>"


def test_names_lengths_and_transports() -> None:
    assert (request("lwsdisp").from_.display, request("lwsdisp").from_.tag) == ("caller", "323")
    long = request("longreq")
    assert len(long.vias) == 34
    assert (long.vias[-1].received, len(long.vias[-1].branch or "")) == ("192.0.2.5", 215)
    assert len(long.from_.tag or "") == 155
    assert f"{'very' + 'long' * 25}parameternamewithnovalue" in long.to.uri.params
    assert request("dblreq").body == b""
    assert request("semiuri").uri.user == "user;par=u@example.net"
    assert [via.transport for via in request("transports").vias] == ["udp", "sctp", "tls", "unknown", "tcp"]
    body = request("mpart01").body
    assert (len(body), b"\0" in body, body.endswith(b"--7a9cbec02ceef655--\r\n")) == (553, True, True)
    assert request("zeromf").max_forwards == 0


def test_responses() -> None:
    unusual, empty = parse(MESSAGES["unreason"].data), parse(MESSAGES["noreason"].data)
    assert isinstance(unusual, Response)
    assert unusual.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert isinstance(empty, Response)
    assert (empty.status, empty.reason) == (100, "")
    assert len(parse(MESSAGES["bcast"].data).vias) == 2


def test_contact_parameters() -> None:
    header, uri, escaped = (request(name).contacts[0] for name in ("cparam01", "cparam02", "regescrt"))
    assert (dict(header.params), dict(header.uri.params)) == ({"unknownparam": None}, {})
    assert (dict(uri.params), dict(uri.uri.params)) == ({}, {"unknownparam": None})
    assert escaped.uri.headers == (("Route", "<sip:sip.example.com>"),)


def test_an_extension_refused_names_what_is_not_known() -> None:
    lab = Lab()
    (answer,) = lab.core.receive(MESSAGES["bext01"].data, Flow("udp", ENGINE, CARRIER), lab.now)
    assert isinstance(answer, Send)
    assert parse(answer.data).get_all("Unsupported") == ["nothingsupportsthis", "nothingsupportsthiseither"]


def test_ipv6_references() -> None:
    good, ambiguous, port = (
        request(name).uri for name in ("ipv6-good", "port-ambiguous", "port-unambiguous")
    )
    assert (good.host, good.port) == ("2001:db8::10", None)
    assert (ambiguous.host, ambiguous.port) == ("2001:db8::10:5070", None)
    assert (port.host, port.port) == ("2001:db8::10", 5070)
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        via = request(name).top_via
        assert ((via.received or "").strip("[]"), via.host) == ("2001:db8::9:255", "2001:db8::9:1")
    assert [via.host for via in request("mult-ip-in-header").vias] == [
        "2001:db8::9:1",
        "192.0.2.1",
        "2001:db8::9:255",
    ]
    mapped = request("ipv4-mapped-ipv6")
    assert [(via.host, via.port) for via in mapped.vias] == [
        ("::ffff:192.0.2.10", 19823),
        ("::ffff:192.0.2.2", None),
    ]
    assert (
        {request(f"ipv6-{name}").uri.host for name in ("bug-abnf-3-colons", "correct-abnf-2-colons")}
        == {request("ipv6-bug-abnf-3-colons").to.uri.host}
        == {"2001:db8::192.0.2.1"}
    )


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        ("ipv6-in-sdp", "2001:db8::20", 6000),
        ("mult-ip-in-sdp", "192.0.2.1", 22334),
        ("ipv4-mapped-ipv6", "::ffff:192.0.2.2", 6000),
    ],
)
def test_descriptions_whose_length_is_mended(name: str, host: str, port: int) -> None:
    """None of the three has the Content-Length of its body, neither with LF nor with CR LF."""
    assert layer_does(mended(MESSAGES[name])) == THROUGH
    target = audio_target(parse_sdp(parse(mended(MESSAGES[name])).body))
    assert target is not None
    assert (target.host, target.port) == (host, port)
