"""What happened, as written to the journal, shipped to the store and told on the bus.

An event is a fact that has happened; nothing in it is edited later. Times are wall-clock seconds since
the epoch (UTC). `Record` is the envelope which gives an event its id.
"""

from __future__ import annotations

import msgspec

from engine.model.ids import CallId, CaseId, EventId, NumberId, RecordingId, TenantId
from engine.model.outcome import Outcome


def _kind(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kind):
    """Base of all events; `kind` on the wire is the class name in snake_case."""


class Party(msgspec.Struct, frozen=True, gc=False):
    """One number in a call: what is shown, and the keyed id under which it is filed."""

    number: str
    """Display form: +8613800138000, 110, or "anonymous"."""
    id: NumberId


class CallStarted(Event, frozen=True):
    call_id: CallId
    direction: str
    """"inbound" (carrier → subscriber), "outbound", or "dissuasion" (placed by the engine)."""
    trunk: str
    calling: Party
    called: Party
    display: str = ""
    sip_call_id: str = ""
    case_id: CaseId | None = None


class CallScreened(Event, frozen=True):
    call_id: CallId
    action: str
    rule: str
    reason: str
    level: str = ""
    policy_version: str = ""
    table_version: int = 0
    label: str = ""
    shadow_action: str = ""
    """What the shadow policy would have done, where one is configured and differs."""
    appeal_code: str = ""


class CallStage(Event, frozen=True):
    """A step of a call's way: the stages are the states of `engine.call.table`, and a few more."""

    call_id: CallId
    stage: str
    """"routed", "ringing", "warning", "accepted", "notice", "connected", "announcing", …"""
    detail: str = ""


class PopupSent(Event, frozen=True):
    """A popup was delivered, or delivery was given up; the call did not wait longer than the deadline."""

    call_id: CallId
    popup_id: str
    popup: str
    """Kind slug: risk_label, risk_warn, fraud_blocked."""
    called: Party
    calling: Party
    text: dict[str, str]
    """Language → text."""
    sip_result: str
    """Final status of the MESSAGE ("200"), "timeout", or "off"."""
    bus_result: str
    """"acknowledged", "dropped", "timeout", or "off"."""


class RecordingStarted(Event, frozen=True):
    call_id: CallId
    recording_id: RecordingId
    path: str
    left: Party
    right: Party


class RecordingClosed(Event, frozen=True):
    call_id: CallId
    recording_id: RecordingId
    path: str
    duration_ms: int
    size_bytes: int
    digest: str
    interrupted: bool = False
    languages: tuple[str, str] = ("en", "en")
    """Spoken language expected on left and right."""


class DissuasionEnded(Event, frozen=True):
    call_id: CallId
    case_id: CaseId
    outcome: str
    """From the closed list of engine.dissuasion."""
    script: str
    called: Party


class CallEnded(Event, frozen=True):
    call_id: CallId
    outcome: Outcome
    status: int = 0
    """Final SIP status towards the caller, 0 where there was none (answered calls: 200)."""
    answered: bool = False
    duration_ms: int = 0
    """From the caller's answer to the end."""


class KillSwitchChanged(Event, frozen=True):
    on: bool
    by: str
    reason: str
    expires: float | None = None


class TraceChanged(Event, frozen=True):
    """From now on messages of calls are kept, or no longer."""

    mode: str
    """"off", "headers", "full"."""
    by: str
    """Who turned it; empty: the configuration."""
    expires: float | None = None


class TrunkChanged(Event, frozen=True):
    """A target of a trunk answers again, or no longer does."""

    trunk: str
    target: str
    """transport:host:port"""
    up: bool
    reason: str
    """What was seen last: "answered", "timeout", "transport", or a status."""


class PolicyLoaded(Event, frozen=True):
    version: str
    error: str = ""
    """Why a changed policy was not taken, where it was not: the old one stays in force."""


class Alarm(Event, frozen=True):
    """Something a person must look at: media worker lost, disk full, events lost."""

    slug: str
    detail: str
    call_id: CallId | None = None


AnyEvent = (
    CallStarted
    | CallScreened
    | CallStage
    | PopupSent
    | RecordingStarted
    | RecordingClosed
    | DissuasionEnded
    | CallEnded
    | KillSwitchChanged
    | TraceChanged
    | TrunkChanged
    | PolicyLoaded
    | Alarm
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its id, time and tenant: one element of a journal batch."""

    id: EventId
    at: float
    """Wall clock, seconds since the epoch."""
    tenant: TenantId
    event: AnyEvent
