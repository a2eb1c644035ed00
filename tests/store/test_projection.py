"""Journal records become rows, each once, in whatever order they come."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.model.events import (
    Alarm,
    CallStarted,
    DissuasionEnded,
    KillSwitchChanged,
    Party,
    PolicyLoaded,
    PopupSent,
    Record,
    RecordingClosed,
    RecordingStarted,
    TrunkChanged,
)
from engine.model.ids import CallId, CaseId, NumberId, RecordingId, TenantId
from engine.model.outcome import Blame, Outcome
from engine.store.store import Store
from engine.store.types import utc

if TYPE_CHECKING:
    from tests.store.conftest import Contents, Node

LAB = TenantId("lab")
DAY_S = 86_400.0
CALLING, CALLED = "+8617000000003", "+8613800138000"


def warned_call(node: Node, call_id: str = "c1") -> list[Record]:
    """A warned call with popup and recording, all its events."""
    records = node.call(call_id, action="warn")
    started = records[0].event
    assert isinstance(started, CallStarted)
    call, recording = CallId(call_id), RecordingId(f"r-{call_id}")
    records.insert(
        2,
        node.record(
            0.5,
            PopupSent(
                call_id=call,
                popup_id=f"p-{call_id}",
                popup="risk_warn",
                called=started.called,
                calling=started.calling,
                text={"en": f"A call from {CALLING}", "zh-CN": f"来自 {CALLING} 的来电"},
                sip_result="200",
                bus_result="acknowledged",
            ),
        ),
    )
    records.insert(
        -1,
        node.record(
            4.0,
            RecordingStarted(
                call_id=call,
                recording_id=recording,
                path="r.part",
                left=started.calling,
                right=started.called,
            ),
        ),
    )
    records.append(
        node.record(
            61.0,
            RecordingClosed(
                call_id=call,
                recording_id=recording,
                path="r.rwc",
                duration_ms=55_000,
                size_bytes=880_000,
                digest="ab" * 32,
                languages=("en", "zh-CN"),
            ),
        )
    )
    return records


async def test_a_whole_call(store: Store, node: Node) -> None:
    records = warned_call(node)
    assert await store.ship(records) == sorted(records, key=lambda record: record.id)
    detail = await store.calls.get_call(LAB, CallId("c1"))
    assert detail is not None
    call = detail.call
    assert call.calling is not None
    assert call.called is not None
    assert (call.calling.number, call.called.number) == (CALLING, CALLED)
    assert (call.direction, call.trunk, call.node) == ("inbound", "carrier", "node-1")
    assert (call.action, call.rule, call.reason, call.level) == ("warn", "table", "police_list", "red")
    assert (call.policy_version, call.table_version) == ("7", 3)
    assert (call.stage, call.answered, call.status, call.duration_ms) == ("connected", True, 200, 50_000)
    assert call.outcome == Outcome(Blame.CALLEE, "hung_up")
    assert call.started_at == utc(records[0].at)
    assert call.ended_at == utc(records[0].at + 60)
    assert (call.case_id, call.recording_id) == ("case-c1", "r-c1")
    assert [event.kind for event in detail.timeline] == [
        "call_started",
        "call_screened",
        "popup_sent",
        "call_stage",
        "call_stage",
        "call_stage",
        "recording_started",
        "call_ended",
        "recording_closed",
    ]
    (popup,) = detail.popups
    assert popup.text == {"en": f"A call from {CALLING}", "zh-CN": f"来自 {CALLING} 的来电"}
    assert (popup.sip_result, popup.bus_result) == ("200", "acknowledged")
    recording = await store.recordings.get_recording(LAB, RecordingId("r-c1"))
    assert recording is not None
    assert (recording.path, recording.duration_ms, recording.interrupted) == ("r.rwc", 55_000, False)
    assert recording.languages == ("en", "zh-CN")
    assert recording.transcription == "new"


async def test_shipping_twice_changes_nothing(store: Store, contents: Contents, node: Node) -> None:
    records = warned_call(node)
    await store.ship(records)
    before = await contents.rows("lab")
    assert await store.ship(records) == []
    assert await store.ship(records[3:6] + records[3:6]) == []
    assert await contents.rows("lab") == before
    assert [len(before[name]) for name in ("call", "case", "lead", "popup", "transcription_job")] == [1] * 5


async def test_order_and_batches_do_not_matter(
    store: Store, contents: Contents, make_node: type[Node]
) -> None:
    ids = ("calling_id", "called_id", "left_id", "right_id", "number_id", "victim_id", "detail")
    dice = random.Random(7)
    in_order = None
    for trial in range(12):
        tenant = f"tenant-{trial}"
        records = warned_call(make_node(tenant))
        if trial:
            records = records + dice.sample(records, 4)  # some come twice
            dice.shuffle(records)
        while records:
            count = dice.randint(1, 5)
            await store.ship(records[:count])
            records = records[count:]
        rows = await contents.rows(tenant, *ids)
        in_order = in_order or rows
        assert rows == in_order


async def test_what_is_known_is_told_before_the_end(store: Store, node: Node) -> None:
    records = node.call("c1", action="warn")
    for count, (stage, ended) in {2: ("", False), 4: ("ringing", False), 6: ("connected", True)}.items():
        await store.ship(records[:count])
        detail = await store.calls.get_call(LAB, CallId("c1"))
        assert detail is not None
        assert (detail.call.stage, detail.call.ended_at is not None) == (stage, ended)
        assert (detail.call.outcome is not None) == ended


async def test_a_failed_batch_leaves_nothing_behind(store: Store, contents: Contents, node: Node) -> None:
    records = node.call("c1")
    broken = msgspec.structs.replace(records[-1], tenant=None)
    with pytest.raises(Exception, match=r"tenant_id|NOT NULL|null"):
        await store.ship([*records[:-1], broken])
    assert not any((await contents.rows("lab")).values())
    assert len(await store.ship(records)) == len(records)


async def test_clear_numbers_only_where_they_can_be_erased(
    store: Store, contents: Contents, node: Node
) -> None:
    await store.ship(warned_call(node))
    rows = await contents.rows("lab")
    assert {row["number"] for row in rows.pop("number")} == {CALLING, CALLED}
    everything = json.dumps(rows, default=str, ensure_ascii=False)
    assert CALLING.removeprefix("+86") not in everything
    assert CALLED.removeprefix("+86") not in everything
    await contents.execute("DELETE FROM number")
    detail = await store.calls.get_call(LAB, CallId("c1"))
    assert detail is not None
    assert detail.call.calling is not None
    assert detail.call.calling.number is None
    assert detail.popups[0].text["en"] == "A call from ?"


@pytest.mark.parametrize(
    ("direction", "action", "victim"),
    [
        ("inbound", "warn", CALLED),
        ("inbound", "label", CALLED),
        ("outbound", "warn", CALLING),
        ("inbound", "reject", None),
        ("inbound", "allow", None),
    ],
)
async def test_whose_case(
    store: Store, contents: Contents, node: Node, direction: str, action: str, victim: str | None
) -> None:
    await store.ship(node.call("c1", direction=direction, action=action))
    rows = await contents.rows("lab")
    numbers = {row["number_id"]: row["number"] for row in rows["number"]}
    assert [numbers[row["victim_id"]] for row in rows["case"]] == ([] if victim is None else [victim])


async def test_an_episode_ends_after_seven_quiet_days(store: Store, contents: Contents, node: Node) -> None:
    for number, day in enumerate((0.0, 6.0, 12.0, 20.0)):
        await store.ship(node.call(f"c{number}", day * DAY_S, action="label"))
    await store.ship(node.call("c9", 20 * DAY_S, action="label", called="+8613900139000"))
    cases = {row["call_id"]: row["case_id"] for row in (await contents.rows("lab"))["call"]}
    assert cases == {"c0": "case-c0", "c1": "case-c0", "c2": "case-c0", "c3": "case-c3", "c9": "case-c9"}
    detail = await store.calls.get_call(LAB, CallId("c1"))
    assert detail is not None
    assert [call.call_id for call in detail.case_calls] == ["c0", "c2"]


async def test_a_closed_case_is_not_reopened(store: Store, contents: Contents, node: Node) -> None:
    await store.ship(node.call("c0", action="label"))
    await contents.execute("""UPDATE "case" SET state = 'closed'""")
    await store.ship(node.call("c1", DAY_S, action="label"))
    cases = {row["call_id"]: row["case_id"] for row in (await contents.rows("lab"))["call"]}
    assert cases == {"c0": "case-c0", "c1": "case-c1"}


async def test_one_lead_per_case_for_who_talked_on(store: Store, contents: Contents, node: Node) -> None:
    await store.ship(node.call("c0", action="warn", answered=False))
    assert (await contents.rows("lab"))["lead"] == []
    await store.ship(node.call("c1", 100.0, action="warn"))
    await store.ship(node.call("c2", 200.0, action="warn"))
    (lead,) = (await contents.rows("lab"))["lead"]
    assert (lead["case_id"], lead["call_id"], lead["state"]) == ("case-c0", "c1", "new")
    assert (lead["due_at"] - lead["created_at"]).total_seconds() == 5.0


async def test_no_lead_unless_dissuasion_is_on(url: str, make_node: type[Node]) -> None:
    async with await Store.open(url, file_number=lambda tenant, text: NumberId(text)) as store:
        await store.ship(make_node().call("c1", action="warn"))
        assert len(await store.calls.list_calls(LAB)) == 1
        assert await store.leads.leads_to_call(utc(2e9)) == []


@pytest.mark.parametrize("outcome", ["dissuaded", None])
@pytest.mark.parametrize("ended_first", [True, False])
async def test_a_dissuasion_call_ends_its_lead(
    store: Store, contents: Contents, node: Node, outcome: str | None, ended_first: bool
) -> None:
    await store.ship(node.call("c1", action="warn"))
    case = CaseId("case-c1")
    assert await store.leads.lead_started(LAB, case, utc(0.0))
    records = node.call(
        "d1", 70.0, direction="dissuasion", action="", case_id=case, answered=outcome is not None
    )
    if outcome is not None:
        started = records[0].event
        assert isinstance(started, CallStarted)
        ended = DissuasionEnded(
            call_id=CallId("d1"), case_id=case, outcome=outcome, script="general", called=started.called
        )
        records.insert(len(records) if ended_first else -1, node.record(129.0, ended))
    for record in records:
        await store.ship([record])
    (lead,) = (await contents.rows("lab"))["lead"]
    assert (lead["state"], lead["last_outcome"]) == ("done", outcome or "not_reached")
    detail = await store.calls.get_call(LAB, CallId("d1"))
    assert detail is not None
    assert detail.call.case_id == case
    assert (detail.dissuasion.outcome if detail.dissuasion else None) == outcome


async def test_calls_end_with_the_process_they_lived_in(
    store: Store, contents: Contents, make_node: type[Node]
) -> None:
    first = make_node(boot=1)
    await store.ship(first.call("c1", action="warn"))
    assert await store.leads.lead_started(LAB, CaseId("case-c1"), utc(0.0))
    living = first.call("c2")[:-1] + first.call("d1", 70.0, direction="dissuasion", case_id="case-c1")[:-1]
    elsewhere = make_node(name="node-2").call("c3")[:-1]
    await store.ship(living + elsewhere)
    await store.ship(first.call("c4"))  # the same boot: it lives
    assert [call.call_id for call in await store.calls.list_calls(LAB) if call.ended_at is None] == [
        "d1",
        "c3",
        "c2",
    ]
    second = make_node(boot=2)
    loaded = second.record(500.0, PolicyLoaded(version="1"))
    dying = first.call("c5")[:-1]
    await store.ship([*dying, loaded])
    calls = {call.call_id: call for call in await store.calls.list_calls(LAB)}
    for call_id in ("c2", "c5", "d1"):
        assert calls[CallId(call_id)].ended_at == utc(loaded.at)
        assert calls[CallId(call_id)].outcome == Outcome(Blame.ENGINE, "internal")
    assert calls[CallId("c1")].outcome == Outcome(Blame.CALLEE, "hung_up")
    assert calls[CallId("c3")].ended_at is None
    (lead,) = (await contents.rows("lab"))["lead"]
    assert (lead["state"], lead["last_outcome"]) == ("done", "not_reached")


async def test_an_alarm_is_filed_but_makes_no_call(store: Store, contents: Contents, node: Node) -> None:
    await store.ship(
        [
            node.record(0.0, Alarm(slug="media_lost", detail="w1", call_id=CallId("elsewhere"))),
            node.record(1.0, KillSwitchChanged(on=True, by="supervisor", reason="test")),
        ]
    )
    rows = await contents.rows("lab")
    assert [row["kind"] for row in rows["journal_event"]] == ["alarm", "kill_switch_changed"]
    assert rows["call"] == []


async def test_text_no_database_takes(store: Store, node: Node) -> None:
    records = node.call("c1")
    started = records[0].event
    odd = msgspec.structs.replace(
        started, sip_call_id="a\0b" + "x" * 5_000, called=Party("\0", NumberId("n"))
    )
    await store.ship([msgspec.structs.replace(records[0], event=odd), *records[1:]])
    detail = await store.calls.get_call(LAB, CallId("c1"))
    assert detail is not None
    assert detail.call.called is not None
    assert detail.call.called.number == "\N{REPLACEMENT CHARACTER}"


async def test_a_large_batch(store: Store, node: Node) -> None:
    records = [record for n in range(300) for record in node.call(f"c{n}", float(n))]
    assert len(await store.ship(records)) == len(records)
    assert len(await store.calls.list_calls(LAB, limit=1_000)) == 300
    assert await store.ship(records) == []


async def test_a_trunk_that_changed_is_an_event_of_no_call(
    store: Store, contents: Contents, node: Node
) -> None:
    changed = TrunkChanged(trunk="carrier", target="udp:192.0.2.1:5060", up=False, reason="timeout")
    await store.ship([node.record(0, changed)])
    rows = await contents.rows(LAB)
    assert rows["call"] == []
    (row,) = rows["journal_event"]
    assert (row["kind"], row["call_id"]) == ("trunk_changed", None)
    assert row["detail"] == {
        "trunk": "carrier",
        "target": "udp:192.0.2.1:5060",
        "up": False,
        "reason": "timeout",
    }
