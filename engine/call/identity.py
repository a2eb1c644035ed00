"""Who calls, as headers from the wire say it: what cannot be read says nothing."""

from __future__ import annotations

from typing import Final

from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request
from engine.sip.uri import KNOWN_MOST, NameAddr, known_party

MOST: Final = 64
"""Values of one header that are looked at, far more than any path makes: each costs time."""


def caller_of(request: Request) -> tuple[str | None, str | None]:
    """Display name and user part of From, each None where there is none."""
    text = request.first["From"]
    plain = known_party(text) if len(text) <= KNOWN_MOST else None
    if plain is not None:
        display, user = plain.group("display", "user")
        return display, user
    party = request.from_
    return party.display, party.uri.user


def identities(request: Request, name: str) -> list[NameAddr]:
    """The values of a header of name-addrs that can be read, in order; of too many the first."""
    try:
        values = request.get_all(name)
    except RemoteProtocolError:
        return []
    found = []
    for value in values[:MOST]:
        try:
            found.append(NameAddr.parse(value))
        except RemoteProtocolError:
            continue
    return found
