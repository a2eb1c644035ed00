"""Leads are claimed by one, called when due, and never lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.model.ids import CaseId, TenantId
from engine.store.store import Store
from engine.store.types import utc

if TYPE_CHECKING:
    from tests.store.conftest import Contents, Node

LAB = TenantId("lab")
CASE = CaseId("case-c1")
DUE = utc(1_700_000_000.0 + 65.0)
"""The call ends after 60 s, its victim is called back 5 s later."""


async def test_due_claimed_and_retried(store: Store, contents: Contents, node: Node) -> None:
    await store.ship(node.call("c1", action="warn"))
    assert await store.leads.leads_to_call(DUE - timedelta(seconds=1)) == []
    (lead,) = await store.leads.leads_to_call(DUE)
    assert lead.victim.number == "+8613800138000"
    assert (lead.tenant, lead.case_id, lead.call_id, lead.attempts) == (LAB, CASE, "c1", 0)

    claims = await asyncio.gather(*(store.leads.lead_started(LAB, CASE, DUE) for _ in range(5)))
    assert sorted(claims) == [False] * 4 + [True]
    assert await store.leads.leads_to_call(DUE) == []

    later = DUE + timedelta(minutes=5)
    await store.leads.lead_ended(LAB, CASE, "no_worker", retry_at=later)
    assert await store.leads.leads_to_call(DUE) == []
    (again,) = await store.leads.leads_to_call(later)
    assert (again.state, again.attempts, again.last_outcome) == ("queued", 1, "no_worker")
    assert await store.leads.lead_started(LAB, CASE, later)
    await store.leads.lead_ended(LAB, CASE, "no_route")
    assert await store.leads.leads_to_call(later + timedelta(days=1)) == []
    assert await store.leads.count_by_state() == {"done": 1}
    (done,) = (await contents.rows("lab"))["lead"]
    assert (done["state"], done["attempts"], done["last_outcome"]) == ("done", 2, "no_route")


async def test_what_was_not_claimed_cannot_end(store: Store, node: Node) -> None:
    await store.ship(node.call("c1", action="warn"))
    await store.leads.lead_ended(LAB, CASE, "no_worker")
    assert [lead.state for lead in await store.leads.leads_to_call(DUE)] == ["new"]
    assert not await store.leads.lead_started(LAB, CaseId("unknown"), DUE)
    assert not await store.leads.lead_started(TenantId("other"), CASE, DUE)
