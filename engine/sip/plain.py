"""A first look at a parsed INVITE: what the gate needs of it, without making objects of its headers.

Only what nearly all senders write is recognised. Anything else gives None and goes the long way, which
reads the same things with the full grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from engine.sip.flow import Flow
from engine.sip.message import Request

_URI: Final = r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:;[A-Za-z0-9.-]+(?:=[A-Za-z0-9.-]+)?)*"
_REQUEST_URI: Final = re.compile(rf"sip:(\+?[0-9]{{1,32}})@{_URI}")
_TOKEN: Final = r"[A-Za-z0-9\-.!*_+`~]{1,128}"  # noqa: S105 (a piece of the grammar)
_FROM: Final = re.compile(rf'(?:"([^"\\]*)" ?)?<sip:(\+?[0-9]{{1,32}})@{_URI}>;tag=({_TOKEN})')
_TO: Final = re.compile(rf'(?:"[^"\\]*" ?)?<sip:(?:[A-Za-z0-9+._-]+@)?{_URI}>')
_CONTACT: Final = re.compile(rf'(?:"[^"\\]*" ?)?<sip:(?:[A-Za-z0-9+._-]+@)?{_URI}>')
_SDP: Final = ["application/sdp"]
_LIFETIME: Final = re.compile("[1-9][0-9]{2,6}(?:;refresher=ua[cs])?")
"""Far above the least that anybody may ask for (RFC 4028 §5: 90 s)."""
_HOPS: Final = re.compile("[1-9][0-9]?")
_ELSEWHERE: Final = frozenset(
    (
        *("Diversion", "Feature-Caps", "History-Info", "Identity", "Min-SE", "Privacy"),
        *("Proxy-Require", "Record-Route", "Replaces", "Require", "Route"),
    )
)
"""Headers that may change what becomes of an INVITE: one of them, and the long way is taken."""


class PlainInvite(NamedTuple):
    """What a plain INVITE outside any dialog says of its parties."""

    called: str
    """User part of the Request-URI: digits, with or without plus."""
    calling: str
    """User part of From, likewise."""
    display: str
    from_tag: str
    asserted: bool
    """There is a P-Asserted-Identity, which only some peers are believed."""


def plain_invite(request: Request) -> PlainInvite | None:
    """The parties of an INVITE that has nothing unusual; None for any other."""
    uri = request.request_uri
    index = request.index
    if not _ELSEWHERE.isdisjoint(index):
        return None
    called = _REQUEST_URI.fullmatch(uri) if isinstance(uri, str) else None
    calling = _FROM.fullmatch(index["From"][0])
    if called is None or calling is None or _TO.fullmatch(index["To"][0]) is None:
        return None
    if not (index["From"][0].isprintable() and index["To"][0].isprintable()):
        return None
    contacts = index.get("Contact")
    if contacts is None or len(contacts) != 1 or _CONTACT.fullmatch(contacts[0]) is None:
        return None
    hops = index.get("Max-Forwards")
    if hops is not None and _HOPS.fullmatch(hops[0]) is None:
        return None
    lifetime = index.get("Session-Expires")
    if lifetime is not None and (len(lifetime) != 1 or _LIFETIME.fullmatch(lifetime[0]) is None):
        return None
    if request.body and index.get("Content-Type") != _SDP:
        return None
    return PlainInvite(called[1], calling[2], calling[1] or "", calling[3], "P-Asserted-Identity" in index)


class AtOnce(NamedTuple):
    """How the gate refuses: status, phrase (None: the usual one) and further headers."""

    status: int
    reason: str | None
    headers: Sequence[tuple[str, str]]


Gate = Callable[[PlainInvite, Request, Flow], AtOnce | None]
"""Refuses an INVITE, or lets it pass (None). It may not keep what it is given."""
