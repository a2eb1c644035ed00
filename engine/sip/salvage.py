"""What can be read of a malformed INVITE, ACK, CANCEL or BYE, for a call that must not fail for its form.

What a call needs is taken row by row: the Request-URI, the first readable one of each header that routes,
answers and describes it. From, To and Contact are made up where they cannot be read, since a call for help
needs none of them; of the rest nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import is_digits
from engine.sip.message import Request
from engine.sip.names import canonical
from engine.sip.parse import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_ROWS, parse
from engine.sip.uri import NameAddr, Uri, format_host, tag_of

HELP_HOPS: Final = 5
"""Max-Forwards of a call for help that came with none left: 483 would be the citizen's only answer."""

_START: Final = re.compile(r"(INVITE|ACK|CANCEL|BYE)[ \t]+(\S{1,2048})[ \t]+SIP/2\.0[ \t]*", re.IGNORECASE)
_FOLD: Final = re.compile(r"\r\n[ \t]++")
_TAG: Final = re.compile(r";[ \t]*tag[ \t]*=[ \t]*([A-Za-z0-9.!%*_+`'~-]{1,256})", re.IGNORECASE)
_NOBODY: Final = "<sip:anonymous@anonymous.invalid>"  # RFC 3323 §4.1.1.3
_NEEDED: Final = ("Via", "Call-ID", "CSeq")
_MADE_UP: Final = ("From", "To", "Contact")
_USEFUL: Final = (
    *("Route", "Record-Route", "Max-Forwards", "P-Asserted-Identity", "Privacy", "Supported", "Allow"),
    *("Content-Type", "Geolocation", "Geolocation-Routing"),
)
_MANY: Final = ("Via", "Route", "Record-Route", "P-Asserted-Identity", "Supported", "Allow", "Geolocation")
_LARGEST: Final = 2_048
"""Characters of a row that is looked at."""


def hops_onward(max_forwards: int) -> int:
    """Max-Forwards of a request that goes on; where none was left, it is part of a call for help."""
    return max_forwards - 1 if max_forwards else HELP_HOPS


def salvaged(data: bytes, source: tuple[str, int], wanted: Callable[[Uri], bool]) -> Request | None:
    """The request without what cannot be read; None where too little is left, or its target is not `wanted`.

    The target of what belongs to a dialog is in its To. `source` (host, port) is whom a Contact names that
    has to be made up.
    """
    head, _, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    lines = _FOLD.sub(" ", head[:MAX_HEAD_BYTES].decode("utf-8", "surrogateescape")).split("\r\n")
    start = _START.fullmatch(lines[0]) if lines[0].isprintable() else None
    try:
        uri = Uri.parse(start[2]).replace(headers=()) if start is not None else None
    except RemoteProtocolError:
        uri = None
    if start is None or uri is None:
        return None
    method, rows = start[1].upper(), _rows(lines[1:])
    to = next((value for value in rows.get("To", ()) if _is_readable(method, "To", value)), None)
    inside = tag_of(to) is not None if to is not None else any(map(_TAG.search, rows.get("To", ())))
    if not wanted(NameAddr.parse(to).uri if inside and to is not None else uri):
        return None
    if inside == (method in ("INVITE", "CANCEL")):  # a re-INVITE may be refused; others have their dialog
        return None
    tag = _TAG.search(rows.get("From", [""])[0])
    instead = {
        "From": f"{_NOBODY};tag={tag[1]}" if tag is not None else _NOBODY,
        "To": f"<{uri}>",
        "Contact": f"<sip:{format_host(*source)}>",
    }
    kept: list[tuple[str, str]] = []
    for name in (*_NEEDED, *_MADE_UP, *_USEFUL):
        values = [value for value in rows.get(name, ()) if _is_readable(method, name, value)]
        values = values if name in _MANY else values[:1]
        if not values and name in instead:
            values = [instead[name]]
        kept += [(name, value) for value in values]
    stated = rows.get("Content-Length", [""])[0]
    length = int(stated) if is_digits(stated) else len(body)
    try:
        data = Request(method, uri, kept, body[: min(length, MAX_BODY_BYTES)]).to_bytes()
        request = parse(data)
    except (LocalProtocolError, RemoteProtocolError):
        return None
    return request if isinstance(request, Request) else None


def _rows(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines[:MAX_ROWS]:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or len(value) > _LARGEST or not value.isprintable():
            continue
        try:
            found.setdefault(canonical(name), []).append(value)
        except RemoteProtocolError:
            continue
    return found


def _is_readable(method: str, name: str, value: str) -> bool:
    request = Request(method, "sip:x", [(name, value)])
    try:
        match name:
            case "Via":
                _ = request.vias
            case "Call-ID":
                return bool(value)
            case "CSeq":
                return request.cseq.method == method
            case "From" | "To":
                _ = NameAddr.parse(value)
            case "Contact":
                return request.contact is not None
            case "Route":
                _ = request.routes
            case "Record-Route":
                _ = request.record_routes
            case "Max-Forwards":
                _ = request.max_forwards
            case _:
                _ = request.get_all(name)
    except RemoteProtocolError:
        return False
    return True
