"""The SIPp scenarios as ladders: what each side sends and expects, written out as SIPp's XML.

SIPp's files repeat the same headers in each message; here a scenario is its steps. The XML that ran is kept
in the run's folder, to be read or run by hand. Every callee accepts popups (SIP MESSAGE) too.
"""

from dataclasses import dataclass

Body = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: SIPp's XML elements in order. Each `<pause/>` lasts as long as the run says."""

    name: str
    steps: tuple[str, ...]

    @property
    def xml(self) -> str:
        """The whole file as SIPp reads it."""
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{self.name}">\n'
        return head + "\n".join(self.steps) + "\n</scenario>\n"

    def by_row(self) -> "Scenario":
        """The same, the called and the calling number being the two fields of an injection file's rows."""
        fields = {"[service]": "[field0]", "[caller]": "[field1]", "[name]": "[field1]"}
        steps = self.steps
        for keyword, field in fields.items():
            steps = tuple(step.replace(keyword, field) for step in steps)
        return Scenario(self.name, steps)

    def to_target(self) -> "Scenario":
        """The same for a peer whose Contact SIPp cannot use: every request goes where the first one went."""
        return Scenario(self.name, tuple(step.replace("[next_url]", _TARGET) for step in self.steps))


# --- steps ------------------------------------------------------------------

_OPTIONAL = ' optional="true"'
_PAUSE = "<pause/>"


def _send(start: str, *headers: str, body: Body = (), repeat: bool = False) -> str:
    """One message. `repeat` sends it again until what comes next has arrived (RFC 3261 timers A, E and G)."""
    described = ("Content-Type: application/sdp",) if body else ()
    text = "\n".join([start, *headers, *described, "Content-Length: [len]", "", *body])
    attribute = ' retrans="500"' if repeat else ""
    return f"<send{attribute}>\n<![CDATA[\n\n{text}\n\n]]>\n</send>"


def _expect(code: int, optional: bool = False) -> str:
    return f'<recv response="{code}"{_OPTIONAL if optional else ""}/>'


# The answer to an INVITE: its Contact and Record-Route say where requests of the dialog go.
_ANSWERED_200 = '<recv response="200" rrs="true"/>'


def _request(method: str, otherwise: str = "", actions: str = "", deadline_ms: int = 0) -> str:
    """Await a request; with `otherwise` it need not come; where it does, that label is next."""
    branch = f'{_OPTIONAL} next="{otherwise}"' if otherwise else ""
    timeout = f' timeout="{deadline_ms}"' if deadline_ms else ""
    routes = ' rrs="true"' if method == "INVITE" else ""
    return f'<recv request="{method}"{routes}{branch}{timeout}>{actions}</recv>'


def _label(name: str) -> str:
    return f'<label id="{name}"/>'


def _go_to(label: str) -> str:
    return f'<nop next="{label}"/>'


def _sdp(version: int = 1, direction: str = "sendrecv") -> Body:
    return (
        "v=0",
        f"o=sipp [pid] {version} IN IP4 [local_ip]",
        "s=-",
        "c=IN IP4 [local_ip]",
        "t=0 0",
        "m=audio [audio] RTP/AVP [codecs] 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        f"a={direction}",
    )


# --- the caller's messages --------------------------------------------------

_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_TARGET = "sip:[service]@[remote_ip]:[remote_port]"
_FROM = 'From: "[name]" <sip:[caller]@[local_ip]>;tag=[pid]c[call_number]'
_TO = "To: <sip:[service]@[remote_ip]>"
_TO_TAGGED = f"{_TO}[peer_tag_param]"
_PROVISIONAL = tuple(_expect(code, optional=True) for code in (100, 180, 183))


def _begin(method: str = "INVITE", body: Body | None = None, *extra: str) -> str:
    return _send(
        f"{method} {_TARGET} SIP/2.0",
        _VIA,
        "Max-Forwards: 70",
        _FROM,
        _TO,
        "Call-ID: [call_id]",
        f"CSeq: 1 {method}",
        "Contact: <sip:[caller]@[local_ip]:[local_port]>",
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS",
        *extra,
        body=_sdp() if body is None else body,
        repeat=True,
    )


def _within(method: str, sequence: int, body: Body = ()) -> str:
    """A request of the caller inside the dialog; ACK is sent once, the others are repeated."""
    return _send(
        f"{method} [next_url] SIP/2.0",
        _VIA,
        "[routes]",
        "Max-Forwards: 70",
        _FROM,
        _TO_TAGGED,
        "Call-ID: [call_id]",
        f"CSeq: {sequence} {method}",
        "Contact: <sip:[caller]@[local_ip]:[local_port]>",
        body=body,
        repeat=method != "ACK",
    )


def _same_transaction(method: str) -> str:
    """CANCEL, or ACK of a refusal: the INVITE's own branch and target (RFC 3261 §9.1, §17.1.1.3)."""
    to = _TO if method == "CANCEL" else _TO_TAGGED
    headers = ("[last_Via:]", "Max-Forwards: 70", _FROM, to, "Call-ID: [call_id]", f"CSeq: 1 {method}")
    return _send(f"{method} {_TARGET} SIP/2.0", *headers, repeat=method == "CANCEL")


_ANSWERED = (_begin(), *_PROVISIONAL, _ANSWERED_200, _within("ACK", 1))


def _end(sequence: int) -> tuple[str, ...]:
    return (_within("BYE", sequence), _expect(100, optional=True), _expect(200))


def _cancelled(first: tuple[str, ...]) -> tuple[str, ...]:
    over = (_expect(200), _expect(487), _same_transaction("ACK"))
    return (_begin(), *first, _PAUSE, _same_transaction("CANCEL"), *over)


# --- the callee's messages --------------------------------------------------

_OWN_TAG = ";tag=[pid]u[call_number]"
_CONTACT = "Contact: <sip:[local_ip]:[local_port]>"


def _reply(status: str, body: Body = (), tag: str = _OWN_TAG, repeat: bool = False) -> str:
    """An answer to the request that came last; inside a dialog its To has the tag already: `tag=""`."""
    to = f"[last_To:]{tag}"
    headers = ("[last_Via:]", "[last_Record-Route:]", "[last_From:]", to, "[last_Call-ID:]", "[last_CSeq:]")
    return _send(f"SIP/2.0 {status}", *headers, _CONTACT, body=body, repeat=repeat)


_OK_INSIDE = _reply("200 OK", tag="")
_ANSWER = _reply("200 OK", _sdp(), repeat=True)
_RINGING = _reply("180 Ringing")
# The header values of the INVITE, turned round for requests of the callee.
_KEEP_PARTIES = (
    '<action><ereg regexp=".*" search_in="hdr" header="From:" assign_to="1"/>'
    '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="2"/></action>'
)
_CANCEL_TAKEN = (
    _request("CANCEL"),
    _reply("200 OK"),
    _send(
        "SIP/2.0 487 Request Terminated",
        "[last_Via:]",
        "[last_From:]",
        f"[last_To:]{_OWN_TAG}",
        "[last_Call-ID:]",
        "CSeq: [last_cseq_number] INVITE",
        repeat=True,
    ),
    _request("ACK"),
)


_TAKES_POPUPS = (_reply("200 OK"),)


def _callee(
    name: str, *steps: str, actions: str = "", last: str = "", popup: tuple[str, ...] = _TAKES_POPUPS
) -> Scenario:
    begin = (_request("MESSAGE", "popup"), _request("INVITE", actions=actions))
    end = (_go_to("end"), _label("popup"), *popup, _label("end"), last)
    return Scenario(name, (*begin, *steps, *end))


# --- callers ----------------------------------------------------------------

CALL = Scenario("call", (*_ANSWERED, _PAUSE, *_end(2)))
"""Answered, acknowledged, ended by the caller after the pause."""

HUNG_UP = Scenario("hung_up", (*_ANSWERED, _request("BYE"), _OK_INSIDE))
"""Answered, then ended by the callee."""

HOLD = Scenario(
    "hold",
    (
        *(*_ANSWERED, _PAUSE),
        *(_within("INVITE", 2, _sdp(2, "sendonly")), _expect(100, optional=True), _ANSWERED_200),
        *(_within("ACK", 2), _PAUSE),
        *(_within("INVITE", 3, _sdp(3)), _expect(100, optional=True), _ANSWERED_200),
        *(_within("ACK", 3), _PAUSE, *_end(4)),
    ),
)
"""Held and taken back by re-INVITE (RFC 3264 §8.4), then ended."""

LATE_OFFER = Scenario(
    "late_offer",
    (_begin("INVITE", ()), *_PROVISIONAL, _ANSWERED_200, _within("ACK", 1, _sdp()), _PAUSE, *_end(2)),
)
"""The INVITE has no offer: it comes in the 200, the answer goes in the ACK (RFC 3264 §4)."""

CANCEL_UNANSWERED = Scenario("cancel_unanswered", _cancelled((_expect(100),)))
"""Given up after the 100, before anything rings."""

CANCEL_RINGING = Scenario("cancel_ringing", _cancelled((_expect(100, optional=True), _expect(180))))
"""Given up while the callee's telephone rings."""

LOST_ACK = Scenario(
    "lost_ack",
    (_begin(), *_PROVISIONAL, _ANSWERED_200, _request("BYE", deadline_ms=40_000), _OK_INSIDE),
)
"""The 200 is never acknowledged: it must be repeated, then the call ended (RFC 3261 §13.3.1.4)."""

REQUIRE_UNKNOWN = Scenario(
    "require_unknown",
    (
        _begin("INVITE", None, "Require: precondition"),
        _expect(100, optional=True),
        _expect(420),
        _same_transaction("ACK"),
    ),
)
"""An extension the engine does not have is required: 420 (RFC 3261 §8.2.2.3)."""


def _register(sequence: int, *extra: str) -> str:
    return _send(
        "REGISTER sip:[remote_ip]:[remote_port] SIP/2.0",
        _VIA,
        "Max-Forwards: 70",
        _FROM,
        _TO,
        "Call-ID: [call_id]",
        f"CSeq: {sequence} REGISTER",
        "Contact: <sip:[caller]@[local_ip]:[local_port]>",
        "Expires: 600",
        *extra,
        repeat=True,
    )


def registers(user: str, password: str) -> Scenario:
    """Registers the called number, with name and password once it is asked for them."""
    credentials = f"[authentication username={user} password={password}]"
    asked = '<recv response="401" auth="true"/>'
    return Scenario("registers", (_register(1), asked, _register(2, credentials), _expect(200)))


def refused(code: int) -> Scenario:
    """A call that must end with `code`, whatever rings before."""
    return Scenario(f"refused_{code}", (_begin(), *_PROVISIONAL, _expect(code), _same_transaction("ACK")))


def request(method: str, code: int) -> Scenario:
    """A request outside any dialog that must be answered `code`."""
    return Scenario(f"{method.lower()}_{code}", (_begin(method, ()), _expect(code)))


# --- callees ----------------------------------------------------------------

_ANSWERING = (
    *(_RINGING, _PAUSE, _ANSWER, _request("ACK")),
    *(_label("talking"), _request("INVITE", "again"), _request("BYE"), _OK_INSIDE, _go_to("end")),
    *(_label("again"), _reply("200 OK", _sdp(2), tag="", repeat=True), _request("ACK"), _go_to("talking")),
)

ANSWERS = _callee("answers", *_ANSWERING)
"""Rings, answers, takes any number of re-INVITEs and waits for the BYE."""

ANSWERS_REPEATS = _callee("answers_repeats", *_ANSWERING, last='<timewait milliseconds="4000"/>')
"""The same, and for 4 s answers a BYE again whose answer was lost (RFC 3261 timer J)."""

IGNORES_POPUPS = _callee("ignores_popups", *_ANSWERING, popup=())
"""Answers calls as the others do, and no popup."""

EARLY_MEDIA = _callee(
    "early_media",
    *(_reply("183 Session Progress", _sdp()), _PAUSE, _ANSWER, _request("ACK"), _request("BYE"), _OK_INSIDE),
)
"""Its tone comes before its answer: 183 with a session description."""

RINGS_FOREVER = _callee("rings_forever", _RINGING, *_CANCEL_TAKEN)
"""Rings and never answers."""

NEVER_RINGS = _callee("never_rings", _reply("100 Trying", tag=""), *_CANCEL_TAKEN)
"""Says that it is trying, and nothing more."""

HANGS_UP = _callee(
    "hangs_up",
    *(_RINGING, _ANSWER, _request("ACK"), _PAUSE),
    _send(
        "BYE [next_url] SIP/2.0",
        *(_VIA, "[routes]", "Max-Forwards: 70", f"From:[$2]{_OWN_TAG}", "To:[$1]"),
        *("Call-ID: [call_id]", "CSeq: 1 BYE"),
        repeat=True,
    ),
    _expect(200),
    actions=_KEEP_PARTIES,
)
"""Answers and ends the call after the pause."""


def refuses(status: str) -> Scenario:
    """Rings for the pause and then answers with a status line's code and phrase, such as `486 Busy Here`."""
    code = status.split(" ", 1)[0]
    return _callee(f"refuses_{code}", _RINGING, _PAUSE, _reply(status, repeat=True), _request("ACK"))
