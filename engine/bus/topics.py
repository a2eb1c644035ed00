"""The topics: one table of what is said where, by whom, to whom and in which form.

The bus only notifies: whoever missed a message catches up from the store. A topic never contains a
telephone number; payloads are JSON, their schemas are in README.md, which `engine.bus.reference` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from engine.model.commands import Acknowledgement, AnyCommand
from engine.model.events import CallScreened, CallStage, Record
from engine.model.ids import CallId, EventId, TenantId

PREFIX: Final = "ringward/v1"

_LEVEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{3,15}", re.ASCII)
"""What could be a telephone number in place of an id."""
_VARIABLE: Final = re.compile(r"\{(\w+)\}")


class CallNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A committed event of a call, without numbers."""

    id: EventId
    at: float
    """Wall clock, seconds since the epoch."""
    call_id: CallId
    kind: str
    """Of the event, as in the journal: call_started, call_screened, …"""
    action: str = ""
    """Of the verdict, where this is one."""
    stage: str = ""
    """Where this is a step of the call's way."""


class PopupNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What the called party's handset shows now. Sent before the phone rings."""

    popup_id: str
    call_id: CallId
    at: float
    popup: str
    """risk_label, risk_warn, fraud_blocked."""
    calling: str
    """The caller's number as it is shown to the callee."""
    text: dict[str, str]
    """Language → text."""


class AlarmNotice(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person must look at."""

    node: str
    at: float
    slug: str
    detail: str
    call_id: CallId | None = None


class JournalNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A node's journal has new rows: its shipper may wake up."""

    node: str
    last: EventId
    """The newest event committed."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of topic: `path` below the prefix and the tenant, with its variable levels in braces."""

    path: str
    payload: Any
    """The msgspec type, or union, of the JSON."""
    sender: str
    receiver: str
    meaning: str

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the variable levels."""
        return tuple(re.findall(_VARIABLE, self.path))

    def name(self, tenant: TenantId, **levels: str) -> str:
        """The one topic of these levels. Raises ValueError for a level missing, unknown, or not allowed."""
        if set(levels) != set(self.levels):
            raise ValueError(f"{self.path}: levels {sorted(levels)} given")
        return self.filter(tenant, **levels)

    def filter(self, tenant: TenantId, **levels: str) -> str:
        """The subscription to these levels; those not named may be anything. Raises ValueError."""
        for level, value in (("tenant", tenant), *levels.items()):
            number = level.endswith("_id") and _NUMBER.fullmatch(value) is not None
            if number or _LEVEL.fullmatch(value) is None:
                raise ValueError(f"{self.path}: {value!r} may not stand for {level}")
        return f"{PREFIX}/{tenant}/" + re.sub(_VARIABLE, lambda match: levels.get(match[1], "+"), self.path)


CALLS: Final = Topic(
    "calls/{call_id}", CallNotice, "engine", "console", "a call began, took a step, or ended"
)
POPUPS: Final = Topic(
    "popups/{number_id}", PopupNotice, "engine", "handsets, console", "a popup for one subscriber"
)
COMMANDS: Final = Topic(
    "engine/{node}/{worker}/command", AnyCommand, "centre", "that engine worker", "do this once, or refuse it"
)
ACKNOWLEDGEMENTS: Final = Topic(
    "engine/{node}/{worker}/acknowledgement",
    Acknowledgement,
    "engine worker",
    "centre",
    "what became of a command",
)
ALARMS: Final = Topic("alarms", AlarmNotice, "any process", "console", "a person must look at this")
JOURNAL: Final = Topic("journal/{node}", JournalNotice, "engine", "shipper", "there are new rows to ship")

TOPICS: Final = (CALLS, POPUPS, COMMANDS, ACKNOWLEDGEMENTS, ALARMS, JOURNAL)


def call_notice(record: Record) -> CallNotice | None:
    """What is told on CALLS of a committed record; None for what is not a step of a call."""
    event = record.event
    call_id: CallId | None = getattr(event, "call_id", None)
    if call_id is None:
        return None
    return CallNotice(
        id=record.id,
        at=record.at,
        call_id=call_id,
        kind=str(event.__struct_config__.tag),
        action=event.action if isinstance(event, CallScreened) else "",
        stage=event.stage if isinstance(event, CallStage) else "",
    )
