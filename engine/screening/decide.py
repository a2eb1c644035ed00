"""The verdict on a call: invariants and precedence first, then the policy's rules. Pure.

The order is fixed and no policy can change it: emergency, call-back after an emergency,
authenticated public service, court or police block, operator's allow, subscriber's block, subscriber's
allow, and only then the rules, which see the one table entry that counts. Last comes what holds for every
block: it ends some day or a person answers for it, and the kill switch turns it into a label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec
from msgspec import structs

from engine.model.screening import (
    Action,
    Attestation,
    Direction,
    Facts,
    HotEntry,
    Level,
    Number,
    Precedence,
    Verdict,
)
from engine.screening.policy import Policy, Presentation, Presentations
from scoring.numbers import BLOCKING, is_emergency_uri, strongest

STATUS_REJECTED: Final = 608
STATUS_UNWANTED: Final = 607


class Table(Protocol):
    """The hot table, as screening sees it."""

    @property
    def version(self) -> int: ...

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None: ...


class Draft(msgspec.Struct, frozen=True):
    """A decision before the promises about blocks are kept."""

    action: Action
    rule: str
    reason: str
    presentation: Presentations
    status: int = STATUS_REJECTED
    protected: bool = False
    from_entry: bool = False
    expires: datetime | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One place in the order of precedence; `so` and `not_so` say in explanations why it applies or not."""

    id: str
    so: str
    not_so: str
    decide: Callable[[Facts, Policy], Draft | None]


def with_entry(facts: Facts, table: Table) -> Facts:
    """The facts with what the hot table says of the other party; of two numbers' entries the weightier."""
    number, asserted = facts.calling, facts.asserted
    if facts.direction is Direction.OUTBOUND:
        number, asserted = facts.called, None
    entry = table.lookup(facts.tenant, number, facts.at)
    if asserted is not None and asserted != number:
        entry = strongest((entry, table.lookup(facts.tenant, asserted, facts.at)))
    return structs.replace(facts, entry=entry, table_version=table.version)


def decide(facts: Facts, policy: Policy) -> Verdict:
    """The verdict on a call."""
    drafted = draft(facts, policy)
    if not facts.caller_authorised:
        drafted = unauthorised(facts, policy, drafted)
    return finish(facts, policy, drafted)


def draft(facts: Facts, policy: Policy) -> Draft:
    """The first step or rule that applies."""
    if (  # by far the commonest is that none of the steps can apply: told without asking each
        facts.entry is not None
        or facts.called.protected
        or facts.calling.protected
        or facts.emergency_callback
        or facts.screening_failed
        or facts.subscriber_block
        or facts.subscriber_allow
        or is_emergency_uri(facts.request_uri)
    ):
        for step in PRECEDENCE:
            found = step.decide(facts, policy)
            if found is not None:
                return found
    for rule in policy.rules if facts.entry is not None else policy.unlisted:
        action = rule.chosen(facts)
        if action is not None:
            entry = facts.entry if rule.from_entry else None
            return Draft(
                action,
                rule.id,
                rule.reason or (entry.reason if entry is not None else rule.id),
                rule.presentation,
                from_entry=rule.from_entry,
                expires=rule.ends(facts.at),
                confirmed=rule.confirmed_by is not None,
            )
    return Draft(Action.ALLOW, "no_rule", "clean", policy.presentation)


def unauthorised(facts: Facts, policy: Policy, drafted: Draft) -> Draft:
    """The draft, or what the trunk does with calling numbers that are not its own, where that is more.

    No list of numbers exempts from it: who forges a number chooses one that is allowed.
    """
    action = facts.unauthorised_action
    if action is None or drafted.protected or drafted.action in BLOCKING:
        return drafted
    if action is not Action.REJECT and drafted.action is not Action.ALLOW:
        return drafted
    return Draft(action, UNAUTHORISED, UNAUTHORISED, policy.presentation, confirmed=True)


def finish(facts: Facts, policy: Policy, drafted: Draft) -> Verdict:
    """The draft as a verdict, with the promises about blocks kept."""
    action, expires, confirmed = drafted.action, drafted.expires, drafted.confirmed
    downgraded = None
    entry = facts.entry
    blocks = action in BLOCKING
    if blocks:
        if drafted.from_entry and entry is not None:
            confirmed = confirmed or entry.confirmed
            if expires is None or (entry.expires is not None and entry.expires > expires):
                expires = entry.expires
        if not confirmed and (expires is None or expires <= facts.at):
            action, blocks, downgraded = Action.LABEL, False, "unconfirmed"
        elif facts.kill_switch:
            action, blocks, downgraded = Action.LABEL, False, "kill_switch"
    # Nothing may be shown, played or recorded on a protected call, whatever a policy says.
    shown = Presentation() if drafted.protected else drafted.presentation[facts.direction, action]
    return Verdict(
        action=action,
        rule=drafted.rule,
        reason=drafted.reason,
        policy_version=policy.version,
        table_version=facts.table_version,
        entry_row=entry.row if entry is not None else None,
        status=drafted.status if action is Action.REJECT else None,
        label=shown.label.in_language(facts.language) if shown.label is not None else None,
        popup=shown.popup,
        announcement=shown.announcement,
        record=shown.record,
        protected=drafted.protected,
        expires=expires if blocks else None,
        confirmed=confirmed if blocks else False,
        downgraded=downgraded,
    )


def is_emergency(facts: Facts) -> bool:
    """Whether the call is to an emergency, police or other protected public service number."""
    return facts.called.protected or is_emergency_uri(facts.request_uri)


def _emergency(facts: Facts, policy: Policy) -> Draft | None:
    if not (facts.called.protected or is_emergency_uri(facts.request_uri)):
        return None
    return Draft(Action.ALLOW, "emergency", "emergency", policy.presentation, protected=True)


def _emergency_callback(facts: Facts, policy: Policy) -> Draft | None:
    if facts.direction is not Direction.INBOUND or not facts.emergency_callback:
        return None
    return Draft(
        Action.ALLOW, "emergency_callback", "emergency_callback", policy.presentation, protected=True
    )


def _public_service(facts: Facts, policy: Policy) -> Draft | None:
    if not facts.calling.protected:
        return None
    if not (facts.trunk_authorised_public or facts.attestation is Attestation.FULL):
        return None
    return Draft(Action.ALLOW, "public_service", "public_service", policy.presentation, protected=True)


def _order(facts: Facts, policy: Policy) -> Draft | None:
    entry = facts.entry
    if entry is None or entry.precedence is not Precedence.ORDER:
        return None
    return Draft(Action.REJECT, "order", entry.reason, policy.presentation, from_entry=True)


def _operator_allow(facts: Facts, policy: Policy) -> Draft | None:
    entry = facts.entry
    if entry is None or entry.precedence is not Precedence.OPERATOR_ALLOW:
        return None
    return Draft(Action.ALLOW, "operator_allow", entry.reason, policy.presentation)


def _screening_failed(facts: Facts, policy: Policy) -> Draft | None:
    if not facts.screening_failed:
        return None
    return Draft(
        policy.failure.action,
        "screening_failed",
        "screening_failed",
        policy.presentation,
        confirmed=policy.failure.confirmed_by is not None,
    )


def _subscriber_block(facts: Facts, policy: Policy) -> Draft | None:
    if facts.direction is not Direction.INBOUND or not facts.subscriber_block:
        return None
    return Draft(
        Action.REJECT,
        "subscriber_block",
        "subscriber_block",
        policy.presentation,
        status=STATUS_UNWANTED,
        confirmed=True,
    )


def _subscriber_allow(facts: Facts, policy: Policy) -> Draft | None:
    if not facts.subscriber_allow:
        return None
    if facts.entry is not None and facts.entry.level is Level.RED:
        # Victims are coached to put the fraudster on their allow list.
        return Draft(Action.WARN, "subscriber_allow", facts.entry.reason, policy.presentation)
    return Draft(Action.ALLOW, "subscriber_allow", "subscriber_allow", policy.presentation)


PRECEDENCE: Final = (
    Step(
        "emergency",
        "the call is to an emergency or other protected public service",
        "the called number is not a protected one",
        _emergency,
    ),
    Step(
        "emergency_callback",
        "the subscriber made an emergency call a short while ago",
        "no call back after an emergency call",
        _emergency_callback,
    ),
    Step(
        "public_service",
        "a public service calls, proven by its trunk or attestation",
        "the caller is no public service, or not proven to be one",
        _public_service,
    ),
    Step("order", "a court or the police ordered the block", "no court or police order", _order),
    Step(
        "operator_allow",
        "the operator allows this very number",
        "not on the operator's allow list",
        _operator_allow,
    ),
    Step(
        "screening_failed",
        "what was needed could not be looked up in time",
        "everything was looked up in time",
        _screening_failed,
    ),
    Step(
        "subscriber_block",
        "the subscriber blocks this caller",
        "not on the subscriber's block list",
        _subscriber_block,
    ),
    Step(
        "subscriber_allow",
        "the subscriber allows this number",
        "not on the subscriber's allow list",
        _subscriber_allow,
    ),
)
UNAUTHORISED: Final = "caller_unauthorised"
RESERVED: Final = frozenset({*(step.id for step in PRECEDENCE), "no_rule", UNAUTHORISED})
"""Rule ids that a policy may not use."""
