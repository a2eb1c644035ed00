"""Requests made from nothing, and the two that a transaction derives from its INVITE."""

from __future__ import annotations

from collections.abc import Iterable

from engine.sip.message import DEFAULT_MAX_FORWARDS, Request, Response
from engine.sip.uri import NameAddr, Uri

_MAX_FORWARDS = ("Max-Forwards", str(DEFAULT_MAX_FORWARDS))


def out_of_dialog(
    method: str,
    *,
    target: Uri,
    from_: NameAddr,
    to: NameAddr,
    call_id: str,
    contact: str | None = None,
    max_forwards: int = DEFAULT_MAX_FORWARDS,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Request:
    """A request outside any dialog (RFC 3261 §8.1.1); `from_` carries our tag.

    `contact` is a whole header value. The type of a body goes into `headers` as Content-Type.
    """
    rows = [
        ("Max-Forwards", str(max_forwards)),
        ("From", str(from_)),
        ("To", str(to)),
        ("Call-ID", call_id),
        ("CSeq", f"1 {method}"),
    ]
    if contact is not None:
        rows.append(("Contact", contact))
    rows += headers
    return Request(method, target, rows, body)


def ack_for_failure(invite: Request, via: str, response: Response) -> Request:
    """The ACK for a 3xx to 6xx response: the Via of the INVITE, the response's To (RFC 3261 §17.1.1.3)."""
    return _like(invite, via, "ACK", response.first["To"])


def cancel_for(invite: Request, via: str, headers: Iterable[tuple[str, str]]) -> Request:
    """The CANCEL of an INVITE that left with this Via, with `headers` (a Reason) added (RFC 3261 §9.1)."""
    return _like(invite, via, "CANCEL", invite.first["To"], headers)


def _like(
    invite: Request, via: str, method: str, to: str, headers: Iterable[tuple[str, str]] = ()
) -> Request:
    rows = [
        ("Via", via),
        _MAX_FORWARDS,
        *(("Route", value) for value in invite.rows("Route")),
        ("From", invite.first["From"]),
        ("To", to),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq.number} {method}"),
        *headers,
    ]
    return Request(method, invite.request_uri, rows)
