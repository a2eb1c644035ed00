"""Answering digest challenges, each leg for itself (RFC 3261 §22, RFC 7616, RFC 8760)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from engine.sip.digest import authorization, directives, strongest
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request, Response

_CHALLENGES: Final = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}
ANSWER_HEADERS: Final = ("Authorization", "Proxy-Authorization")
MAX_REALMS: Final = 4
"""Proxies on the way that each ask; more are not believed."""
MAX_ANSWERS: Final = 6
"""For one request, nonces that went stale included."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a trunk knows us by."""

    username: str
    password: str = field(repr=False)
    realm: str = ""
    """Of the trunk; empty: whoever asks gets an answer, callees behind the trunk too."""


@dataclass(slots=True)
class _Nonce:
    challenge: str
    nonce: str
    count: int = 0


class Attempt:
    """One request's answers so far: one for each realm, and another where the nonce went stale."""

    __slots__ = ("answers", "realms")

    def __init__(self) -> None:
        self.answers = 0
        self.realms: set[tuple[str, str]] = set()


def challenged(response: Response) -> bool:
    return response.status in _CHALLENGES


class Authenticator:
    """What one leg knows of those who challenge it. `cnonce` gives a new client nonce each time."""

    __slots__ = ("_cnonce", "_credentials", "_known", "invite_headers")

    def __init__(self, credentials: Credentials, cnonce: Callable[[], str]) -> None:
        self._credentials = credentials
        self._cnonce = cnonce
        self._known: dict[tuple[str, str], _Nonce] = {}
        self.invite_headers: list[tuple[str, str]] = []
        """Credentials of the last INVITE: its ACK repeats them (RFC 3261 §22.1)."""

    def dress(self, request: Request) -> Request:
        """The request with an answer for each realm known, the nonce count one higher (RFC 3261 §22.3)."""
        answers = []
        for (header, _), known in self._known.items():
            known.count += 1
            value = authorization(
                known.challenge,
                username=self._credentials.username,
                password=self._credentials.password,
                method=request.method,
                uri=str(request.request_uri),
                cnonce=self._cnonce(),
                nonce_count=known.count,
            )
            answers.append((header, value))
        if request.method == "INVITE":
            self.invite_headers = answers
        if not answers:
            return request
        return Request(request.method, request.request_uri, [*request.headers, *answers], request.body)

    def learn(self, response: Response, attempt: Attempt) -> bool:
        """Take a 401 or 407; whether the request is worth asking again."""
        asked, header = _CHALLENGES[response.status]
        challenge = strongest(row for row in response.rows(asked) if self._is_ours(row))
        if challenge is None or attempt.answers >= MAX_ANSWERS:
            return False
        given = directives(challenge)
        realm, nonce = given.get("realm", ""), given.get("nonce", "")
        known = self._known.get((header, realm))
        stale = given.get("stale", "").lower() == "true"
        if known is not None and known.nonce == nonce:
            return False
        if (header, realm) in attempt.realms and not stale:
            return False
        if known is None and len(self._known) >= MAX_REALMS:
            return False
        if not _answerable(challenge):
            return False
        attempt.answers += 1
        attempt.realms.add((header, realm))
        self._known[header, realm] = _Nonce(challenge, nonce)
        return True

    def _is_ours(self, challenge: str) -> bool:
        ours = self._credentials.realm
        try:
            return not ours or directives(challenge).get("realm") == ours
        except RemoteProtocolError:
            return False


def asked_again(request: Request, cseq: int) -> Request:
    """`request` without its credentials, under the next CSeq number."""
    rows = [
        (name, f"{cseq} {request.method}" if name == "CSeq" else text)
        for name, text in request.headers
        if name not in ANSWER_HEADERS
    ]
    return Request(request.method, request.request_uri, rows, request.body)


def _answerable(challenge: str) -> bool:
    """Whether algorithm and quality of protection are among ours."""
    try:
        authorization(challenge, username="", password="", method="", uri="", cnonce="", nonce_count=1)
    except RemoteProtocolError:
        return False
    return True
