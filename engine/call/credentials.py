"""Answering a trunk's digest challenge (RFC 3261 §22, RFC 8760)."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.sip.digest import authorization, strongest
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request, Response

_CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a trunk knows us by."""

    username: str
    password: str = field(repr=False)


def challenged(response: Response) -> bool:
    return response.status in _CHALLENGES


def authorised(request: Request, response: Response, credentials: Credentials, cnonce: str) -> Request | None:
    """`request` again with the next CSeq and an answer to the strongest challenge; None where there is none
    that we know.
    """
    asked, answered = _CHALLENGES[response.status]
    challenge = strongest(response.rows(asked))
    if challenge is None:
        return None
    try:
        value = authorization(
            challenge,
            username=credentials.username,
            password=credentials.password,
            method=request.method,
            uri=str(request.uri),
            cnonce=cnonce,
            nonce_count=1,
        )
    except RemoteProtocolError:
        return None
    number = request.cseq.number + 1
    rows = [
        (name, f"{number} {request.method}" if name == "CSeq" else text) for name, text in request.headers
    ]
    return Request(request.method, request.request_uri, [*rows, (answered, value)], request.body)
