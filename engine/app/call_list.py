"""The latest calls, straight from the journals: there without a console, and with its store down."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.journal import JournalDamaged, JournalReader
from engine.model.events import CallEnded, CallScreened, CallStarted, Record
from engine.model.ids import CallId

_STEP: Final = 200
"""Rows of a journal looked at together, from its end backwards."""


@dataclass(slots=True)
class ListedCall:
    """What is known of a call; the fields of events that are not in the journal yet are empty."""

    call_id: CallId
    node: str
    at: float = 0.0
    """Seconds since the epoch of its beginning."""
    direction: str = ""
    calling: str = ""
    called: str = ""
    action: str = ""
    outcome: str = ""
    status: int = 0


def latest_calls(folder: Path, limit: int) -> tuple[list[ListedCall], list[str]]:
    """The newest calls of all journals below `folder`, newest first, and what could not be read."""
    calls: list[ListedCall] = []
    problems: list[str] = []
    for path in sorted(folder.glob("journal-*.sqlite")):
        try:
            reader = JournalReader(path)
            try:
                calls += _of_journal(reader, limit)
            finally:
                reader.close()
        except (OSError, sqlite3.Error, JournalDamaged) as error:
            problems.append(str(error))
    calls.sort(key=lambda call: call.at, reverse=True)
    return calls[:limit], problems


def find_call(folder: Path, call_id: CallId) -> bool:
    """Whether some journal of this data folder knows the call."""
    calls, _ = latest_calls(folder, 1_000_000)
    return any(call.call_id == call_id for call in calls)


def _of_journal(reader: JournalReader, limit: int) -> list[ListedCall]:
    found: dict[CallId, ListedCall] = {}
    begun = 0
    end = reader.newest()
    while end > 0 and begun < limit:
        start = max(0, end - _STEP)
        for row, records in reversed(reader.after(start, _STEP)):
            if row <= end:
                begun += sum(_take(found, reader.node, record) for record in reversed(records))
        end = start
    return [call for call in found.values() if call.at]


def _take(found: dict[CallId, ListedCall], node: str, record: Record) -> bool:
    """Note what a record says; True for the beginning of a call."""
    event = record.event
    if not isinstance(event, CallStarted | CallScreened | CallEnded):
        return False
    call = found.setdefault(event.call_id, ListedCall(event.call_id, node))
    match event:
        case CallStarted():
            call.at, call.direction = record.at, event.direction
            call.calling, call.called = event.calling.number, event.called.number
            return True
        case CallScreened():
            call.action = event.action
        case CallEnded():
            call.outcome, call.status = str(event.outcome), event.status
    return False
