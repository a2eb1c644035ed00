"""What the transport reads in a message that it does not parse: its kind and its top Via."""

from __future__ import annotations

import re
from typing import Final

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import split_list
from engine.sip.via import Via

_VIA: Final = re.compile(rb"\r\n(?:via|v)[ \t]*+:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE)
_BRANCH: Final = re.compile(
    rb"\r\n(?:via|v)[ \t]*+:[^\r\n,]*?;[ \t]*+branch[ \t]*+=[ \t]*+([A-Za-z0-9\-.!%*_+`'~]++)", re.IGNORECASE
)


def is_response(data: bytes) -> bool:
    return data[:4].upper() == b"SIP/"


def branch_of(data: bytes) -> str:
    """The branch of the first Via that has one, "" without; the message may be cut short."""
    found = _BRANCH.search(data)
    return found[1].decode("ascii") if found is not None else ""


def top_via_of(data: bytes) -> Via | None:
    """The top Via; None where there is none that can be read."""
    found = _VIA.search(data)
    if found is None:
        return None
    text = found[1].decode("utf-8", "replace").replace("\r\n", "").strip(" \t")
    try:
        values = split_list(text)
        return Via.parse(values[0]) if values else None
    except RemoteProtocolError:
        return None
