"""Leads are claimed by one, called when due, and never lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.model.ids import CaseId, TenantId
from engine.store.store import Store

if TYPE_CHECKING:
    from tests.store.conftest import Node

LAB = TenantId("lab")


async def test_due_claimed_and_retried(store: Store, node: Node) -> None:
    await store.ship(node.call("c1", action="warn"))
    (lead,) = await store.leads.list_leads(LAB)
    now = lead.due_at
    assert await store.leads.leads_to_call(now - timedelta(seconds=1)) == []
    assert await store.leads.leads_to_call(now) == [lead]
    assert lead.victim.number == "+8613800138000"
    assert (lead.tenant, lead.case_id, lead.call_id, lead.attempts) == (LAB, "case-c1", "c1", 0)

    claims = await asyncio.gather(*(store.leads.lead_started(LAB, lead.case_id, now) for _ in range(5)))
    assert sorted(claims) == [False] * 4 + [True]
    assert await store.leads.leads_to_call(now) == []

    later = now + timedelta(minutes=5)
    await store.leads.lead_ended(LAB, lead.case_id, "no_worker", retry_at=later)
    assert await store.leads.leads_to_call(now) == []
    (again,) = await store.leads.leads_to_call(later)
    assert (again.state, again.attempts, again.last_outcome) == ("queued", 1, "no_worker")
    assert await store.leads.lead_started(LAB, lead.case_id, later)
    await store.leads.lead_ended(LAB, lead.case_id, "no_route")
    assert await store.leads.leads_to_call(later + timedelta(days=1)) == []
    (done,) = await store.leads.list_leads(LAB)
    assert (done.state, done.attempts, done.last_outcome) == ("done", 2, "no_route")


async def test_what_was_not_claimed_cannot_end(store: Store, node: Node) -> None:
    await store.ship(node.call("c1", action="warn"))
    await store.leads.lead_ended(LAB, CaseId("case-c1"), "no_worker")
    assert [lead.state for lead in await store.leads.list_leads(LAB)] == ["new"]
    assert not await store.leads.lead_started(LAB, CaseId("unknown"), (await _lead(store)).due_at)
    assert not await store.leads.lead_started(
        TenantId("other"), CaseId("case-c1"), (await _lead(store)).due_at
    )


async def _lead(store: Store):  # type: ignore[no-untyped-def]
    return (await store.leads.list_leads(LAB))[0]
