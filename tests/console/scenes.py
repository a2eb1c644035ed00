"""What the small world is filled with: a call of each kind, a risk table, popups, a recording."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engine.model.outcome import Blame
from tests.console.seed import ALICE, BOB, CLEAN, LABELLED, OTHER, RED, WARNED, World

HUNG_UP = {"outcome": "hung_up"}
YELLOW = {"level": "yellow"}
EMERGENCY = {"rule": "emergency", "reason": "emergency", "level": "red", "direction": "outbound"}
DIALLED = {
    "rule": "dialled-red",
    "direction": "outbound",
    "stages": ("announcing",),
    "outcome": "dial_warning_heeded",
    "status": 487,
}
SPOOFED = {
    "rule": "spoofed-official",
    "reason": "spoofed",
    "stages": ("routed", "ringing"),
    "outcome": "no_answer",
    "lasted_s": 30,
    "status": 480,
}
WARNED_THROUGH = {
    "stages": ("routed", "ringing", "warning", "accepted", "notice", "connected"),
    "lasted_s": 18.3,
}
BLOCKED = {"outcome": "rejected", "blame": Blame.POLICY, "status": 608}
REFUSED = {"stages": ("routed", "ringing", "warning"), "outcome": "warning_refused", "status": 603}


async def fill(world: World) -> None:
    """The demo scenario's calls and more, a risk table, popups, and a transcribed recording."""
    await fill_table(world)
    through = ("routed", "ringing", "connected")
    reported, short = {"reason": "reported_by_subscribers"}, {"reason": "many_short_calls"}
    police = {"reason": "police_list", "level": "red"}
    clean = {"rule": "no_rule"}
    by_callee = {"blame": Blame.CALLEE}
    calls: tuple[tuple[str, str, str, str, float, dict[str, Any]], ...] = (
        ("c-clean", CLEAN, ALICE, "allow", 1900, clean | {"stages": through, "lasted_s": 184} | HUNG_UP),
        ("c-110", RED, "110", "allow", 1620, EMERGENCY | {"stages": through, "lasted_s": 51} | HUNG_UP),
        ("c-busy", OTHER, BOB, "allow", 1500, clean | by_callee | {"outcome": "busy", "status": 486}),
        (
            "c-label",
            LABELLED,
            ALICE,
            "label",
            960,
            short | YELLOW | by_callee | {"stages": through} | HUNG_UP,
        ),
        ("c-dial", BOB, RED, "warn", 840, police | DIALLED),
        ("c-spoof", "110", BOB, "label", 700, SPOOFED | by_callee),
        ("c-warn", WARNED, ALICE, "warn", 310, reported | YELLOW | by_callee | WARNED_THROUGH | HUNG_UP),
        ("c-red", RED, ALICE, "reject", 120, police | BLOCKED),
        ("c-refused", WARNED, BOB, "warn", 70, reported | YELLOW | by_callee | REFUSED),
        ("c-talk", CLEAN, BOB, "allow", 41, clean | {"stages": through}),
        ("c-ring", LABELLED, BOB, "label", 6, short | YELLOW | {"stages": through[:2]}),
    )
    for call_id, calling, called, action, ago_s, more in calls:
        await world.call(call_id, calling, called, action, ago_s=ago_s, **more)
    for popup_id, call_id, kind, calling, called, ago in (
        ("p1", "c-label", "risk_label", LABELLED, ALICE, 960),
        ("p2", "c-warn", "risk_warn", WARNED, ALICE, 310),
        ("p3", "c-red", "fraud_blocked", RED, ALICE, 120),
        ("p4", "c-refused", "risk_warn", WARNED, BOB, 70),
        ("p5", "c-ring", "risk_label", LABELLED, BOB, 6),
    ):
        at = world.clock() - timedelta(seconds=ago - 0.004)
        await world.tell(at, world.popup(popup_id, call_id, kind, calling, called))
    await world.record("r-warn", "c-warn", WARNED, ALICE)
    await world.transcribe("r-warn")


async def fill_table(world: World) -> None:
    later = world.clock() + timedelta(days=30)
    await world.risk(RED, "red", "reject", "police_list", source="police", evidence="Notice 2026-118")
    await world.risk(LABELLED, "yellow", "label", "many_short_calls", source="model", expires=later)
    await world.risk(WARNED, "yellow", "warn", "reported_by_subscribers", expires=later,
                     evidence="14 reports in 3 days, last by a subscriber in Chengdu")  # fmt: skip
    await world.risk("+8617012*", "yellow", "", "many_short_calls", source="operator", expires=later)
    await world.risk("+861012345678", "green", "allow", "operator_allow", source="operator")
    for n in range(60):
        level = "red" if n % 3 else "yellow"
        await world.risk(f"+86170555{n:05}", level, "", "reported_fraud", expires=later)
