"""What a leg tells its call.

`reasons` are values of the peer's Reason headers (RFC 3326) as they came, one item for each value; give
them to the other leg's `hang_up`, `cancel` or `refuse` with `reason_headers`.
"""

from __future__ import annotations

import msgspec

from engine.sip.effects import ServerKey
from engine.sip.replaces import Replaces
from engine.sip.uri import NameAddr


def reason_headers(reasons: tuple[str, ...]) -> list[tuple[str, str]]:
    """Reason headers of a request or response that passes them on."""
    return [("Reason", value) for value in reasons]


class LegRinging(msgspec.Struct, frozen=True):
    """18x of the callee. With several early dialogs (a fork) the last description heard counts."""

    body: bytes
    """Session description, or empty."""
    status: int = 180
    """180, 181, 182, 183, …; never 100 or 199."""
    reliable: bool = False
    """It was sent reliably and is acknowledged by PRACK (RFC 3262)."""
    offers: bool = False
    """The body is an offer (our INVITE had none): `accept_offer` puts the answer into the PRACK."""


class LegProgressAcknowledged(msgspec.Struct, frozen=True):
    """PRACK for our reliable 18x; with a body it answers the offer that our 18x made (RFC 3262 §5)."""

    body: bytes


class LegAnswered(msgspec.Struct, frozen=True):
    """2xx. The body is its description, or the one that a reliable 18x had given before."""

    body: bytes


class LegRefused(msgspec.Struct, frozen=True):
    """A final non-2xx, or none: 408 for a timeout, 503 for a transport error."""

    status: int
    reason: str
    """The peer's reason phrase."""
    call_info: str = ""
    """Where to turn to, as a 608 says (RFC 8688)."""
    no_response: str = ""
    """"timeout" or "transport" where the peer never answered."""
    reasons: tuple[str, ...] = ()
    contacts: tuple[NameAddr, ...] = ()
    """Where a 3xx sends us to, in its order (RFC 3261 §8.1.3.4)."""
    retry_after_s: int | None = None
    """Seconds for which the peer wants to be left alone."""
    network_blocked: bool = False
    """A 603+: blocked by analytics on the way; to be passed on unchanged, never routed anew."""


class LegCancelled(msgspec.Struct, frozen=True):
    """The caller's INVITE is over before our 2xx, and has been answered: 487 after CANCEL or an early BYE,
    504 where the caller acknowledged no reliable 18x of ours (RFC 3262 §3).
    """

    status: int = 487
    reasons: tuple[str, ...] = ()


class LegHungUp(msgspec.Struct, frozen=True):
    """The peer is gone: BYE, which has been answered; or its dialog or session timer is at its end, and our
    own BYE is under way.
    """

    report: str = ""
    """Value of the agent's header, where there is one."""
    reason: tuple[str, ...] = ()
    """Reason values, as `reasons` elsewhere; ours where nobody sent a BYE."""
    lost: bool = False
    """Nobody did."""


class LegAcknowledged(msgspec.Struct, frozen=True):
    """ACK for our 2xx; with a body it answers our offer."""

    body: bytes


class LegAckMissing(msgspec.Struct, frozen=True):
    pass


class LegOffered(msgspec.Struct, frozen=True):
    """An offer of the peer's, to be answered with `accept_offer` or `refuse_offer`.

    In an early dialog too, by UPDATE or PRACK. An UPDATE or PRACK that waits too long is refused with 504,
    told as `LegOfferCancelled`.
    """

    body: bytes
    """Empty for a re-INVITE that asks us for an offer."""
    method: str = "INVITE"
    """"INVITE", "UPDATE" or "PRACK"."""


class LegOfferCancelled(msgspec.Struct, frozen=True):
    """The peer's offer has been refused by the leg itself: it took the re-INVITE back, or time ran out."""


class LegOfferAnswered(msgspec.Struct, frozen=True):
    """2xx to our re-INVITE or UPDATE; call `acknowledge` (for an UPDATE it does nothing)."""

    body: bytes
    method: str = "INVITE"


class LegOfferRefused(msgspec.Struct, frozen=True):
    status: int
    retry_after_s: int | None = None


class LegInfo(msgspec.Struct, frozen=True):
    report: str


class LegDtmf(msgspec.Struct, frozen=True):
    """A key pressed by the peer, in an INFO; it has been answered with 200."""

    digit: str
    """One of 0-9, *, #, A-D."""
    duration_ms: int


class LegReferred(msgspec.Struct, frozen=True):
    """REFER inside the dialog; to be answered with `accept_refer` or `refuse_refer`."""

    refer_to: NameAddr
    """Without the Replaces that its URI may carry; other headers of the URI are not ours to obey."""
    replaces: Replaces | None
    referred_by: str
    """Value of Referred-By (RFC 3892), or empty."""
    key: ServerKey


class LegRefreshed(msgspec.Struct, frozen=True):
    """The session was refreshed, by the peer or by us (RFC 4028)."""

    body: bytes = b""
    """The peer's description, where the refresh carried one."""


class LegEnded(msgspec.Struct, frozen=True):
    """Nothing of this leg is open any more."""

    report: str = ""


LegEvent = (
    LegRinging
    | LegProgressAcknowledged
    | LegAnswered
    | LegRefused
    | LegCancelled
    | LegHungUp
    | LegAcknowledged
    | LegAckMissing
    | LegOffered
    | LegOfferCancelled
    | LegOfferAnswered
    | LegOfferRefused
    | LegInfo
    | LegDtmf
    | LegReferred
    | LegRefreshed
    | LegEnded
)
