"""A first look at an INVITE as it came: what the gate needs of it, and what an answer repeats of it.

Only what nearly all senders write is recognised, row by row as it stands. Anything else gives None and goes
the long way, which reads the same things with the full grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from engine.sip.effects import ServerKey
from engine.sip.errors import LocalProtocolError
from engine.sip.flow import DEFAULT_PORT, Flow
from engine.sip.layouts import Layouts, row
from engine.sip.names import SPELLINGS, layout_of
from engine.sip.status import reason_phrase
from engine.sip.via import with_source

MAX_BYTES: Final = 8_192
_URI: Final = r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:;[A-Za-z0-9.-]+(?:=[A-Za-z0-9.-]+)?)*"
_TOKEN: Final = r"[A-Za-z0-9\-.!*_+`~]{1,128}"  # noqa: S105 (a piece of the grammar)
_QUOTED: Final = r"[ !#-\[\]-~]*"
_NAMED: Final = rf'(?:"{_QUOTED}" ?)?<sip:(?:[A-Za-z0-9+._-]+@)?{_URI}>'
_ANY: Final = "[ -~]*"
_KIND: Final = b"INVITE"
_START: Final = rf"INVITE (?P<uri>sip:(?P<called>\+?[0-9]{{1,32}})@{_URI}) SIP/2\.0"
# The rows that count, as they must look.
_ROWS: Final = {
    "Via": r"Via: (?P<via>SIP/2\.0/(?:UDP|TCP|TLS) (?P<host>[a-z0-9][a-z0-9._-]*)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<before>;rport)?"
    r";branch=(?P<branch>z9hG4bK[A-Za-z0-9\-.!%*_+`'~]+)(?P<behind>;rport)?)",
    "From": rf'(?P<from>From: (?:"(?P<display>{_QUOTED})" ?)?<sip:(?P<calling>\+?[0-9]{{1,32}})@{_URI}>'
    rf";tag=(?P<tag>{_TOKEN}))",
    "To": f"(?P<to>To: {_NAMED})",
    "Call-ID": "Call-ID: (?P<call_id>[!-~]+)",
    "CSeq": "CSeq: (?P<cseq>0|[1-9][0-9]{0,8}) INVITE",
    "Contact": f"Contact: {_NAMED}",
    # Written last, into room left for it.
    "Content-Length": "Content-Length: {1,8}(?P<length>[0-9]{1,5}) {0,8}",
    "Content-Type": "Content-Type: application/sdp",
    "Max-Forwards": "Max-Forwards: [1-9][0-9]?",
    # Far above the least that anybody may ask for (RFC 4028 §5: 90 s).
    "Session-Expires": "Session-Expires: [1-9][0-9]{2,6}(?:;refresher=ua[cs])?",
}
_GROUPS: Final = (
    *("uri", "called", "via", "host", "port", "before", "branch", "behind"),
    *("from", "display", "calling", "tag", "to", "call_id", "cseq"),
)
_ELSEWHERE: Final = frozenset(
    (
        *("Diversion", "Feature-Caps", "History-Info", "Identity", "Min-SE", "Privacy"),
        *("Proxy-Require", "Record-Route", "Replaces", "Require", "Route"),
    )
)
"""Headers that may change what becomes of an INVITE: one of them, and the long way is taken."""


class PlainInvite(msgspec.Struct, frozen=True, gc=False):
    """What a plain INVITE outside any dialog says of its parties, and of its transaction."""

    uri: str
    """Request-URI."""
    called: str
    """User part of the Request-URI: digits, with or without plus."""
    calling: str
    """User part of From, likewise."""
    display: str
    asserted: bool
    """There is a P-Asserted-Identity, which only some peers are believed."""
    has_body: bool
    from_tag: str
    call_id: str
    cseq: int
    key: ServerKey
    via: str
    """The top Via as it came: the ACK of a refusal repeats it (RFC 3261 §17.1.1.3)."""
    asks_rport: bool
    more_vias: str
    """The Vias below the top one, as rows."""
    parties: str
    """From and To, as rows."""


class AtOnce(msgspec.Struct, frozen=True, gc=False):
    """How the gate refuses."""

    status: int
    phrase: str
    rows: str
    """Further headers, as they are written."""


def at_once(status: int, phrase: str | None, headers: Sequence[tuple[str, str]]) -> AtOnce:
    """`phrase` None: the usual one. LocalProtocolError if a value could break out of its place."""
    rows = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if rows.count("\n") != len(headers) or not rows.replace("\r\n", "").isprintable():
        raise LocalProtocolError(f"control character in {rows!r}")
    return AtOnce(status, phrase or reason_phrase(status), rows)


class Gate(Protocol):
    """Refuses an INVITE, or lets it pass (None)."""

    def suspect(self, data: bytes, flow: Flow) -> Any:
        """What may be one to refuse, at a glance; it is handed to `refusal`. None: it is none."""
        ...

    def refusal(self, suspect: Any, plain: PlainInvite, flow: Flow) -> AtOnce | None: ...


def refusal_of(plain: PlainInvite, refusal: AtOnce, to_tag: str, source: tuple[str, int]) -> bytes:
    """The answer to an INVITE from there: the bytes that `response_to` would give."""
    via = plain.via
    if plain.asks_rport:
        via = with_source(via, *source)
    return (
        f"SIP/2.0 {refusal.status} {refusal.phrase}\r\nVia: {via}\r\n{plain.more_vias}"
        f"{plain.parties};tag={to_tag}\r\nCall-ID: {plain.call_id}\r\nCSeq: {plain.cseq} INVITE\r\n"
        f"{refusal.rows}Content-Length: 0\r\n\r\n"
    ).encode()


class _Layout(NamedTuple):
    """How to read INVITEs whose headers stand in one order."""

    match: Callable[[str], re.Match[str] | None]
    """All up to the empty line."""
    wanted: tuple[int, ...]
    """Groups that `plain_invite` takes, in its order."""
    vias: tuple[int, ...]
    """Groups of the Vias below the top one."""
    length: int
    """Group of Content-Length, 0 where there is none."""
    typed: bool
    asserted: bool


def plain_invite(data: bytes) -> PlainInvite | None:
    """The parties of an INVITE that has nothing unusual; None for any other."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or len(data) > MAX_BYTES:
        return None
    head = data[:end].decode("latin-1")  # the patterns match no more than ASCII
    for layout in _layouts.of(_KIND, ()):
        match = layout.match(head)
        if match is not None:
            break
    else:
        learnt = _layouts.learn(_KIND, head)
        match = learnt.match(head) if learnt is not None else None
        if learnt is None or match is None:
            return None
        layout = learnt
    (uri, called, via, host, port, before, branch, behind) = (found := match.group(*layout.wanted))[:8]
    (from_row, display, calling, from_tag, to_row, call_id, cseq) = found[8:]
    body = len(data) - end - 4
    if (layout.length and int(match[layout.length]) != body) or (body and not layout.typed):
        return None
    if (before and behind) or (port and int(port) > 65_535):
        return None
    return PlainInvite(
        uri,
        called,
        calling,
        display or "",
        layout.asserted,
        body > 0,
        from_tag,
        call_id,
        int(cseq),
        ServerKey(branch, (host, int(port) if port else DEFAULT_PORT), "INVITE"),
        via,
        bool(before or behind),
        "".join([f"{match[row]}\r\n" for row in layout.vias]) if layout.vias else "",
        f"{from_row}\r\n{to_row}",
    )


def _layout(names: tuple[str, ...]) -> _Layout | None:
    """How to read rows of these names; None where they are for the long way."""
    if not _ELSEWHERE.isdisjoint(names) or names.count("Contact") != 1:
        return None
    known = layout_of(names)
    if known is None:
        return None
    # What means something stands here as it is written in full; what means nothing, in whatever spelling.
    if any(name != spelt and name in SPELLINGS for name, spelt in zip(known[0], names, strict=True)):
        return None
    rows, vias = [_START], list[str]()
    for place, name in enumerate(names):
        if name == "Via" and "Via" in names[:place]:
            vias.append(f"via{place}")
            rows.append(f"(?P<via{place}>{row(name, _ANY)})")
        else:
            rows.append(_ROWS.get(name) or row(name, _ANY))
    pattern = re.compile("\r\n".join(rows))
    groups = pattern.groupindex
    return _Layout(
        pattern.fullmatch,
        tuple(groups[name] for name in _GROUPS),
        tuple(groups[name] for name in vias),
        groups.get("length", 0),
        "Content-Type" in names,
        "P-Asserted-Identity" in names,
    )


_layouts: Final = Layouts(_layout)
