"""What a request outside a dialog must satisfy before it is screened (RFC 3261 §8.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.call.capabilities import Refusal, extension_refusal, invite_refusal, method_refusal
from engine.call.identity import caller_of, identities
from engine.call.values import ScreeningRequest
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request

MOST_WITHOUT_HOPS: Final = 8
"""Calls for help that came with Max-Forwards: 0 and may be on their way at once, from one address.

In a loop each turn is one more, so that it ends here; what one source sends stops nobody else's call.
"""
MOST_SOURCES_WITHOUT_HOPS: Final = 64
"""Addresses that may have such calls at once: a loop by way of ever new ones ends as well."""
_KNOWS_608: Final = re.compile(r";[ \t]*\+sip\.608(?![A-Za-z0-9.!%'*+_`~-])", re.IGNORECASE)
_SERVED: Final = frozenset(("INVITE", "OPTIONS"))
_SCHEMES: Final = frozenset(("sip", "sips", "tel", "urn"))


def refusal_of(request: Request) -> Refusal | None:
    """Status and headers to refuse the request with, or None when it may go on to screening.

    What a caller asks for beside the call (Require, the type of a body) is looked at after it: see
    `asks_too_much`.
    """
    if request.method not in _SERVED:
        if request.method in ("BYE", "INFO"):  # only inside a dialog
            return 481, ()
        return method_refusal(request.method)
    if request.uri.scheme not in _SCHEMES:  # RFC 3261 §8.2.2.1
        return 416, ()
    if request.method == "OPTIONS":
        return _extension_refusal(request)
    if not request.contacts:  # RFC 3261 §8.1.1.8: without it no dialog can be made
        return 400, ()
    if request.max_forwards == 0:  # like a proxy (RFC 7332 §5)
        return 483, ()
    return None


def may_go_on(host: str, under_way: Mapping[str, int]) -> bool:
    """Whether `host` may have one more call for help without hops; `under_way` counts them by address."""
    if host in under_way:
        return under_way[host] < MOST_WITHOUT_HOPS
    return len(under_way) < MOST_SOURCES_WITHOUT_HOPS


def asks_too_much(request: Request, *, protected: bool) -> Refusal | None:
    """Why a screened INVITE cannot be taken after all: for what it asks beside the call.

    That stops no call to or from an emergency or police number: a Require is left unanswered, a body of
    another type (with a location, RFC 6442) goes on as it came.
    """
    if protected:
        return None
    try:
        return invite_refusal(request)
    except RemoteProtocolError as error:
        return error.status_hint, ()


def knows_608(request: Request) -> bool:
    """Whether somebody on the way back tells the caller what a 608 says (RFC 8688 §3.3, RFC 6809 §6.2)."""
    return any(map(_KNOWS_608.search, request.rows("Feature-Caps")))


def _extension_refusal(request: Request) -> Refusal | None:
    try:
        return extension_refusal(request)
    except RemoteProtocolError as error:
        return error.status_hint, ()


def screening_request(request: Request, trunk: str, *, trusted: bool) -> ScreeningRequest:
    """What screening is told: text from the wire as it came."""
    uri, given = request.uri, request.request_uri
    text = given if uri.user and isinstance(given, str) and given.isascii() else str(uri)
    asserted = identities(request, "P-Asserted-Identity") if trusted else []
    display, calling = caller_of(request)
    diversion: tuple[str, ...] = ()
    if "Diversion" in request.first:
        diversion = tuple(each.uri.user for each in identities(request, "Diversion") if each.uri.user)
    return ScreeningRequest(
        trunk=trunk,
        calling=calling or "",
        called=uri.user or text,
        request_uri=text,
        display=display or "",
        asserted=asserted[0].uri.user if asserted else None,
        diversion=diversion,
    )
