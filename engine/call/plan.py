"""What a verdict asks of a call: announcement, warning, recording, agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.call.values import Decision
from engine.model.screening import Action


@dataclass(frozen=True, slots=True)
class Plan:
    """What the verdict asks for, in the words of the table."""

    announce: str = ""
    """Announcement to the caller in early media, before anything else."""
    reject: bool = False
    """… and then 608."""
    warn: bool = False
    record: bool = False
    agent: bool = False
    anchor: bool = False
    """Media goes through us though nothing else asks for it."""

    @property
    def anchored(self) -> bool:
        return bool(self.announce) or self.warn or self.record or self.agent or self.anchor


PLAIN: Final = Plan()
"""Connect, and nothing else."""


def plan_for(decision: Decision, *, outbound: bool, has_offer: bool, anchor: bool = False) -> Plan:
    """The plan of a screened call. Early media needs the caller's offer in the INVITE."""
    if decision.protected:  # never warned, never recorded; so it never waits for media either
        return PLAIN
    early_media = decision.announcement if has_offer else ""
    if decision.action is Action.REJECT:
        return Plan(announce=early_media, reject=True)
    warn = decision.action is Action.WARN and bool(decision.announcement)
    if not (warn or decision.record or anchor):
        return PLAIN
    if outbound:
        return Plan(announce=early_media if warn else "", record=decision.record, anchor=anchor)
    return Plan(warn=warn, record=decision.record, anchor=anchor)
