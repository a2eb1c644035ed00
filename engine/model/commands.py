"""What others ask of an engine worker: JSON on `…/engine/{node}/{worker}/command`.

Every command has an id and a deadline; a worker carries an id out once and answers with an acknowledgement.
"""

from __future__ import annotations

import msgspec

from engine.model.ids import CallId, CaseId, CommandId, TenantId


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag=True):
    id: CommandId
    tenant: TenantId
    deadline: float
    """Wall clock, seconds since the epoch; later than this it is refused as `expired`."""


class PlaceDissuasionCall(Command, frozen=True, tag="place_dissuasion_call", kw_only=True):
    """Call a likely victim and connect the dissuasion agent on answer."""

    case_id: CaseId
    number: str
    """E.164 with plus, or as the subscriber dials it."""
    language: str
    script: str


class EndCall(Command, frozen=True, tag="end_call", kw_only=True):
    call_id: CallId
    reason: str


AnyCommand = PlaceDissuasionCall | EndCall


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    id: CommandId
    ok: bool
    error: str = ""
    """Slug: expired, duplicate, unknown_call, no_route, draining, invalid."""
    call_id: CallId | None = None
