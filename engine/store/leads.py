"""Who is to be called back. A lead is claimed before the call goes out, so that nobody is called twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, update

from engine.model.ids import CallId, CaseId, TenantId
from engine.store import tables as t
from engine.store.database import Database
from engine.store.entries import LeadEntry
from engine.store.numbers import present, with_numbers


class LeadRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def leads_to_call(self, now: datetime, limit: int = 20) -> list[LeadEntry]:
        """Leads of all tenants that are due, the longest due first."""
        lead = t.lead.c
        async with self._database.read() as connection:
            rows = await connection.execute(
                with_numbers(t.lead, None, "victim_id")
                .where(lead.state.in_(("new", "queued")), lead.due_at <= now)
                .order_by(lead.due_at, lead.case_id)
                .limit(limit)
            )
            return [_lead(row) for row in rows]

    async def lead_started(self, tenant: TenantId, case_id: CaseId, now: datetime) -> bool:
        """Claim a lead for a call. False: somebody else has, or it is done; then nobody may call."""
        lead = t.lead.c
        async with self._database.write() as connection:
            claimed = await connection.execute(
                update(t.lead)
                .where(lead.tenant_id == tenant, lead.case_id == case_id, lead.state.in_(("new", "queued")))
                .values(state="calling", called_at=now, attempts=lead.attempts + 1)
            )
            return claimed.rowcount == 1

    async def lead_ended(
        self, tenant: TenantId, case_id: CaseId, outcome: str, retry_at: datetime | None = None
    ) -> None:
        """The call of a claimed lead came to nothing that the journal tells of (no worker, no route).

        With `retry_at` the lead is queued again. Calls that were placed end their lead by themselves, through
        the events DissuasionEnded and CallEnded.
        """
        lead = t.lead.c
        values: dict[str, Any] = {"state": "done", "last_outcome": outcome}
        if retry_at is not None:
            values |= {"state": "queued", "due_at": retry_at}
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
    )
