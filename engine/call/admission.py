"""What a request outside a dialog must satisfy before it is screened (RFC 3261 §8.2)."""

from __future__ import annotations

from typing import Final

from engine.call.legs import ALLOW, SDP_TYPE, Headers
from engine.call.values import ScreeningRequest
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request
from engine.sip.uri import NameAddr

_KNOWN: Final = frozenset(
    (
        *("ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS"),
        *("PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"),
    )
)
_SERVED: Final = frozenset(("INVITE", "OPTIONS"))


def refusal_of(request: Request, trunk: str | None) -> tuple[int, Headers] | None:
    """Status and headers to refuse the request with, or None when it may go on."""
    if trunk is None:
        return 403, ()
    if request.method not in _SERVED:
        if request.method in ("BYE", "INFO"):  # only inside a dialog
            return 481, ()
        return (405 if request.method in _KNOWN else 501), [("Allow", ALLOW)]
    if request.method == "OPTIONS":
        return None
    if request.max_forwards == 0:
        return 483, ()
    if request.contact is None:  # RFC 3261 §8.1.1.8: without it no dialog can be made
        return 400, ()
    if request.requires:  # RFC 3261 §8.2.2.3: no extension is supported yet
        return 420, [("Unsupported", ", ".join(request.requires))]
    if request.body and _content_type(request) != SDP_TYPE:
        return 415, [("Accept", SDP_TYPE)]
    return None


def screening_request(request: Request, trunk: str, *, trusted: bool) -> ScreeningRequest:
    """What screening is told: text from the wire as it came."""
    uri = request.uri
    caller = request.from_
    return ScreeningRequest(
        trunk=trunk,
        calling=caller.uri.user or "",
        called=uri.user or str(uri),
        request_uri=str(uri),
        display=caller.display or "",
        asserted=_first_user(request, "P-Asserted-Identity") if trusted else None,
        diversion=tuple(user for user in (_user(value) for value in request.get_all("Diversion")) if user),
    )


def _content_type(request: Request) -> str:
    return (request.get("Content-Type") or "").partition(";")[0].strip().lower()


def _first_user(request: Request, name: str) -> str | None:
    values = request.get_all(name)
    return _user(values[0]) if values else None


def _user(value: str) -> str | None:
    """User part of a name-addr; None when it cannot be read: a wrong identity is no identity."""
    try:
        return NameAddr.parse(value).uri.user
    except RemoteProtocolError:
        return None
