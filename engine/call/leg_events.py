"""What a leg tells its call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LegRinging:
    body: bytes
    """Session description of an 18x, or empty."""


@dataclass(frozen=True, slots=True)
class LegAnswered:
    body: bytes


@dataclass(frozen=True, slots=True)
class LegRefused:
    """A final non-2xx, or none: 408 for a timeout, 503 for a transport error."""

    status: int
    reason: str
    call_info: str = ""
    """Where to turn to, as a 608 says (RFC 8688)."""
    no_response: str = ""
    """"timeout" or "transport" where the peer never answered."""


@dataclass(frozen=True, slots=True)
class LegCancelled:
    """The caller sent CANCEL before our final response; 487 has been sent."""


@dataclass(frozen=True, slots=True)
class LegHungUp:
    """BYE from the peer; 200 has been sent."""

    report: str = ""
    """Value of the agent's header, where there is one."""


@dataclass(frozen=True, slots=True)
class LegAcknowledged:
    """ACK for our 2xx; with a body it answers our offer."""

    body: bytes


@dataclass(frozen=True, slots=True)
class LegAckMissing:
    pass


@dataclass(frozen=True, slots=True)
class LegOffered:
    """re-INVITE; to be answered with `accept_offer` or `refuse_offer`."""

    body: bytes


@dataclass(frozen=True, slots=True)
class LegOfferCancelled:
    """The peer took its re-INVITE back; 487 has been sent."""


@dataclass(frozen=True, slots=True)
class LegOfferAnswered:
    """2xx to our re-INVITE; acknowledge it with `acknowledge`."""

    body: bytes


@dataclass(frozen=True, slots=True)
class LegOfferRefused:
    status: int


@dataclass(frozen=True, slots=True)
class LegInfo:
    report: str


@dataclass(frozen=True, slots=True)
class LegEnded:
    """Nothing of this leg is open any more."""

    report: str = ""


LegEvent = (
    LegRinging
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
    | LegEnded
)
