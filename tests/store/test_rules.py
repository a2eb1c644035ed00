"""Who is a victim, and who is called back: each row is a call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.store.entries import LeadRule
from engine.store.rules import lead_due_at, victim_of
from engine.store.types import utc

ENDED = utc(1_000.0)


def call(direction: str, action: str, answered: bool = True, ended: bool = True) -> dict[str, Any]:
    return {
        "direction": direction,
        "action": action,
        "calling_id": "caller",
        "called_id": "callee",
        "answered": answered,
        "ended_at": ENDED if ended else None,
    }


@pytest.mark.parametrize(
    ("direction", "action", "victim"),
    [
        ("inbound", "warn", "callee"),
        ("inbound", "label", "callee"),
        ("inbound", "allow", None),
        ("inbound", "reject", None),  # reached nobody
        ("inbound", "", None),  # not screened yet
        ("outbound", "warn", "caller"),
        ("outbound", "label", None),
        ("outbound", "allow", None),
        ("dissuasion", "warn", None),
        ("", "warn", None),  # its start is not known yet
    ],
)
def test_victim(direction: str, action: str, victim: str | None) -> None:
    assert victim_of(call(direction, action)) == victim


@pytest.mark.parametrize(
    ("row", "enabled", "due"),
    [
        (call("inbound", "warn"), True, True),
        (call("outbound", "warn"), True, True),
        (call("inbound", "warn"), False, False),
        (call("inbound", "warn", answered=False), True, False),  # heeded the warning
        (call("inbound", "warn", ended=False), True, False),  # still talking
        (call("inbound", "label"), True, False),
        (call("inbound", "reject"), True, False),
        (call("dissuasion", "warn"), True, False),
    ],
)
def test_call_back(row: dict[str, Any], enabled: bool, due: bool) -> None:
    expected = ENDED + timedelta(seconds=30) if due else None
    assert lead_due_at(row, LeadRule(enabled=enabled, delay_s=30.0)) == expected
