"""The client's side of digest authentication (RFC 7616, RFC 8760)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import md5, sha256

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import quote_string, unquote_string

_DIRECTIVE = re.compile(
    r"""[ \t,]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]*+))[ \t]*+(?:,|$)""",
    re.DOTALL,
)


def md5_hex(text: str) -> str:
    """RFC 7616's H for MD5, as KD writes it."""
    # The protocol's choice, not ours: most SIP trunks still offer nothing else.
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def sha256_hex(text: str) -> str:
    """RFC 7616's H for SHA-256, as KD writes it."""
    return sha256(text.encode()).hexdigest()


# Weakest first.
_HASHES: dict[str, Callable[[str], str]] = {
    "MD5": md5_hex,
    "MD5-SESS": md5_hex,
    "SHA-256": sha256_hex,
    "SHA-256-SESS": sha256_hex,
}


def strongest(challenges: Iterable[str]) -> str | None:
    """The challenge with the strongest algorithm we know, or None (RFC 8760 §2.4)."""
    ranks = list(_HASHES)
    best: str | None = None
    best_rank = -1
    for challenge in challenges:
        try:
            rank = ranks.index(directives(challenge).get("algorithm", "MD5").upper())
        except (RemoteProtocolError, ValueError):
            continue
        if rank > best_rank:
            best, best_rank = challenge, rank
    return best


def authorization(
    challenge: str, *, username: str, password: str, method: str, uri: str, cnonce: str, nonce_count: int
) -> str:
    """The (Proxy-)Authorization value that answers a (WWW|Proxy)-Authenticate value.

    `uri` is the Request-URI as sent, `nonce_count` starts at 1 for each nonce. RemoteProtocolError when the
    challenge is malformed, or names an algorithm or qop we lack.
    """
    given = directives(challenge)
    realm, nonce = given.get("realm"), given.get("nonce")
    if realm is None or nonce is None:
        raise RemoteProtocolError("challenge lacks realm or nonce")
    algorithm = given.get("algorithm", "MD5")
    digest = _HASHES.get(algorithm.upper())
    if digest is None:
        raise RemoteProtocolError("unknown digest algorithm")
    offered = given.get("qop")
    if offered is not None and "auth" not in [option.strip(" \t").lower() for option in offered.split(",")]:
        raise RemoteProtocolError("unknown quality of protection")
    secret = digest(f"{username}:{realm}:{password}")
    if algorithm.upper().endswith("-SESS"):
        secret = digest(f"{secret}:{nonce}:{cnonce}")
    target = digest(f"{method}:{uri}")
    answer = {
        "username": quote_string(username),
        "realm": quote_string(realm),
        "nonce": quote_string(nonce),
        "uri": quote_string(uri),
    }
    if offered is None:
        # Without qop the answer is RFC 2069's.
        answer["response"] = f'"{digest(f"{secret}:{nonce}:{target}")}"'
    else:
        count = f"{nonce_count:08x}"
        answer["response"] = f'"{digest(f"{secret}:{nonce}:{count}:{cnonce}:auth:{target}")}"'
        answer |= {"cnonce": quote_string(cnonce), "qop": "auth", "nc": count}
    if "algorithm" in given:
        answer["algorithm"] = algorithm
    if "opaque" in given:
        answer["opaque"] = quote_string(given["opaque"])
    return "Digest " + ", ".join(f"{name}={value}" for name, value in answer.items())


def directives(challenge: str) -> dict[str, str]:
    """The directives of a challenge or of credentials, names in lower case, the first of each name.

    RemoteProtocolError(400) when the text is neither.
    """
    scheme, _, rest = challenge.strip(" \t").partition(" ")
    if scheme.lower() != "digest":
        raise RemoteProtocolError("not a digest challenge")
    found: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _DIRECTIVE.match(rest, position)
        if match is None:
            raise RemoteProtocolError("malformed challenge")
        name, quoted, bare = match.groups()
        found.setdefault(name.lower(), unquote_string(quoted) if quoted is not None else bare)
        position = match.end()
    return found
