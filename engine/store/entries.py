"""What the store gives out: frozen values, nothing tied to a connection.

Times are aware datetimes in UTC. A number whose clear form has been erased has `number` None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.model.ids import CallId, CaseId, CommandId, EventId, NumberId, RecordingId, TenantId
from engine.model.outcome import Outcome
from scoring.numbers import Action, Level, RiskRow, Source


@dataclass(frozen=True, slots=True)
class FiledNumber:
    """A number as it is filed: its keyed id, and its digits while they are known."""

    id: NumberId
    number: str | None


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One call. Empty text means "not known yet" or "none"."""

    tenant: TenantId
    call_id: CallId
    node: str
    direction: str
    trunk: str
    calling: FiledNumber | None
    called: FiledNumber | None
    started_at: datetime
    action: str
    rule: str
    reason: str
    level: str
    label: str
    policy_version: str
    table_version: int
    shadow_action: str
    appeal_code: str
    stage: str
    answered: bool
    ended_at: datetime | None
    outcome: Outcome | None
    status: int
    duration_ms: int
    case_id: CaseId | None
    recording_id: RecordingId | None


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One step of a call. `detail` is the event's own fields; numbers in it are ids."""

    id: EventId
    at: datetime
    kind: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PopupEntry:
    popup_id: str
    call_id: CallId
    at: datetime
    popup: str
    called: FiledNumber
    calling: FiledNumber
    text: Mapping[str, str]
    """Language → text."""
    sip_result: str
    bus_result: str


@dataclass(frozen=True, slots=True)
class DissuasionEntry:
    call_id: CallId
    case_id: CaseId
    called: FiledNumber
    at: datetime
    outcome: str
    script: str


@dataclass(frozen=True, slots=True)
class CallDetail:
    """A call with everything filed under it; timeline and popups by time."""

    call: CallEntry
    timeline: tuple[TimelineEvent, ...]
    popups: tuple[PopupEntry, ...]
    dissuasion: DissuasionEntry | None
    case_calls: tuple[CallEntry, ...]
    """The other calls of the same case, oldest first."""


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    recording_id: RecordingId
    call_id: CallId
    path: str
    left: FiledNumber | None
    right: FiledNumber | None
    started_at: datetime
    closed_at: datetime | None
    duration_ms: int
    size_bytes: int
    digest: str
    interrupted: bool
    languages: tuple[str, str]
    transcription: str
    """State of its job: new, leased, done, failed; "" where there is none."""
    error: str = ""
    """Why the transcription failed, where it did."""


@dataclass(frozen=True, slots=True)
class TranscriptionJob:
    """A recording to transcribe, leased to one worker until `lease_until`."""

    tenant: TenantId
    recording_id: RecordingId
    path: str
    languages: tuple[str, str]
    attempts: int
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class LeadEntry:
    """A likely victim to call back. `victim.number` is None when it was erased: then nobody can be called."""

    tenant: TenantId
    case_id: CaseId
    call_id: CallId
    victim: FiledNumber
    state: str
    created_at: datetime
    due_at: datetime
    attempts: int
    last_outcome: str
    command: CommandId | None = None
    """With which its call was asked for, where nobody knows whether that was heard."""
    called: bool = False
    """There is a dissuasion call of its case: nobody may call a second time."""


@dataclass(frozen=True, slots=True)
class RiskEntry:
    """One statement of the risk table with what stands behind it."""

    row: RiskRow
    number_id: NumberId
    evidence: str
    confirmed_by: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewRisk:
    """A statement to put into the risk table. `number` is canonical text, or a prefix ending in `*`."""

    number: str
    level: Level
    action: Action | None
    reason: str
    source: Source
    expires: datetime | None = None
    evidence: str = ""
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True)
class RiskChange:
    """One line of the audit; `before` and `after` are None where the row did not exist."""

    version: int
    row: int
    at: datetime
    by: str
    what: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RiskPage:
    entries: tuple[RiskEntry, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Why:
    """Everything the table says about one number, exact rows before prefixes, longest prefix first."""

    entries: tuple[RiskEntry, ...]
    changes: tuple[RiskChange, ...]
    """Newest first, including those of rows that are gone."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a bulk load did to the rows of its source."""

    added: int
    changed: int
    removed: int
    unchanged: int
    version: int
    """Of the table afterwards; the same as before when nothing changed."""


@dataclass(frozen=True, slots=True)
class Today:
    """Small figures; the definitions are in `CallRepository.today`."""

    calls: int = 0
    rejected: int = 0
    labelled: int = 0
    warned: int = 0
    dissuaded: int = 0


@dataclass(frozen=True, slots=True)
class LeadRule:
    """When a warned victim is called back. `delay_s` counts from the end of the warned call."""

    enabled: bool = False
    delay_s: float = 5.0
