"""The promises of the design, over random policies, table entries and spellings."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st
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
)
from engine.screening import Policy, decide, explain, load_policy
from engine.screening.decide import PRECEDENCE, draft
from engine.screening.policy import Presentation, Text
from tests.screening.kit import AT, COUNTERS, ENTRIES, FACTS, NUMBERS, POLICIES, PROTECTED_NUMBERS


def ordinary(facts: Facts, **changes: object) -> Facts:
    """The facts without what would exempt the call from screening altogether."""
    values: dict[str, object] = {
        "request_uri": "sip:bob@host",
        "emergency_callback": False,
        "trunk_authorised_public": False,
        "attestation": Attestation.NONE,
        "screening_failed": False,
    }
    return structs.replace(facts, **{**values, **changes})  # type: ignore[arg-type]


LOUD = Presentation(label=Text("!", "！"), popup="a_popup", announcement="a_prompt", record=True)


def loud(text: str) -> Policy:
    """The policy, with something to show, play and record for every action, more than the format allows."""
    policy = load_policy(text)
    return replace(policy, presentation=dict.fromkeys(policy.presentation, LOUD))


@given(FACTS, POLICIES, PROTECTED_NUMBERS)
def test_calls_to_protected_numbers_pass_untouched(facts: Facts, text: str, called: Number) -> None:
    verdict = decide(structs.replace(facts, called=called), loud(text))
    assert (verdict.action, verdict.protected, verdict.rule) == (Action.ALLOW, True, "emergency")
    assert (verdict.label, verdict.popup, verdict.announcement, verdict.record) == (None, None, None, False)


@given(
    FACTS, POLICIES, st.sampled_from(["urn:service:sos", "URN:Service:sos.fire", "<urn:service:sos.police>"])
)
def test_calls_to_emergency_urns_pass_untouched(facts: Facts, text: str, uri: str) -> None:
    verdict = decide(structs.replace(facts, request_uri=uri), loud(text))
    assert (verdict.action, verdict.protected, verdict.record) == (Action.ALLOW, True, False)


@given(FACTS, POLICIES, PROTECTED_NUMBERS, NUMBERS, NUMBERS)
def test_a_protected_caller_without_proof_is_screened_like_any_other(
    facts: Facts, text: str, calling: Number, other: Number, called: Number
) -> None:
    assume("calling" not in text and "asserted" not in text)  # such rules may tell the two apart
    facts = ordinary(facts, calling=calling, called=called)
    policy = load_policy(text)
    spoof, stranger = decide(facts, policy), decide(structs.replace(facts, calling=other), policy)
    assert not spoof.protected
    assert spoof == stranger


@given(FACTS, POLICIES, PROTECTED_NUMBERS, NUMBERS, st.booleans())
def test_a_protected_caller_with_proof_passes_untouched(
    facts: Facts, text: str, calling: Number, called: Number, by_trunk: bool
) -> None:
    proof = {"trunk_authorised_public": True} if by_trunk else {"attestation": Attestation.FULL}
    verdict = decide(ordinary(facts, calling=calling, called=called, **proof), loud(text))
    assert (verdict.action, verdict.protected, verdict.record) == (Action.ALLOW, True, False)


@given(FACTS, POLICIES, NUMBERS, NUMBERS)
def test_proof_exempts_nobody_else(facts: Facts, text: str, calling: Number, called: Number) -> None:
    facts = ordinary(facts, calling=calling, called=called, trunk_authorised_public=True)
    assert not decide(facts, load_policy(text)).protected


@given(FACTS, POLICIES)
def test_after_an_emergency_call_whoever_calls_gets_through(facts: Facts, text: str) -> None:
    facts = structs.replace(facts, direction=Direction.INBOUND, emergency_callback=True)
    verdict = decide(facts, loud(text))
    assert (verdict.action, verdict.protected, verdict.record) == (Action.ALLOW, True, False)


@given(FACTS, POLICIES)
def test_every_block_ends_or_has_somebody_who_answers_for_it(facts: Facts, text: str) -> None:
    verdict = decide(facts, load_policy(text))
    if verdict.action.blocks:
        assert verdict.confirmed or (verdict.expires is not None and verdict.expires > facts.at)
        assert verdict.status in (607, 608)
    else:
        assert verdict.status is None


@given(FACTS, POLICIES, NUMBERS, NUMBERS, ENTRIES, st.sampled_from([None, AT - timedelta(hours=1), AT]))
def test_an_entry_that_nobody_answers_for_and_that_has_no_end_to_come_never_blocks(
    facts: Facts, text: str, calling: Number, called: Number, found: HotEntry, expires: datetime | None
) -> None:
    unanswered = structs.replace(found, confirmed=False, expires=expires)
    assume("confirmed_by" not in text and "expires" not in text)
    facts = ordinary(facts, calling=calling, called=called, entry=unanswered, subscriber_block=False)
    assert not decide(facts, load_policy(text)).action.blocks
    ordered = structs.replace(unanswered, precedence=Precedence.ORDER)
    assert not decide(structs.replace(facts, entry=ordered), load_policy(text)).action.blocks


@given(FACTS, POLICIES)
def test_the_kill_switch_turns_every_block_into_a_label_and_nothing_else(facts: Facts, text: str) -> None:
    policy = load_policy(text)
    off, on = (decide(structs.replace(facts, kill_switch=switch), policy) for switch in (False, True))
    if off.action.blocks:
        assert (on.action, on.rule, on.downgraded) == (Action.LABEL, off.rule, "kill_switch")
    else:
        assert on == off


@given(FACTS, POLICIES, NUMBERS, NUMBERS, ENTRIES)
def test_a_subscribers_allow_on_a_red_number_warns(
    facts: Facts, text: str, calling: Number, called: Number, found: HotEntry
) -> None:
    red = structs.replace(found, level=Level.RED)
    assume(red.precedence not in (Precedence.ORDER, Precedence.OPERATOR_ALLOW))
    facts = ordinary(
        facts, calling=calling, called=called, entry=red, subscriber_allow=True, subscriber_block=False
    )
    assert decide(facts, load_policy(text)).action is Action.WARN
    harmless = structs.replace(red, level=Level.YELLOW)
    assert decide(structs.replace(facts, entry=harmless), load_policy(text)).action is Action.ALLOW


FOUND = ENTRIES.map(lambda found: structs.replace(found, expires=None))


@given(FACTS, POLICIES, NUMBERS, NUMBERS, FOUND)
def test_precedence_before_the_policy(
    facts: Facts, text: str, calling: Number, called: Number, found: HotEntry
) -> None:
    """Each step is taken away from the top; what is below then decides, whatever the policy says."""
    policy = load_policy(text)
    facts = structs.replace(
        ordinary(facts, calling=calling, called=called),
        direction=Direction.INBOUND,
        kill_switch=False,
        subscriber_block=True,
        subscriber_allow=True,
    )
    order = structs.replace(found, precedence=Precedence.ORDER, level=Level.RED, confirmed=True)
    allowed = structs.replace(found, precedence=Precedence.OPERATOR_ALLOW, level=Level.GREEN, confirmed=True)
    listed = structs.replace(found, precedence=Precedence.PERMANENT, level=Level.YELLOW)
    ladder = [
        (facts, order, "order", Action.REJECT, 608),
        (facts, allowed, "operator_allow", Action.ALLOW, None),
        (facts, listed, "subscriber_block", Action.REJECT, 607),
        (structs.replace(facts, subscriber_block=False), listed, "subscriber_allow", Action.ALLOW, None),
    ]
    for step, entry, rule, action, status in ladder:
        verdict = decide(structs.replace(step, entry=entry), policy)
        assert (verdict.rule, verdict.action, verdict.status) == (rule, action, status)
    last = structs.replace(facts, subscriber_block=False, subscriber_allow=False, entry=listed)
    assert decide(last, policy).rule in {*(rule.id for rule in policy.rules), "no_rule"}


@given(FACTS, POLICIES, NUMBERS, NUMBERS)
def test_failed_screening_gets_the_policys_default(
    facts: Facts, text: str, calling: Number, called: Number
) -> None:
    policy = load_policy(text)
    facts = ordinary(
        facts, calling=calling, called=called, entry=None, screening_failed=True, kill_switch=False
    )
    verdict = decide(facts, policy)
    assert (verdict.action, verdict.rule) == (policy.failure.action, "screening_failed")


@given(FACTS, POLICIES)
def test_the_explanation_tells_the_same_verdict_and_the_rule_that_decided(facts: Facts, text: str) -> None:
    policy = load_policy(text)
    explained = explain(facts, policy)
    assert explained.verdict == decide(facts, policy)
    decisive = [trace for trace in explained.traces if trace.matched]
    assert decisive[0].rule == explained.verdict.rule
    assert [trace.rule for trace in decisive[1:]] == [
        name for name in (explained.verdict.downgraded,) if name is not None
    ]
    assert all(trace.why for trace in explained.traces)


@given(FACTS, POLICIES)
def test_only_verdicts_that_can_be_carried_out(facts: Facts, text: str) -> None:
    verdict = decide(facts, load_policy(text))
    assert verdict.action in (Action.ALLOW, Action.LABEL, Action.WARN, Action.REJECT)


@given(FACTS, POLICIES, PROTECTED_NUMBERS)
def test_protected_calls_ask_for_no_counter(facts: Facts, text: str, called: Number) -> None:
    """They are not scored: whatever the policy, nothing is counted up for them."""

    class Unasked(dict[str, int]):
        def get(self, name: str, default: object = None) -> int:  # type: ignore[override]
            raise AssertionError(f"{name} was counted up")

    policy = load_policy(text)
    unasked = structs.replace(facts, called=called, counters=Unasked())
    assert decide(unasked, policy).protected


@given(FACTS, POLICIES, st.dictionaries(st.sampled_from(COUNTERS), st.integers(0, 10**6)))
def test_counters_alone_block_nobody_for_good(facts: Facts, text: str, counters: dict[str, int]) -> None:
    """A block that a rule without a person's name makes of counters has an end within a day."""
    assume("confirmed_by" not in text)
    facts = ordinary(facts, entry=None, subscriber_block=False, counters=counters)
    verdict = decide(facts, load_policy(text))
    if verdict.action.blocks:
        assert verdict.expires is not None
        assert facts.at < verdict.expires <= facts.at + timedelta(days=1)


@given(FACTS, POLICIES, st.booleans())
def test_what_is_not_asked_would_not_have_applied(facts: Facts, text: str, all_but_one: bool) -> None:
    """The short ways of `draft` give what asking every step and every rule gives."""
    policy = load_policy(text)
    if all_but_one:
        facts = ordinary(facts, entry=None, subscriber_allow=False)
    found = next((step.decide(facts, policy) for step in PRECEDENCE if step.decide(facts, policy)), None)
    drafted = draft(facts, policy)
    if found is not None:
        assert drafted == found
    else:
        chosen = next((rule.id for rule in policy.rules if rule.chosen(facts) is not None), "no_rule")
        assert drafted.rule == chosen
