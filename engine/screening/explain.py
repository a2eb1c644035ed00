"""Why a call gets its verdict: the facts, every step and rule that was tried, and the policy's version."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any

from msgspec import Struct, structs

from engine.model.screening import Facts, Number, RuleTrace, Verdict
from engine.screening.decide import PRECEDENCE, UNAUTHORISED, decide
from engine.screening.policy import Policy


@dataclass(frozen=True, slots=True)
class Explanation:
    """`traces` end with the one that decided."""

    facts: Facts
    traces: tuple[RuleTrace, ...]
    verdict: Verdict
    policy_name: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON: facts, rules, verdict and policy, all plain values."""
        return {
            "facts": _plain(self.facts),
            "rules": [_plain(trace) for trace in self.traces],
            "verdict": _plain(self.verdict),
            "policy": {"name": self.policy_name, "version": self.verdict.policy_version},
        }


def explain(facts: Facts, policy: Policy) -> Explanation:
    """The verdict of `decide`, with the way to it; of the counters those that the policy asks for."""
    asked = {name: facts.counters.get(name, 0) for name in policy.counters}
    facts = structs.replace(facts, counters=asked)
    verdict = decide(facts, policy)
    return Explanation(facts, tuple(_tried(facts, policy, verdict)), verdict, policy.name)


def _tried(facts: Facts, policy: Policy, verdict: Verdict) -> list[RuleTrace]:
    traces: list[RuleTrace] = []
    for step in PRECEDENCE:
        matched = step.decide(facts, policy) is not None
        traces.append(RuleTrace(step.id, matched, step.so if matched else step.not_so))
        if matched:
            break
    else:
        for rule in policy.rules:
            matched = rule.chosen(facts) is not None
            traces.append(RuleTrace(rule.id, matched, rule.why(facts)))
            if matched:
                break
        else:
            traces.append(RuleTrace("no_rule", True, "nothing above matched"))
    if verdict.rule == UNAUTHORISED:
        why = "the calling number is none of those that may come from this trunk"
        traces.append(RuleTrace(UNAUTHORISED, True, why))
    if verdict.downgraded == "kill_switch":
        traces.append(RuleTrace("kill_switch", True, "the kill switch is on: the block becomes a label"))
    elif verdict.downgraded == "unconfirmed":
        why = "the block neither ends nor has a person who answers for it: it becomes a label"
        traces.append(RuleTrace("unconfirmed", True, why))
    return traces


def _plain(value: object) -> Any:
    if isinstance(value, Number):
        return {"number": value.display, "kind": value.kind.value, "protected": value.protected}
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, RuleTrace):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value, int) else value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value
