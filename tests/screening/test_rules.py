"""What the conditions of a rule ask for, what a verdict carries, and what an explanation says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.model.screening import (
    Action,
    Attestation,
    Direction,
    HotEntry,
    Level,
    Number,
    Precedence,
)
from engine.screening import compare, decide, explain, load_policy, with_entry
from engine.screening.conditions import CONDITIONS
from scoring.counters import NAMES
from tests.screening.kit import AT, CALLER, CN, HEAD, SUBSCRIBER, entry, facts

RULE = (
    HEAD
    + '[numbers]\nsims = ["+86139*", "+8618000000000"]\n'
    + '[inbound.warn]\npopup = "risk_warn"\n[[rule]]\nid = "one"\naction = "warn"\n'
)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 1, hour, minute, tzinfo=UTC)


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # condition, a call for which it holds, one for which it does not
    ('direction = "outbound"', {"direction": Direction.OUTBOUND}, {}),
    ('trunk = ["a", "b"]', {"trunk": "b"}, {"trunk": "c"}),
    ('attestation = ["failed", "gateway"]', {"attestation": Attestation.FAILED}, {}),
    ("diverted = true", {"diversion": (SUBSCRIBER,)}, {}),
    ("diverted = false", {}, {"diversion": (SUBSCRIBER,)}),
    ('hours = "22:00-07:00+08:00"', {"at": at(14)}, {"at": at(23)}),  # 22:00 and 07:00 in Beijing
    ('hours = "22:00-07:00+08:00"', {"at": at(22, 59)}, {"at": at(13, 59)}),
    ('hours = "09:00-17:00-05:30"', {"at": at(14, 30)}, {"at": at(22, 30)}),
    ('hours = "00:00-24:00+00:00"', {"at": at(23, 59)}, {"subscriber_allow": True}),
    *((f"{name} = {{ at_least = 3 }}", {"counters": {name: 3}}, {"counters": {name: 2}}) for name in NAMES),
    ("caller_attempts_60s = { at_least = 3 }", {"counters": {"caller_attempts_60s": 4}}, {}),
    ("caller_attempts_60s = { below = 3 }", {}, {"counters": {"caller_attempts_60s": 3}}),
    (
        "caller_attempts_60s = { at_least = 2, below = 4 }",
        {"counters": {"caller_attempts_60s": 3}},
        {"counters": {"caller_attempts_60s": 4}},
    ),
    ('calling = "sims"', {}, {"calling": "+8613800000000"}),
    ('calling = ["+8617*", "sims"]', {"calling": "+8617000000001"}, {"calling": "95588"}),
    ('calling = "+8613900000001"', {}, {"calling": "+86139000000012"}),
    ('calling = ["+8617*", "+86139*"]', {}, {"calling": "+8613800000000"}),
    ('calling = "+*"', {}, {"calling": "95588"}),
    ('calling = "9*"', {"calling": "95588"}, {"calling": "+998901234567"}),
    ('calling = "*"', {"calling": "95588"}, {"calling": "anonymous"}),
    ('called = "+8613800138000"', {}, {"called": "+8613800138001"}),
    ('asserted = "+86*"', {"asserted": "13800138000"}, {}),
    ('diverting = "+8613800138000"', {"diversion": (CALLER, SUBSCRIBER)}, {"diversion": (CALLER,)}),
    ('calling_kind = ["anonymous", "unknown"]', {"calling": ""}, {}),
    ('called_kind = "short_code"', {"called": "95588"}, {}),
    ("calling_protected = true", {"calling": "110"}, {}),
    ("asserted_differs = true", {"asserted": "13800138000"}, {"asserted": "13900000001"}),
    ('level = ["red", "none"]', {"entry": entry()}, {"entry": entry(Level.YELLOW)}),
    ('level = "none"', {}, {"entry": entry()}),
    ('entry_action = "label"', {"entry": entry(action=Action.LABEL)}, {"entry": entry()}),
    ('entry_action = "none"', {"entry": entry()}, {"entry": entry(action=Action.LABEL)}),
    ('entry_reason = "fraud"', {"entry": entry()}, {}),
    ('standing = "wildcard"', {"entry": entry(precedence=Precedence.WILDCARD)}, {"entry": entry()}),
    ("wildcard = true", {"entry": entry(wildcard=True)}, {"entry": entry()}),
]


@pytest.mark.parametrize(("condition", "yes", "no"), CASES, ids=[case[0] for case in CASES])
def test_conditions(condition: str, yes: dict[str, Any], no: dict[str, Any]) -> None:
    policy = load_policy(RULE + f"when = {{ {condition} }}\n")
    assert decide(facts(**yes), policy).rule == "one"
    assert decide(facts(**no), policy).rule != "one"
    excepting = load_policy(RULE + f"unless = {{ {condition} }}\n")
    assert decide(facts(**yes), excepting).rule == "no_rule"


def test_every_condition_has_a_case() -> None:
    assert {condition.split(" = ")[0] for condition, _, _ in CASES} == set(CONDITIONS)


def test_a_block_for_counted_calls_ends_by_itself() -> None:
    policy = load_policy(
        HEAD
        + '[[rule]]\nid = "many"\naction = "reject"\nexpires_in_s = 600\n'
        + "when = { caller_attempts_60s = { at_least = 30 } }\n"
    )
    verdict = decide(facts(counters={"caller_attempts_60s": 30}), policy)
    assert (verdict.action, verdict.expires) == (Action.REJECT, AT + timedelta(seconds=600))
    assert decide(facts(counters={"caller_attempts_60s": 29}), policy).action is Action.ALLOW


class Unasked(dict[str, int]):
    """Counters that must not be counted up."""

    def __getitem__(self, name: str) -> int:
        raise AssertionError(name)

    def get(self, name: str, default: object = None) -> Any:
        raise AssertionError(name)


def test_counters_are_asked_only_where_a_rule_comes_to_them() -> None:
    policy = load_policy(RULE + 'when = { trunk = "other", caller_attempts_60s = { at_least = 1 } }\n')
    assert decide(facts(counters=Unasked()), policy).action is Action.ALLOW
    assert decide(facts(called="110", trunk="other", counters=Unasked()), policy).protected
    with pytest.raises(AssertionError, match="caller_attempts_60s"):
        decide(facts(trunk="other", counters=Unasked()), policy)


def test_an_explanation_shows_the_counters_that_the_policy_asks_for() -> None:
    policy = load_policy(RULE + "when = { caller_attempts_60s = { at_least = 30 } }\n")
    counters = {"caller_attempts_60s": 12, "route_rejected_600s": 5}
    explained = explain(facts(counters=counters), policy)
    assert explained.as_dict()["facts"]["counters"] == {"caller_attempts_60s": 12}
    assert "caller_attempts_60s is 12, rule wants ≥ 30" in [trace.why for trace in explained.traces]
    assert explain(facts(), policy).facts.counters == {"caller_attempts_60s": 0}


def test_an_exception_needs_all_its_conditions() -> None:
    policy = load_policy(RULE + 'unless = { calling = "+86139*", trunk = "a" }\n')
    assert decide(facts(trunk="a"), policy).rule == "no_rule"
    assert decide(facts(trunk="b"), policy).rule == "one"
    assert decide(facts(trunk="a", calling="95588"), policy).rule == "one"


def test_the_first_rule_that_matches_decides() -> None:
    policy = load_policy(
        HEAD
        + '[[rule]]\nid = "a"\naction = "label"\nwhen = { level = "red" }\n'
        + '[[rule]]\nid = "b"\naction = "warn"\nwhen = { calling = "+86*" }\n'
        + '[[rule]]\nid = "c"\naction = "label"\n'
    )
    assert decide(facts(), policy).rule == "b"
    assert decide(facts(entry=entry()), policy).rule == "a"
    assert decide(facts(calling="95588"), policy).rule == "c"


@pytest.mark.parametrize("named", [None, Action.CHALLENGE, Action.MONITOR, Action.DIVERT])
def test_a_row_that_names_nothing_that_can_be_done_leaves_it_to_the_next_rule(named: Action | None) -> None:
    policy = load_policy(
        HEAD + '[[rule]]\nid = "row"\naction = "entry"\n[[rule]]\nid = "rest"\naction = "label"\n'
    )
    assert decide(facts(entry=entry(action=named)), policy).rule == "rest"
    assert decide(facts(entry=entry(action=Action.WARN)), policy).rule == "row"
    assert decide(facts(), policy).rule == "rest"


PRESENTED = (
    HEAD
    + '[inbound.warn]\nlabel = "suspect"\npopup = "risk_warn"\nannouncement = "warn_callee"\nrecord = true\n'
    + '[outbound.warn]\nannouncement = "warn_on_dial"\n'
    + '[[rule]]\nid = "bare"\naction = "warn"\nwhen = { trunk = "a" }\n'
    + 'popup = "none"\nlabel = "none"\nannouncement = "other"\nrecord = false\n'
    + '[[rule]]\nid = "plain"\naction = "warn"\n'
)


def test_what_goes_with_an_action_depends_on_direction_and_rule() -> None:
    policy = load_policy(PRESENTED)

    def shown(**changes: Any) -> tuple[object, ...]:
        verdict = decide(facts(**changes), policy)
        return verdict.label, verdict.popup, verdict.announcement, verdict.record

    assert shown(language="en") == ("Suspect", "risk_warn", "warn_callee", True)
    assert shown(language="zh-CN")[0] == "可疑"
    assert shown(direction=Direction.OUTBOUND) == (None, None, "warn_on_dial", False)
    assert shown(trunk="a") == (None, None, "other", False)


def test_a_verdict_carries_entry_versions_and_expiry() -> None:
    expires = AT + timedelta(hours=1)
    policy = load_policy(HEAD + '[[rule]]\nid = "red"\naction = "reject"\nwhen = { level = "red" }\n')
    verdict = decide(facts(entry=entry(expires=expires, confirmed=False), table_version=9), policy)
    assert (verdict.action, verdict.status, verdict.reason) == (Action.REJECT, 608, "fraud")
    assert (verdict.entry_row, verdict.table_version, verdict.policy_version) == (7, 9, policy.version)
    assert (verdict.expires, verdict.confirmed) == (expires, False)


def test_a_rules_own_expiry_ends_its_block() -> None:
    policy = load_policy(HEAD + '[[rule]]\nid = "all"\naction = "reject"\nexpires = 2026-03-02\n')
    assert decide(facts(), policy).action is Action.REJECT
    late = decide(facts(at=datetime(2026, 3, 2, tzinfo=UTC)), policy)
    assert (late.action, late.downgraded) == (Action.LABEL, "unconfirmed")


def test_the_entrys_confirmation_does_not_answer_for_a_rule_that_ignores_it() -> None:
    policy = load_policy(HEAD + '[[rule]]\nid = "all"\naction = "reject"\nexpires = 2026-02-01\n')
    assert decide(facts(entry=entry()), policy).downgraded == "unconfirmed"


class Listed:
    """A table with one entry for one number."""

    version = 3

    def __init__(self, entries: dict[Number, HotEntry]) -> None:
        self._entries = entries

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        assert (tenant, at) == ("lab", AT)
        return self._entries.get(number)


def test_the_other_party_is_looked_up() -> None:
    table = Listed({CALLER: entry(row=1), SUBSCRIBER: entry(row=2)})
    inbound = with_entry(facts(), table)
    assert (inbound.entry and inbound.entry.row, inbound.table_version) == (1, 3)
    outbound = with_entry(facts(direction=Direction.OUTBOUND), table)
    assert outbound.entry and outbound.entry.row == 2


def test_of_shown_and_asserted_number_the_weightier_entry_counts() -> None:
    shown = entry(Level.YELLOW, row=1, precedence=Precedence.TEMPORARY)
    asserted = entry(Level.RED, row=2)
    table = Listed({CALLER: shown, CN.normalise("17000000001"): asserted})
    found = with_entry(facts(asserted="17000000001"), table)
    assert found.entry and found.entry.row == 2


def test_shadow_tells_only_what_would_have_acted_otherwise() -> None:
    now = load_policy(HEAD + '[[rule]]\nid = "a"\naction = "label"\n')
    renamed = load_policy(HEAD + '[[rule]]\nid = "b"\naction = "label"\n')
    harder = load_policy(HEAD + '[[rule]]\nid = "a"\naction = "warn"\n')
    verdict = decide(facts(), now)
    assert compare(facts(), verdict, renamed) is None
    difference = compare(facts(), verdict, harder)
    assert difference and (difference.verdict, difference.shadow.action) == (verdict, Action.WARN)


def test_an_explanation_says_why_not() -> None:
    policy = load_policy(
        HEAD
        + '[[rule]]\nid = "red-at-night"\naction = "reject"\n'
        + 'when = { level = "red", hours = "00:00-01:00+00:00" }\n'
        + '[[rule]]\nid = "not-beijing"\naction = "warn"\nunless = { calling = "+86*" }\n'
        + '[[rule]]\nid = "row"\naction = "entry"\n'
    )
    explained = explain(facts(entry=entry(Level.YELLOW)), policy)
    said = {trace.rule: trace.why for trace in explained.traces}
    assert said["red-at-night"] == (
        "level is yellow, rule wants red; hours is 12:00, rule wants 00:00-01:00+00:00"
    )
    assert said["not-beijing"] == "excepted: calling is +8613900000001"
    assert said["row"] == "the table entry names no action that can be carried out"
    assert said["no_rule"] == "nothing above matched"
    assert said["emergency"] == "the called number is not a protected one"


def test_a_rule_for_a_reason_none_meets_callers_that_are_not_listed() -> None:
    policy = load_policy(
        HEAD + '[[rule]]\nid = "r"\naction = "label"\nwhen = { entry_reason = ["none", "fraud"] }\n'
    )
    assert decide(facts(entry=None), policy).rule == "r"
