"""The server's side of digest authentication (RFC 7616, RFC 8760), for whoever asks: registrar, proxy, trunk.

A nonce carries its time under a keyed hash, so none has to be remembered until it has been used well once.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from engine.sip.digest import directives, md5_hex, sha256_hex
from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import quote_string
from engine.sip.uri import Uri

NONCE_LIFE_S: Final = 300.0
MOST_NONCES: Final = 65_536

ALGORITHMS: Final = ("SHA-256", "MD5")
"""Strongest first, as the challenges stand (RFC 8760 §2.4)."""
_HASHES: Final = {"SHA-256": sha256_hex, "MD5": md5_hex}
_NONCE: Final = re.compile(r"([0-9a-f]{12})[0-9a-f]{8}[0-9a-f]{32}", re.ASCII)
_COUNT: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_SIGNED_CHARS: Final = 20
_SPENT: Final = 2**32


@dataclass(frozen=True, slots=True)
class Secret:
    """A user's H(user:realm:password) for both algorithms; an empty one cannot be used to log in."""

    md5: str = field(repr=False)
    sha256: str = field(repr=False)

    @classmethod
    def of_password(cls, user: str, realm: str, password: str) -> Secret:
        text = f"{user}:{realm}:{password}"
        return cls(md5_hex(text), sha256_hex(text))


class Outcome(StrEnum):
    """What credentials were worth."""

    ACCEPTED = auto()
    ABSENT = auto()
    """None for this realm, or none that can be read."""
    WRONG = auto()
    STALE = auto()
    """Right, but for a nonce that is too old."""
    REPLAYED = auto()
    """Right, but with a nonce count that was used before."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome for the user who was named; empty when nobody was."""

    outcome: Outcome
    user: str = ""

    @property
    def stale(self) -> bool:
        """Whether the user knew the password and need not be asked for it (RFC 7616 §3.3)."""
        return self.outcome in (Outcome.STALE, Outcome.REPLAYED)


class DigestServer:
    """Challenges and checks for one realm.

    Pure: `now` is monotonic seconds of the machine. Nonces made before `born` are stale, since their counts
    were forgotten then. A user that is not in `secrets` costs the same work and gets the same answer as one
    with a wrong password.
    """

    def __init__(
        self,
        realm: str,
        key: bytes,
        secrets: Mapping[str, Secret],
        born: float,
        *,
        nonce_life_s: float = NONCE_LIFE_S,
        most_nonces: int = MOST_NONCES,
        algorithms: Sequence[str] = ALGORITHMS,
        without_qop: bool = False,
    ) -> None:
        """`algorithms` are offered in this order; `without_qop` takes RFC 2069's answers, each nonce once."""
        self.realm = realm
        self.secrets = secrets
        self._key = key[:64]
        self._life_ms = round(nonce_life_s * 1000)
        self._most = most_nonces
        self._hashes = {name: _HASHES[name] for name in algorithms}
        self._without_qop = without_qop
        # Nonces not younger than this are stale: what they were used for is not known any more.
        self._floor_ms = _ms(born) - 1
        self._made = 0
        self._counts: OrderedDict[str, int] = OrderedDict()

    def challenges(self, now: float, *, stale: bool = False) -> list[str]:
        """Values for WWW-Authenticate or Proxy-Authenticate, to be written in this order."""
        self._made = (self._made + 1) % 2**32
        signed = f"{_ms(now):012x}{self._made:08x}"
        nonce = signed + self._signature(signed)
        ending = ", stale=true" if stale else ""
        realm = quote_string(self.realm)
        return [
            f'Digest realm={realm}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{ending}'
            for algorithm in self._hashes
        ]

    def check(self, credentials: Iterable[str], method: str, uri: Uri, now: float) -> Checked:
        """Check the (Proxy-)Authorization values of a request with that method and Request-URI."""
        for value in credentials:
            try:
                given = directives(value)
                if given.get("realm") == self.realm:
                    return self._check(given, method, uri, now)
            except RemoteProtocolError:
                continue
        return Checked(Outcome.ABSENT)

    def __len__(self) -> int:
        return len(self._counts)

    def _check(self, given: dict[str, str], method: str, uri: Uri, now: float) -> Checked:
        user, nonce, target = given.get("username", ""), given.get("nonce", ""), given.get("uri", "")
        algorithm = given.get("algorithm", "MD5").upper()
        qop, count, cnonce = given.get("qop"), given.get("nc", ""), given.get("cnonce", "")
        digest = self._hashes.get(algorithm)
        made = _NONCE.fullmatch(nonce)
        if digest is None or made is None or not user:
            return Checked(Outcome.ABSENT)
        signature = self._signature(nonce[:_SIGNED_CHARS])
        if not compare_digest(signature, nonce[_SIGNED_CHARS:]):  # all hexadecimal digits, as _NONCE says
            return Checked(Outcome.ABSENT)
        if qop is None:
            if not self._without_qop:
                return Checked(Outcome.ABSENT)
            number, middle = _SPENT, nonce
        elif qop.lower() == "auth" and _COUNT.fullmatch(count) and cnonce:
            number, middle = int(count, 16), f"{nonce}:{count}:{cnonce}:{qop}"
        else:
            return Checked(Outcome.ABSENT)
        nobody = blake2b(user.encode(), digest_size=32, key=self._key, person=b"nobody").hexdigest()
        secret = self.secrets.get(user)
        known = (secret.sha256 if digest is sha256_hex else secret.md5) if secret is not None else ""
        expected = digest(f"{known or nobody}:{middle}:{digest(f'{method}:{target}')}")
        right = compare_digest(expected.encode(), given.get("response", "").lower().encode())
        if not (right and known and _names(target, uri)):
            return Checked(Outcome.WRONG, user)
        return Checked(self._used(nonce, int(made[1], 16), number, _ms(now)), user)

    def _used(self, nonce: str, made_ms: int, number: int, now_ms: int) -> Outcome:
        """Note that a nonce was used with that count, if it still may be."""
        counts = self._counts
        if made_ms <= self._floor_ms or not 0 <= now_ms - made_ms <= self._life_ms:
            return Outcome.STALE
        if number <= counts.get(nonce, 0):
            return Outcome.REPLAYED
        counts[nonce] = number
        while counts and (len(counts) > self._most or self._over(next(iter(counts)), now_ms)):
            oldest, _ = counts.popitem(last=False)
            self._floor_ms = max(self._floor_ms, int(oldest[:12], 16))
        return Outcome.ACCEPTED

    def _over(self, nonce: str, now_ms: int) -> bool:
        return now_ms - int(nonce[:12], 16) > self._life_ms

    def _signature(self, signed: str) -> str:
        text = f"{signed}{self.realm}".encode()
        return blake2b(text, digest_size=16, key=self._key, person=b"nonce").hexdigest()


def _ms(now: float) -> int:
    return int(now * 1000) & 0xFFFF_FFFF_FFFF


def _names(target: str, uri: Uri) -> bool:
    """Whether the digest's uri is the Request-URI; parameters are left out, since some phones leave them out.

    RemoteProtocolError when it is none.
    """
    stated = Uri.parse(target)
    return (stated.user, stated.host) == (uri.user, uri.host)
