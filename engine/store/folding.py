"""How events become columns: pure functions from a row and an event to the changed row.

A row gathers what its events say in whatever order they come, so that a batch that arrives late or twice
leaves the same row behind.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from engine.model.events import (
    AnyEvent,
    CallEnded,
    CallScreened,
    CallStage,
    CallStarted,
    Party,
    PopupSent,
    Record,
    RecordingClosed,
    RecordingStarted,
)
from engine.model.ids import RecordingId, TenantId
from engine.store.types import utc

Row = dict[str, Any]


def empty_call(record: Record, call_id: str) -> Row:
    """The row of a call of which nothing but this event is known."""
    return {
        "tenant_id": record.tenant,
        "call_id": call_id,
        "node": record.id.node,
        "boot": record.id.boot,
        "direction": "",
        "trunk": "",
        "calling_id": None,
        "called_id": None,
        "sip_call_id": "",
        "started_at": utc(record.at),
        "action": "",
        "rule": "",
        "reason": "",
        "level": "",
        "label": "",
        "policy_version": "",
        "table_version": 0,
        "shadow_action": "",
        "appeal_code": "",
        "stage": "",
        "stage_at": None,
        "answered": False,
        "ended_at": None,
        "blame": "",
        "outcome": "",
        "status": 0,
        "duration_ms": 0,
        "case_id": None,
        "recording_id": None,
    }


def fold_call(row: Row, record: Record) -> None:
    """Take one event of the call into its row."""
    at = utc(record.at)
    match record.event:
        case CallStarted() as e:
            row |= {
                "node": record.id.node,
                "boot": record.id.boot,
                "direction": e.direction,
                "trunk": e.trunk,
                "calling_id": e.calling.id,
                "called_id": e.called.id,
                "sip_call_id": e.sip_call_id,
                "started_at": at,
                "case_id": e.case_id or row["case_id"],
            }
        case CallScreened() as e:
            row |= {
                "action": e.action,
                "rule": e.rule,
                "reason": e.reason,
                "level": e.level,
                "label": e.label,
                "policy_version": e.policy_version,
                "table_version": e.table_version,
                "shadow_action": e.shadow_action,
                "appeal_code": e.appeal_code,
            }
        case CallStage() as e:
            if row["stage_at"] is None or at >= row["stage_at"]:
                row |= {"stage": e.stage, "stage_at": at}
        case RecordingStarted() | RecordingClosed() as e:
            row["recording_id"] = e.recording_id
        case CallEnded() as e:
            row |= {
                "answered": e.answered,
                "ended_at": at,
                "blame": e.outcome.blame.value,
                "outcome": e.outcome.reason,
                "status": e.status,
                "duration_ms": e.duration_ms,
            }
        case _:
            pass


def fold_recording(row: Row | None, record: Record, event: RecordingStarted | RecordingClosed) -> Row:
    """Take a recording's start or end into its row; None where there is no row yet."""
    at = utc(record.at)
    if row is None:
        row = {
            "tenant_id": record.tenant,
            "recording_id": event.recording_id,
            "call_id": event.call_id,
            "path": event.path,
            "left_id": None,
            "right_id": None,
            "started_at": at,
            "closed_at": None,
            "duration_ms": 0,
            "size_bytes": 0,
            "digest": "",
            "interrupted": False,
            "left_language": "",
            "right_language": "",
        }
    match event:
        case RecordingStarted() as e:
            row |= {"left_id": e.left.id, "right_id": e.right.id, "started_at": at}
        case RecordingClosed() as e:
            row |= {
                "path": e.path,
                "closed_at": at,
                "duration_ms": e.duration_ms,
                "size_bytes": e.size_bytes,
                "digest": e.digest,
                "interrupted": e.interrupted,
                "left_language": e.languages[0],
                "right_language": e.languages[1],
            }
    return row


def new_job(tenant: TenantId, recording_id: RecordingId, at: datetime) -> Row:
    """A transcription to be made from `at` on."""
    return {
        "tenant_id": tenant,
        "recording_id": recording_id,
        "state": "new",
        "created_at": at,
        "due_at": at,
        "attempts": 0,
        "error": "",
    }


def popup_row(record: Record, event: PopupSent) -> Row:
    return {
        "tenant_id": record.tenant,
        "popup_id": event.popup_id,
        "call_id": event.call_id,
        "at": utc(record.at),
        "popup": event.popup,
        "called_id": event.called.id,
        "calling_id": event.calling.id,
        "text": {language: _without_numbers(text, event) for language, text in event.text.items()},
        "sip_result": event.sip_result,
        "bus_result": event.bus_result,
    }


def _without_numbers(text: str, event: PopupSent) -> str:
    for party, name in ((event.calling, "{calling}"), (event.called, "{called}")):
        if party.number:
            text = text.replace(party.number, name)
    return text


def filled_in(text: str, calling: str | None, called: str | None) -> str:
    """The popup's text as it was sent; `?` for a number that has been erased."""
    return text.replace("{calling}", calling or "?").replace("{called}", called or "?")


def parties(event: AnyEvent) -> list[Party]:
    """The numbers an event names."""
    return [
        value
        for value in (getattr(event, name) for name in event.__struct_fields__)
        if isinstance(value, Party)
    ]


def detail(event: AnyEvent) -> dict[str, Any]:
    """The event for the timeline, without clear numbers: parties by id, the caller's display name left out
    (it often is a number), a popup by its id (its text is in the table `popup`)."""
    named = {p.number for p in parties(event)}
    tree: dict[str, Any] = msgspec.to_builtins(event)
    for key, value in tree.items():
        if isinstance(value, dict) and value.get("number") in named:
            tree[key] = value["id"]
    for key in ("kind", "call_id", "display", "text"):
        tree.pop(key, None)
    return tree
