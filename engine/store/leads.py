"""Who is to be called back. A lead is claimed before the call goes out, so that nobody is called twice.

A claim is for a time: whoever claimed and died leaves the lead to the next, with the id of the command that
was sent, or was about to be. Asked again under that id, a worker that has heard it before places no second
call; and where the store knows a call of the case, nobody asks at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, exists, func, select, update

from engine.model.ids import CallId, CaseId, CommandId, TenantId
from engine.store import tables as t
from engine.store.database import Database
from engine.store.entries import LeadEntry
from engine.store.numbers import present, with_numbers

LEASE: Final = timedelta(minutes=1)
"""Longer than a worker's answer is waited for, and than a call takes from the journal to the store."""
CALL_LEASE: Final = timedelta(hours=3)
"""A call that was placed ends its lead by its events; where they never come, it is over by then."""
_WAITING: Final = ("new", "queued")


class LeadRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def leads_to_call(self, now: datetime, limit: int = 20) -> list[LeadEntry]:
        """Leads of all tenants that are due, the longest due first."""
        lead = t.lead.c
        return await self._leads(lead.state.in_(_WAITING) & (lead.due_at <= now), limit)

    async def leads_left(self, now: datetime, limit: int = 20) -> list[LeadEntry]:
        """Leads whose claim has run out with nothing told of their call."""
        lead = t.lead.c
        return await self._leads((lead.state == "calling") & (lead.lease_until <= now), limit)

    async def _leads(self, which: ColumnElement[bool], limit: int) -> list[LeadEntry]:
        lead, call = t.lead.c, t.call.c
        called = exists().where(
            call.tenant_id == lead.tenant_id, call.case_id == lead.case_id, call.direction == "dissuasion"
        )
        async with self._database.read() as connection:
            rows = await connection.execute(
                with_numbers(t.lead, None, "victim_id")
                .add_columns(called.label("called"))
                .where(which)
                .order_by(lead.due_at, lead.case_id)
                .limit(limit)
            )
            return [_lead(row) for row in rows]

    async def count_by_state(self) -> dict[str, int]:
        """Leads of all tenants."""
        state = t.lead.c.state
        async with self._database.read() as connection:
            rows = await connection.execute(select(state, func.count()).group_by(state))
            return {row[0]: row[1] for row in rows}

    async def lead_started(
        self, tenant: TenantId, case_id: CaseId, now: datetime, command: CommandId | None = None
    ) -> bool:
        """Claim a lead for a call. False: somebody else has, or it is done; then nobody may call."""
        lead = t.lead.c
        async with self._database.write() as connection:
            claimed = await connection.execute(
                update(t.lead)
                .where(lead.tenant_id == tenant, lead.case_id == case_id, lead.state.in_(_WAITING))
                .values(
                    state="calling",
                    called_at=now,
                    attempts=lead.attempts + 1,
                    command_id=command or "",
                    lease_until=now + LEASE,
                )
            )
            return claimed.rowcount == 1

    async def lead_taken_over(self, tenant: TenantId, case_id: CaseId, now: datetime) -> bool:
        """Claim a lead that was left; its command stays. False: somebody else has, or it has ended."""
        lead = t.lead.c
        async with self._database.write() as connection:
            claimed = await connection.execute(
                update(t.lead)
                .where(
                    lead.tenant_id == tenant,
                    lead.case_id == case_id,
                    lead.state == "calling",
                    lead.lease_until <= now,
                )
                .values(lease_until=now + LEASE)
            )
            return claimed.rowcount == 1

    async def lead_placed(self, tenant: TenantId, case_id: CaseId, now: datetime) -> None:
        """A worker has begun the call; its events end the lead."""
        await self._change(tenant, case_id, {"command_id": "", "lease_until": now + CALL_LEASE})

    async def lead_ended(
        self,
        tenant: TenantId,
        case_id: CaseId,
        outcome: str,
        retry_at: datetime | None = None,
        *,
        unanswered: bool = False,
    ) -> None:
        """The call of a claimed lead came to nothing that the journal tells of (no worker, no route).

        With `retry_at` the lead is queued again; where its command is `unanswered` it is to be asked for
        under the same id. Calls that were placed end their lead by themselves, through the events
        DissuasionEnded and CallEnded.
        """
        values: dict[str, Any] = {"state": "done", "last_outcome": outcome, "lease_until": None}
        if retry_at is not None:
            values |= {"state": "queued", "due_at": retry_at}
        if retry_at is None or not unanswered:
            values["command_id"] = ""
        await self._change(tenant, case_id, values)

    async def _change(self, tenant: TenantId, case_id: CaseId, values: dict[str, Any]) -> None:
        lead = t.lead.c
        async with self._database.write() as connection:
            await connection.execute(
                update(t.lead)
                .where(lead.tenant_id == tenant, lead.case_id == case_id, lead.state == "calling")
                .values(values)
            )


def _lead(row: Row[Any]) -> LeadEntry:
    return LeadEntry(
        tenant=TenantId(row.tenant_id),
        case_id=CaseId(row.case_id),
        call_id=CallId(row.call_id),
        victim=present(row, "victim_id"),
        state=row.state,
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        last_outcome=row.last_outcome,
        command=CommandId(row.command_id) if row.command_id else None,
        called=row.called,
    )
