"""What screening knows about a call (`Facts`) and what it decides (`Verdict`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from scoring.numbers import Action, HotEntry, Level, Number, Precedence

__all__ = [
    "UNAUTHORISED_ACTIONS",
    "Action",
    "Attestation",
    "Direction",
    "Facts",
    "HotEntry",
    "Level",
    "Number",
    "Precedence",
    "RuleTrace",
    "Verdict",
]

NO_COUNTERS: Final[Mapping[str, int]] = MappingProxyType({})


class Direction(StrEnum):
    """Seen from the subscriber: `inbound` comes from the carrier, `outbound` goes to it."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Attestation(StrEnum):
    """Verified SHAKEN attestation of the calling number (RFC 8588); `none` when there is no PASSporT."""

    FULL = "full"
    PARTIAL = "partial"
    GATEWAY = "gateway"
    NONE = "none"
    FAILED = "failed"


UNAUTHORISED_ACTIONS: Final[Mapping[str, Action | None]] = MappingProxyType(
    {"pass": None, "label": Action.LABEL, "reject": Action.REJECT}
)
"""`trunk.X.callers_else` → what becomes of a call with a number that may not come from there."""


class Facts(msgspec.Struct, frozen=True):
    """Everything a verdict may depend on; nothing else does."""

    tenant: str
    direction: Direction
    calling: Number
    called: Number
    at: datetime
    """UTC, aware."""
    trunk: str = ""
    trunk_authorised_public: bool = False
    """The trunk may carry calls from emergency and police numbers."""
    caller_authorised: bool = True
    """The calling number is one that may come from this trunk, or the trunk's are not told."""
    unauthorised_action: Action | None = None
    """What the trunk does with a call whose caller is not: label, reject, or None, nothing."""
    attestation: Attestation = Attestation.NONE
    asserted: Number | None = None
    """P-Asserted-Identity, from a trusted trunk only (RFC 3325)."""
    display_name: str = ""
    request_uri: str = ""
    diversion: tuple[Number, ...] = ()
    """Diverting numbers, latest first (RFC 5806, RFC 7044)."""
    entry: HotEntry | None = None
    """What the hot table says of the other party: the calling number inbound, the called one outbound."""
    table_version: int = 0
    subscriber_allow: bool = False
    subscriber_block: bool = False
    emergency_callback: bool = False
    """The subscriber made an emergency call within the call-back window (RFC 7090)."""
    kill_switch: bool = False
    screening_failed: bool = False
    """What was needed could not be looked up in time: the policy's explicit default applies."""
    counters: Mapping[str, int] = msgspec.field(default_factory=lambda: NO_COUNTERS)
    language: str = "zh-CN"
    """Of the subscriber, as in the configuration: `en` or `zh-CN`."""


class Verdict(msgspec.Struct, frozen=True):
    """What happens to the call, and why.

    `protected` calls are beyond every limit: never warned, recorded, transcribed, scored or held up.
    A block has `expires` or is `confirmed` by a human; otherwise it was turned into a label.
    """

    action: Action
    rule: str
    """Id of the invariant or policy rule that decided."""
    reason: str
    """Slug: the table entry's, or the rule's."""
    policy_version: str
    table_version: int
    entry_row: int | None = None
    status: int | None = None
    """SIP status of a block: 608 is the engine's decision (RFC 8688), 607 the callee's own (RFC 8197)."""
    label: str | None = None
    """Text for the display name, in the subscriber's language."""
    popup: str | None = None
    """Kind of popup for the subscriber: `risk_label`, `fraud_blocked`, …"""
    announcement: str | None = None
    """Slug of a prompt: of the warning, or of the early media before a block."""
    record: bool = False
    """Asked for by the policy; done only where the configuration turns recording on."""
    protected: bool = False
    expires: datetime | None = None
    confirmed: bool = False
    downgraded: str | None = None
    """Why a block became a label: `kill_switch` or `unconfirmed`."""


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule that was tried: whether it matched, and why or why not in one English line."""

    rule: str
    matched: bool
    why: str
