"""The configuration of trunks: whose calls, where to, by which numbers."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.model.address import Address
from engine.model.section import Section


class RouteSection(Section, frozen=True):
    """One next hop for every call from anywhere, for tests: it makes `trunk.route` and `trunk.anyone`."""

    next_hop: Address | None = None
    transport: Literal["same", "udp", "tcp", "tls"] = "same"
    """"same": as the call came, then by UDP."""


class NextHopSection(Section, frozen=True):
    """One place a trunk's calls go to (RFC 3263); the lowest priority first, within it by weight."""

    uri: str
    """sip:host:port;transport=tcp; without port and transport the DNS is asked for both."""
    priority: int = 1
    weight: int = 10


class HealthSection(Section, frozen=True):
    """When a trunk's target counts as down. Calls without an answer and 503 count; OPTIONS do beside them."""

    options_s: float = 0.0
    """An OPTIONS to each target so often; 0: none."""
    timeout_s: float = 4.0
    """An OPTIONS that has no response by then has failed."""
    failures: int = 3
    """So many in a row take a target down."""
    recoveries: int = 2
    """So many responses in a row bring it up again."""
    retry_s: float = 30.0
    """Without OPTIONS: after so long a call may try a target that is down."""


class TranslationSection(Section, frozen=True):
    """One rule for numbers; of a list the first that matches is applied."""

    match: str = ""
    """What the number begins with; empty: every number."""
    strip: int = 0
    """So many characters are taken off its front …"""
    prefix: str = ""
    """… and this is put there."""
    examples: dict[str, str] = msgspec.field(default_factory=dict)
    """Number → what the list makes of it; tested when the file is read."""


class TrunkSection(Section, frozen=True):
    side: Literal["carrier", "access"]
    match: tuple[str, ...] = ()
    """Sources whose requests are this trunk's: address, address:port, network (192.0.2.0/24) or "*".

    The most exact one counts; requests from elsewhere are refused.
    """
    next_hop: Address | None = None
    next_hops: tuple[NextHopSection, ...] = ()
    """Instead of `next_hop`, where there are several or the DNS knows them."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    """To `next_hop`."""
    prefixes: tuple[str, ...] = ()
    """Called numbers that leave by this trunk, as +86… or a short code; empty: all. The longest counts."""
    priority: int = 1
    """Among the trunks that take a number: the lowest first."""
    weight: int = 10
    """Among those of one priority: the share of the calls."""
    max_calls: int = 0
    """At once, in each direction; 0: no limit. Emergency calls pass any limit."""
    max_calls_per_s: float = 0.0
    """New calls, in each direction; 0: no limit."""
    health: HealthSection = HealthSection()
    failover_statuses: tuple[int, ...] = (500, 502, 503, 504)
    """Answers to an INVITE after which the next hop is tried; no answer and no connection always are."""
    called_in: tuple[TranslationSection, ...] = ()
    """What the called number of a call from here means, before it is screened."""
    calling_in: tuple[TranslationSection, ...] = ()
    called_format: Literal["dialled", "e164", "international", "national"] = "dialled"
    """How this trunk wants called numbers: as they came, +86139…, 0086139…, or 139… and 010…"""
    calling_format: Literal["dialled", "e164", "international", "national"] = "dialled"
    called_out: tuple[TranslationSection, ...] = ()
    """Applied after the format; protected numbers go as they came."""
    calling_out: tuple[TranslationSection, ...] = ()
    callers: tuple[str, ...] = ()
    """Calling numbers that may come from here, by prefix (+8613…); empty: all."""
    callers_else: Literal["pass", "label", "reject"] = "label"
    """What becomes of a call from another number."""
    tls_name: str = ""
    """What the certificate of `next_hop` must name, sent as SNI; empty: its address."""
    tcp_above_bytes: int = 0
    """Longer requests to its next hops' addresses go by TCP, by UDP where that fails. 0: never.

    RFC 3261 §18.1.1 says 1300.
    """
    announce_608: bool = True
    """Play an announcement in early media to callers that do not support sip.608 (RFC 8688 §3.4)."""
    reject: Literal["608", "603+"] = "608"
    """How callers here are told of a block: RFC 8688, or 603 Network Blocked with a Reason."""
    trusted_identity: bool = False
    """Believe P-Asserted-Identity from here, and pass it on to here (RFC 3325)."""
    refer: bool = False
    """A peer here may transfer its calls by REFER (RFC 3515)."""
    redirect_anywhere: bool | None = None
    """Who is called here may send the call on, by 3xx, to addresses that are no trunk's.

    Else only the number in such a contact counts. Not set: carriers may, access trunks may not.
    """
    username: str = ""
    password: str = ""
    """Answer a digest challenge of the next hop with these; better given by the environment than here."""
    realm: str = ""
    """Answer challenges of this realm alone. Without it a callee behind the trunk may ask as well, and guess
    the password from our answer.
    """
    public_service: bool = False
    """May carry calls from emergency and police numbers."""

    @property
    def redirects_anywhere(self) -> bool:
        return self.side == "carrier" if self.redirect_anywhere is None else self.redirect_anywhere

    def may_carry(self, calling: str) -> bool:
        """Whether a call from here may have that calling number (+86…)."""
        return not self.callers or calling.startswith(self.callers)

    @property
    def places(self) -> tuple[NextHopSection, ...]:
        """Where calls by this trunk go to."""
        if self.next_hop is None:
            return self.next_hops
        return (NextHopSection(uri=f"sip:{self.next_hop};transport={self.transport}"), *self.next_hops)
