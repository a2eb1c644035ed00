"""Who calls, as headers from the wire say it: what cannot be read says nothing."""

from __future__ import annotations

from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request
from engine.sip.uri import NameAddr


def identities(request: Request, name: str) -> list[NameAddr]:
    """The values of a header of name-addrs that can be read, in order."""
    try:
        values = request.get_all(name)
    except RemoteProtocolError:
        return []
    found = []
    for value in values:
        try:
            found.append(NameAddr.parse(value))
        except RemoteProtocolError:
            continue
    return found
