"""What follows from a call for its victim: a case, and perhaps a call-back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from engine.store.entries import LeadRule

EPISODE_GAP: Final = timedelta(days=7)
"""A further warning within this time of the last belongs to the same episode."""


def victim_of(call: Mapping[str, Any]) -> str | None:
    """The number_id whose owner may be falling for a fraud, from a row of the table `call`.

    That is who was called by a number that was warned of or labelled, or who dialled one that was warned of.
    A rejected call reached nobody: a campaign of them must not open a case for each.
    """
    if call["direction"] == "inbound" and call["action"] in ("warn", "label"):
        victim: str | None = call["called_id"]
    elif call["direction"] == "outbound" and call["action"] == "warn":
        victim = call["calling_id"]
    else:
        victim = None
    return victim


def lead_due_at(call: Mapping[str, Any], rule: LeadRule) -> datetime | None:
    """When the victim of this call is to be called back; None when not at all, or not yet known.

    Only who was warned and then talked to the other side all the same: the call has ended and was answered.
    """
    if not rule.enabled or call["action"] != "warn" or victim_of(call) is None:
        return None
    ended_at: datetime | None = call["ended_at"]
    if ended_at is None or not call["answered"]:
        return None
    return ended_at + timedelta(seconds=rule.delay_s)
