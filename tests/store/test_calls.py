"""What people look at: lists, pages, search, the day's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.model.events import CallStarted, DissuasionEnded, PopupSent
from engine.model.ids import CallId, CaseId, TenantId
from engine.store.entries import Today
from engine.store.store import Store
from engine.store.types import utc

if TYPE_CHECKING:
    from tests.store.conftest import Node

LAB = TenantId("lab")


async def test_pages_hold_every_call_once(store: Store, node: Node) -> None:
    for n in range(7):
        await store.ship(node.call(f"c{n}", at=float(n // 3)))  # several begin at one instant
    seen: list[str] = []
    before: CallId | None = None
    while page := await store.calls.list_calls(LAB, limit=2, before=before):
        seen += [call.call_id for call in page]
        before = page[-1].call_id
    assert seen == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]
    assert await store.calls.list_calls(LAB, before=CallId("unknown")) == []


async def test_search(store: Store, node: Node) -> None:
    await store.ship(node.call("c1", 1.0, action="warn", calling="+8617012345678"))
    await store.ship(node.call("c2", 2.0, calling="110", called="+8613800138000"))
    await store.ship(node.call("c3", 3.0, action="reject", calling="+8617087654321"))

    async def found(**what: str) -> list[str]:
        return [call.call_id for call in await store.calls.list_calls(LAB, **what)]  # type: ignore[arg-type]

    assert await found(text="170 1234") == ["c1"]
    assert await found(text="+86170") == ["c3", "c1"]
    assert await found(text="138001") == ["c3", "c2", "c1"]
    assert await found(text="c2") == ["c2"]
    assert await found(text="case-c1") == ["c1"]
    assert await found(action="reject") == ["c3"]
    assert await found(action="reject", text="110") == []
    assert await found(text="%") == await found(text="1_0") == []
    assert await found(text="' OR 1=1 --") == []
    assert await found(text="  ") == ["c3", "c2", "c1"]


async def test_tenants_see_their_own(store: Store, make_node: type[Node]) -> None:
    for tenant in ("lab", "other"):
        await store.ship(make_node(tenant).call("c1", action="warn"))
    assert [call.tenant for call in await store.calls.list_calls(LAB)] == [LAB]
    assert await store.calls.get_call(TenantId("third"), CallId("c1")) is None
    assert (await store.calls.today(TenantId("third"), utc(0.0))) == Today()


async def test_popups_of_one_subscriber(store: Store, node: Node) -> None:
    for n, called in enumerate(["+8613800138000", "+8613900139000", "+8613800138000"]):
        records = node.call(f"c{n}", float(n), called=called)
        started = records[0].event
        assert isinstance(started, CallStarted)
        popup = PopupSent(
            call_id=CallId(f"c{n}"),
            popup_id=f"p{n}",
            popup="risk_label",
            called=started.called,
            calling=started.calling,
            text={"en": "careful"},
            sip_result="timeout",
            bus_result="off",
        )
        await store.ship([*records, node.record(float(n), popup)])
    everybody = await store.calls.list_popups(LAB)
    assert [popup.popup_id for popup in everybody] == ["p2", "p1", "p0"]
    one = await store.calls.list_popups(LAB, everybody[0].called.id)
    assert [popup.popup_id for popup in one] == ["p2", "p0"]
    assert [popup.popup_id for popup in await store.calls.list_popups(LAB, limit=1)] == ["p2"]


async def test_today(store: Store, node: Node) -> None:
    await store.ship(node.call("yesterday", -1.0, action="reject"))
    for n, action in enumerate(["allow", "reject", "reject", "label", "warn"]):
        await store.ship(node.call(f"c{n}", float(n), action=action))
    await store.ship(node.call("c9", 9.0, action="warn", direction="outbound", answered=False))
    since = (await store.calls.list_calls(LAB, text="c0"))[0].started_at
    assert await store.calls.today(LAB, since) == Today(
        calls=6, rejected=2, labelled=1, warned=2, dissuaded=0
    )
    for n, outcome in enumerate(["dissuaded", "refused"]):
        records = node.call(f"d{n}", 70.0, direction="dissuasion", action="", case_id="case-c4")
        started = records[0].event
        assert isinstance(started, CallStarted)
        ended = DissuasionEnded(
            call_id=CallId(f"d{n}"),
            case_id=CaseId("case-c4"),
            outcome=outcome,
            script="general",
            called=started.called,
        )
        await store.ship([*records, node.record(130.0, ended)])
    assert await store.calls.today(LAB, since) == Today(
        calls=6, rejected=2, labelled=1, warned=2, dissuaded=1
    )


async def test_times_need_a_zone(store: Store) -> None:
    with pytest.raises(Exception, match="no time zone"):
        await store.calls.today(LAB, utc(0.0).replace(tzinfo=None))
