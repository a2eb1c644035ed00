"""Which verdicts hold for every further call of the same caller by the same trunk. Pure.

A campaign is many calls of few numbers. What was decided by nothing but the caller, the trunk and the
caller's table entry needs no second thought until one of them, the policy or the kill switch changes; the
called number is looked at each time (`engine.call.gate`).

Most other calls are of nobody in particular: what lets one of them pass lets all of its trunk pass for which
the same rules are asked the same.
"""

from typing import Final

from engine.model.screening import Action, Verdict
from engine.screening.policy import Policy

STEADY: Final = frozenset(
    (
        *("direction", "trunk", "attestation", "diverted"),
        *("calling", "asserted", "diverting", "calling_kind", "calling_protected", "asserted_differs"),
        *("level", "entry_action", "entry_reason", "standing", "wildcard"),
    )
)
"""Conditions that ask nothing of the called number, the time of day or what happened before."""
SAME: Final = (STEADY - {"calling"}) | {"called_kind"}
"""Those with the same answer for every two ordinary calls of one trunk, see `passes`."""
ORDER: Final = "order"
NO_RULE: Final = "no_rule"


def stands(verdict: Verdict, policy: Policy) -> bool:
    """Whether an inbound call's verdict by its caller's entry was decided by steady conditions alone.

    For calls without asserted and diverting numbers; those of protected numbers never get here.
    """
    if verdict.label is not None:  # in the language of this call's subscriber
        return False
    if verdict.rule == ORDER:
        return True
    for rule in policy.rules:
        if not all(condition.name in STEADY for condition in (*rule.when, *rule.unless)):
            return False
        if rule.id == verdict.rule:
            return True
    return False


def passes(verdict: Verdict, policy: Policy) -> bool:
    """Whether the verdict on an ordinary inbound call lets all such calls of its trunk pass, unnoticed.

    Ordinary is one between two E.164 numbers that are not protected, the caller not in the table, without
    asserted and diverting numbers and outside of call-back windows. The kill switch changes none that passes.
    """
    if verdict.action is not Action.ALLOW or verdict.protected:
        return False
    if verdict.label is not None or verdict.popup is not None:  # for this call's subscriber
        return False
    for rule in policy.unlisted:
        if not all(condition.name in SAME for condition in (*rule.when, *rule.unless)):
            return False
        if rule.id == verdict.rule:
            return True
    return verdict.rule == NO_RULE
