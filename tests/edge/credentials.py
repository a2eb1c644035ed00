"""A request once more, with the answer to a challenge: for phones in virtual time and real ones."""

from __future__ import annotations

from engine.sip.digest import authorization, strongest
from engine.sip.message import Request, Response


def with_credentials(
    request: Request,
    challenged: Response,
    *,
    cseq: int,
    user: str,
    password: str,
    algorithm: str | None = None,
    nonce_count: int = 1,
) -> Request:
    """With that CSeq, and without earlier credentials; the strongest algorithm, or the one that is named."""
    asked, given = (
        ("WWW-Authenticate", "Authorization")
        if challenged.status == 401
        else ("Proxy-Authenticate", "Proxy-Authorization")
    )
    offered = challenged.rows(asked)
    if algorithm is not None:
        offered = [value for value in offered if f"algorithm={algorithm}," in value]
    challenge = strongest(offered)
    assert challenge is not None
    value = authorization(
        challenge,
        username=user,
        password=password,
        method=request.method,
        uri=str(request.uri),
        cnonce="c",
        nonce_count=nonce_count,
    )
    rows = [
        (name, f"{cseq} {request.method}" if name == "CSeq" else text)
        for name, text in request.headers
        if name != given
    ]
    return Request(request.method, request.uri, [*rows, (given, value)], request.body)
