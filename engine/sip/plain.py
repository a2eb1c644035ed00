"""A first look at an INVITE as it came: what the gate needs of it, and what an answer repeats of it.

Only what nearly all senders write is recognised, row by row as it stands. Anything else gives None and goes
the long way, which reads the same things with the full grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from engine.sip.effects import ServerKey
from engine.sip.errors import LocalProtocolError
from engine.sip.flow import DEFAULT_PORT, Flow
from engine.sip.names import MAX_PLAIN_ROWS, SPELLINGS, layout_of
from engine.sip.status import reason_phrase
from engine.sip.via import with_source

MAX_BYTES: Final = 8_192
LAYOUTS: Final = 512
"""Orders of header names that are remembered: a sender has a handful."""

_URI: Final = r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:;[A-Za-z0-9.-]+(?:=[A-Za-z0-9.-]+)?)*"
_TOKEN: Final = r"[A-Za-z0-9\-.!*_+`~]{1,128}"  # noqa: S105 (a piece of the grammar)
_QUOTED: Final = r'"([^"\\\n]*)" ?'
# The rows that count, as they must look; those of `_OPTIONAL` only where there are any.
_START: Final = rf"INVITE (sip:(\+?[0-9]{{1,32}})@{_URI}) SIP/2\.0"
_NEEDED: Final = {
    "Via": r"Via: (SIP/2\.0/(?:UDP|TCP|TLS) ([a-z0-9][a-z0-9._-]*)(?::([1-9][0-9]{0,4}))?"
    r"(;rport)?;branch=(z9hG4bK[A-Za-z0-9\-.!%*_+`'~]+)(;rport)?)",
    "From": rf"(From: (?:{_QUOTED})?<sip:(\+?[0-9]{{1,32}})@{_URI}>;tag=({_TOKEN}))",
    "To": rf'(To: (?:"[^"\\\n]*" ?)?<sip:(?:[A-Za-z0-9+._-]+@)?{_URI}>)',
    "Call-ID": r"Call-ID: ([!-~]+)",
    "CSeq": r"CSeq: (0|[1-9][0-9]{0,8}) INVITE",
    "Contact": rf'Contact: (?:"[^"\\\n]*" ?)?<sip:(?:[A-Za-z0-9+._-]+@)?{_URI}>',
}
_OPTIONAL: Final = {
    "Content-Length": r"Content-Length: {1,8}[0-9]{1,5} {0,8}",  # written last, into room left for it
    "Content-Type": r"Content-Type: application/sdp",
    "Max-Forwards": r"Max-Forwards: [1-9][0-9]?",
    # Far above the least that anybody may ask for (RFC 4028 §5: 90 s).
    "Session-Expires": r"Session-Expires: [1-9][0-9]{2,6}(?:;refresher=ua[cs])?",
}
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
    """How the gate refuses: status, phrase (None: the usual one) and further headers."""

    status: int
    reason: str | None
    headers: Sequence[tuple[str, str]]


class Gate(Protocol):
    """Refuses an INVITE, or lets it pass (None)."""

    def suspect(self, data: bytes, flow: Flow) -> Any:
        """What may be one to refuse, at a glance; it is handed to `refusal`. None: it is none."""
        ...

    def refusal(self, suspect: Any, plain: PlainInvite, flow: Flow) -> AtOnce | None: ...


def refusal_of(plain: PlainInvite, refusal: AtOnce, to_tag: str, source: tuple[str, int]) -> bytes:
    """The answer to an INVITE from there: the bytes that `response_to` would give.

    LocalProtocolError if a value of the refusal could break out of its place.
    """
    status, headers = refusal.status, refusal.headers
    more = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if more.count("\n") != len(headers) or not more.replace("\r\n", "").isprintable():
        raise LocalProtocolError(f"control character in {more!r}")
    via = plain.via
    if plain.asks_rport:
        via = with_source(via, *source)
    return (
        f"SIP/2.0 {status} {refusal.reason or reason_phrase(status)}\r\nVia: {via}\r\n{plain.more_vias}"
        f"{plain.parties};tag={to_tag}\r\nCall-ID: {plain.call_id}\r\nCSeq: {plain.cseq} INVITE\r\n"
        f"{more}Content-Length: 0\r\n\r\n"
    ).encode()


class _Layout(NamedTuple):
    """What an order of header names means."""

    places: tuple[int, ...]
    """Of the rows that count, the start line first, in the order that `match` wants."""
    match: Callable[[str], re.Match[str] | None]
    vias: tuple[int, ...]
    """Places of the Vias below the top one."""
    length: int
    """Place of Content-Length, 0 where there is none."""
    typed: bool
    asserted: bool


def plain_invite(data: bytes) -> PlainInvite | None:
    """The parties of an INVITE that has nothing unusual; None for any other."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or len(data) > MAX_BYTES:
        return None
    head = data[:end]
    if not head.isascii():
        return None
    rows = head.decode("ascii").split("\r\n")
    layout = _layout(tuple([row.partition(":")[0] for row in rows[1:]]))
    if layout is None or not "".join(rows).isprintable():
        return None
    match = layout.match("\n".join([rows[place] for place in layout.places]))
    if match is None:
        return None
    (uri, called, via, host, port, before, branch, behind) = match.groups()[:8]
    (from_row, display, calling, from_tag, to_row, call_id, cseq) = match.groups()[8:]
    body = len(data) - end - 4
    if layout.length and int(rows[layout.length][16:]) != body:
        return None
    if (body and not layout.typed) or (before and behind) or (port and int(port) > 65_535):
        return None
    number = int(port) if port else DEFAULT_PORT
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
        ServerKey(branch, (host, number), "INVITE"),
        via,
        bool(before or behind),
        "".join([f"{rows[place]}\r\n" for place in layout.vias]) if layout.vias else "",
        f"{from_row}\r\n{to_row}",
    )


@lru_cache(LAYOUTS)
def _layout(names: tuple[str, ...]) -> _Layout | None:
    """How to read rows of these names; None where they are for the long way."""
    if len(names) > MAX_PLAIN_ROWS or not _ELSEWHERE.isdisjoint(names) or names.count("Contact") != 1:
        return None
    known = layout_of(names)
    if known is None:
        return None
    # What means something stands here as it is written in full; what means nothing, in whatever spelling.
    if any(name != spelt and name in SPELLINGS for name, spelt in zip(known[0], names, strict=True)):
        return None
    wanted = (*_NEEDED, *(name for name in _OPTIONAL if name in names))
    return _Layout(
        (0, *(names.index(name) + 1 for name in wanted)),
        _pattern(wanted).fullmatch,
        tuple(place for place, name in enumerate(names, 1) if name == "Via")[1:],
        names.index("Content-Length") + 1 if "Content-Length" in names else 0,
        "Content-Type" in names,
        "P-Asserted-Identity" in names,
    )


@lru_cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    patterns = _NEEDED | _OPTIONAL
    return re.compile("\n".join((_START, *(patterns[name] for name in names))))
