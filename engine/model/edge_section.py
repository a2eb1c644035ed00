"""The configuration of the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from engine.model.address import Address
from engine.model.section import Section


class EdgeSection(Section, frozen=True):
    """The edge for phones: registrar and outbound proxy in front of the engine's access side."""

    listen: Address | None = None
    """Where phones and engine reach it by UDP; without it there is no edge."""
    tcp: bool = True
    """Take SIP over TCP at `listen` too."""
    tls: Address | None = None
    ws: Address | None = None
    """SIP over WebSocket (RFC 7118)."""
    wss: Address | None = None
    certificate: Path | None = None
    """PEM, the chain included, for `tls` and `wss`."""
    key: Path | None = None
    host: str = ""
    """Address under which phones and engine reach it, where that is another than those listened on."""
    realm: str = "ringward"
    engine: Address | None = None
    """Where calls of phones go; empty: sip.listen."""
    engine_hosts: tuple[str, ...] = ()
    """Where else the engine is: other workers, a proxy before them; each as host:port.

    Without a port that of `engine` is meant, so that several workers of one host are named one by one. What
    comes from there needs no password and may call in anybody's name, and phones' requests in dialogs go
    there: hence from and to no other port of that host. A connection shows the port in its Via only, which
    any program on that host could write: where others run there, let the edge be reached by UDP alone.
    """
    users: dict[str, str] = msgspec.field(default_factory=dict)
    """User → password, for a lab; others have `users_file`."""
    users_file: Path | None = None
    """CSV: user,password,ha1_md5,ha1_sha256,numbers; a password, or hashes of user:realm:password."""
    numbers: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """User → numbers it has beside its name, the main one first; in the file with spaces between them.

    Its phones may call as one of these or as anonymous, and are called by each.
    """
    registered_pass: bool = False
    """Take calls from the very UDP address of a registration unchallenged, for phones that know no 407."""
    algorithms: tuple[Literal["SHA-256", "MD5"], ...] = ("SHA-256", "MD5")
    """Of the digest, in this order; MD5 alone for phones that give up at a challenge they do not know."""
    without_qop: bool = False
    """Take answers to a challenge in the form of RFC 2069, each nonce once, for phones that know no other."""
    min_expires_s: int = 60
    default_expires_s: int = 3600
    max_expires_s: int = 7200
    guesses: int = 10
    """So many wrong passwords within `guess_window_s` ban a source.

    Five times as many, from whatever sources, shut a user for `ban_s` to those it is not registered from.
    """
    guess_window_s: float = 300.0
    ban_s: float = 600.0
