"""A call that passes as another one did is told, counted and routed as if it had been thought over itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec import structs

from engine.app.paths import dialplans_folder
from engine.call.values import Decision, ScreeningRequest
from engine.model.address import Address
from engine.model.config import Config, PopupSection, RecordingSection, SubscribersSection
from engine.model.ids import CallId
from engine.model.screening import Action, HotEntry, Level, Precedence
from engine.model.trunk_sections import TranslationSection, TrunkSection
from engine.runtime.screener import Screener
from engine.screening import Policy, load_policy
from engine.warning.announcements import load as load_catalogue
from scoring.numbers import Number, Numbering
from tests.screening.kit import AT, HEAD, POLICIES, entry, shipped

CATALOGUE = load_catalogue(dialplans_folder() / "announcements.toml")
NUMBERING = Numbering()
CALLER, OTHER, SUBSCRIBER, VISITOR = "+8613900000001", "+8617000000001", "+8613800138000", "+33612345678"
PLAIN = (CALLER, OTHER, SUBSCRIBER, VISITOR)
USERS = st.sampled_from(
    (
        *PLAIN,
        *PLAIN,
        "013900000001",
        "02088886666",
        "95588",
        "110",
        "010110",
        "+86110",
        "anonymous",
        "ada",
        "",
    )
)


def carrier(**changes: object) -> TrunkSection:
    return TrunkSection(side="carrier", next_hop=Address("192.0.2.1", 5060), **changes)  # type: ignore[arg-type]


def access(**changes: object) -> TrunkSection:
    return TrunkSection(side="access", next_hop=Address("192.0.2.2", 5060), **changes)  # type: ignore[arg-type]


CARRIERS = {
    "carrier": carrier(),
    "trusted": carrier(trusted_identity=True, public_service=True),
    "choosy": carrier(callers=(CALLER, "+33"), callers_else="reject"),
    "rewriting": carrier(called_in=(TranslationSection(match="+86138", strip=14, prefix="110"),)),
}
ACCESSES = st.sampled_from(
    (
        {"access": access()},
        {"access": access()},
        {"access": access()},
        {"access": access(), "fallback": access(priority=2)},
        {"access": access(called_format="national")},
        {"access": access(prefixes=("+86",))},
        {"access": access(max_calls_per_s=1)},
        {},
    )
)


class Screening:
    """A screener whose gate has looked before each call, or that has none."""

    def __init__(self, policy: Policy, accesses: dict[str, TrunkSection], *, gate: bool) -> None:
        self.gate, self.policy, self.killed, self.at = gate, policy, False, AT
        self.version = self.generation = 1
        self.accesses = accesses
        self.stray = ""
        self.shadow: Policy | None = None
        self.entries: dict[str, HotEntry] = {}
        self.fault: Exception | None = None
        self.told: list[str] = []
        self.asked = 0
        self.calls = 0
        self.screener = Screener(
            Config(
                tenant="lab",
                trunk={**CARRIERS, **accesses},
                popup=PopupSection(sip_message=True),
                recording=RecordingSection(enabled=True, purpose="p", legal_basis="l", retention_days=7),
                subscribers=SubscribersSection(languages={SUBSCRIBER: "zh-CN"}, language="en"),
            ),
            numbering=NUMBERING,
            table=self,
            policy=lambda: self.policy,
            shadow=lambda: self.shadow,
            kill_switch=lambda: self.killed,
            catalogue=CATALOGUE,
            key=b"k" * 32,
            on_failure=self.told.append,
            clock=lambda: self.at,
            monotonic=lambda: self.at.timestamp(),
        )

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        found = self.entries.get(number.display)
        return found if found is None or found.expires is None or found.expires > at else None

    def call(self, request: ScreeningRequest) -> Decision:
        if self.gate:
            self.screener.listed(request.calling)
            if self.stray:  # another message came in between
                self.screener.listed(self.stray)
        self.asked, self.calls = 0, self.calls + 1
        return self.screener.decide(request, CallId(f"c{self.calls}"))

    def counters(self) -> list[dict[str, int]]:
        counting = self.screener.counting
        return [dict(counting.read(NUMBERING.of_user(each), trunk)) for each in PLAIN for trunk in CARRIERS]


def asks(calling: str, called: str, trunk: str = "carrier", **changes: object) -> ScreeningRequest:
    request = ScreeningRequest(trunk, calling, called, f"sip:{called}@x", "", None, ())
    return structs.replace(request, **changes)  # type: ignore[arg-type]


@st.composite
def requests(draw: st.DrawFn) -> ScreeningRequest:
    """Ordinary calls, most of them with one thing that makes them unusual."""
    request = asks(*draw(st.permutations(PLAIN))[:2])
    match draw(st.sampled_from(("", "", "trunk", "calling", "called", "asserted", "diversion", "urn"))):
        case "trunk":
            return structs.replace(request, trunk=draw(st.sampled_from((*CARRIERS, "access"))))
        case "calling":
            return structs.replace(request, calling=draw(USERS))
        case "called":
            return structs.replace(request, called=draw(USERS))
        case "asserted":
            return structs.replace(request, asserted=draw(st.sampled_from(PLAIN)))
        case "diversion":
            return structs.replace(request, diversion=(draw(USERS),))
        case "urn":
            return structs.replace(request, request_uri="urn:service:sos.police")
    return request


CHANGES = st.sampled_from(
    (*("",) * 12, "killed", "listed", "unlisted", "policy", "shadow", "emergency", "later", "broken", "stray")
)
ROWS = (
    entry(Level.RED, action=Action.REJECT),
    entry(Level.RED, action=Action.REJECT, confirmed=False, expires=AT + timedelta(minutes=30)),
    entry(Level.YELLOW, action=Action.LABEL),
    entry(Level.GREEN, precedence=Precedence.OPERATOR_ALLOW),
)
STEPS = st.lists(st.tuples(requests(), CHANGES, st.sampled_from(ROWS)), min_size=2, max_size=10)


def loaded(text: str) -> Policy:
    """With popups that there are."""
    return load_policy(text.replace("a_popup", "risk_label").replace("rule_popup", "risk_warn"))


ONE_RULE = st.builds(
    lambda action, when, more: loaded(
        f'{HEAD}[[rule]]\nid = "one"\naction = "{action}"\n{more}when = {when}\n'
    ),
    st.sampled_from(("allow", "label", "warn", 'reject"\nconfirmed_by = "li.na')),
    st.sampled_from(
        (
            "{ }",
            "{ diverted = true }",
            "{ asserted_differs = true }",
            "{ calling_protected = true }",
            '{ calling_kind = ["anonymous", "unknown", "short_code"] }',
            '{ called_kind = ["anonymous", "unknown"] }',
            '{ trunk = "choosy" }',
            '{ level = "red" }\nunless = { called = "+8617*" }',
            '{ level = "none" }\nunless = { called = "+8617*" }',
        )
    ),
    st.sampled_from(("", 'label = "suspect"\n', 'popup = "a_popup"\n', "record = true\n")),
)
RULES = st.one_of(st.just(shipped()), ONE_RULE, POLICIES.map(loaded))


def change(screening: Screening, what: str, found: HotEntry, other: Policy) -> None:
    match what:
        case "killed":
            screening.killed = not screening.killed
        case "listed":
            screening.entries[CALLER] = found
            screening.version += 1
            screening.generation += 1
        case "unlisted":
            screening.entries.clear()
            screening.generation += 1  # an older one was put back
        case "policy":
            screening.policy = other
        case "shadow":
            screening.shadow = other if screening.shadow is None else None
        case "emergency":
            if screening.accesses:
                screening.call(asks(SUBSCRIBER, "110", "access"))
        case "later":
            screening.at += timedelta(hours=1)
        case "stray":
            screening.stray = OTHER if not screening.stray else ""
        case "broken":
            screening.fault = OSError("gone") if screening.fault is None else None


@settings(max_examples=250)
@given(RULES, RULES, ACCESSES, STEPS)
def test_a_call_that_passes_as_another_did_is_decided_as_if_thought_over(
    policy: Policy,
    other: Policy,
    accesses: dict[str, TrunkSection],
    steps: list[tuple[ScreeningRequest, str, HotEntry]],
) -> None:
    short, long = (Screening(policy, accesses, gate=gate) for gate in (True, False))
    first = [asks(VISITOR, OTHER, trunk) for trunk in CARRIERS]
    for each in (short, long):
        for request in (*first, *first):  # the first finds that no call-back window is open
            each.call(request)
    for request, what, found in steps:
        if request.trunk == "access" and not accesses:
            continue
        decision = short.call(request)
        event("passed" if short.asked == 0 else "thought over")
        assert decision == long.call(request)
        for each in (short, long):
            change(each, what, found, other)
    assert short.counters() == long.counters()
    assert short.told == long.told


def warns(when: str) -> Policy:
    return load_policy(f'{HEAD}[[rule]]\nid = "some"\naction = "warn"\nwhen = {{ {when} }}\n')


def passing(policy: Policy | None = None) -> Screening:
    """With one call that has passed already, of a caller who isn't asked for again."""
    screening = Screening(shipped() if policy is None else policy, {"access": access()}, gate=True)
    screening.call(asks(VISITOR, SUBSCRIBER))  # finds that no call-back window is open
    screening.call(asks(VISITOR, SUBSCRIBER))
    return screening


def test_an_ordinary_call_is_not_looked_up_again() -> None:
    screening = passing()
    decision = screening.call(asks(CALLER, OTHER))
    assert screening.asked == 0
    assert (decision.action, decision.rule, decision.language) == (Action.ALLOW, "no_rule", "en")
    assert (decision.calling.number, decision.called.number) == (CALLER, OTHER)
    assert [hop.trunk for hop in decision.hops] == ["access"]


@pytest.mark.parametrize("called", ["110", "010110", "+86110"])
def test_a_pass_stands_for_no_emergency_call(called: str) -> None:
    assert passing().call(asks(CALLER, called)).protected


def test_a_pass_stands_for_no_call_back() -> None:
    screening = passing()
    screening.call(asks(SUBSCRIBER, "110", "access"))
    assert screening.call(asks(CALLER, SUBSCRIBER)).rule == "emergency_callback"


def test_a_pass_ends_with_table_and_policy() -> None:
    screening = passing()
    screening.entries[CALLER], screening.version = entry(Level.RED, action=Action.REJECT), 2
    screening.generation = 2
    assert screening.call(asks(CALLER, SUBSCRIBER)).action is Action.REJECT
    screening.policy = warns("")
    assert screening.call(asks(OTHER, SUBSCRIBER)).rule == "some"


def test_a_pass_ends_with_a_table_of_the_same_version_too() -> None:
    """An older file under newer changes, say."""
    screening = passing()
    screening.generation = 2
    assert (screening.call(asks(CALLER, SUBSCRIBER)).action, screening.asked) == (Action.ALLOW, 1)


def test_what_was_seen_in_another_table_of_the_same_version_does_not_count() -> None:
    """The gate has looked, and the table changes before the call is decided."""
    screening = passing()
    screening.screener.listed(CALLER)
    screening.entries[CALLER] = entry(Level.RED, action=Action.REJECT)
    screening.generation, screening.gate = 2, False
    assert screening.call(asks(CALLER, SUBSCRIBER)).action is Action.REJECT


@pytest.mark.parametrize(
    ("when", "stands"),
    [
        ('calling_kind = "anonymous"', True),
        ('level = "none", calling_protected = true', True),
        ('caller_attempts_60s = { at_least = 30 }, level = "red"', True),
        ('calling = "+8617*"', False),
        ('called = "+8617*"', False),
        ('hours = "22:00-07:00+08:00"', False),
        ("caller_attempts_60s = { at_least = 30 }", False),
    ],
)
def test_a_pass_stands_where_rules_ask_the_same_of_every_ordinary_call(when: str, stands: bool) -> None:
    screening = passing(warns(when))
    assert screening.call(asks(CALLER, SUBSCRIBER)).action is Action.ALLOW
    assert (screening.asked == 0) is stands


@pytest.mark.parametrize(
    ("when", "unusual"),
    [
        ("asserted_differs = true", {"asserted": OTHER}),
        ("diverted = true", {"diversion": (OTHER,)}),
        ('calling_kind = "anonymous"', {"calling": "anonymous"}),
        ('called_kind = "unknown"', {"called": "ada"}),
        ("calling_protected = true", {"calling": "110"}),
        ('trunk = "trusted"', {"trunk": "trusted"}),
    ],
)
def test_whatever_is_unusual_about_a_call_is_thought_of(when: str, unusual: dict[str, object]) -> None:
    screening = passing(warns(when))
    assert screening.call(asks(CALLER, SUBSCRIBER)).rule == "no_rule"
    assert screening.asked == 0
    assert screening.call(structs.replace(asks(CALLER, SUBSCRIBER), **unusual)).rule == "some"  # type: ignore[arg-type]


def test_a_shadow_policy_is_asked_of_every_call() -> None:
    screening = passing()
    screening.shadow = warns("")
    assert screening.call(asks(CALLER, SUBSCRIBER)).shadow_action == "warn"


def test_what_trunks_do_with_numbers_is_done_to_every_call() -> None:
    screening = passing()
    for _ in range(2):
        assert screening.call(asks(CALLER, VISITOR, "rewriting")).rule == "no_rule"
        assert screening.call(asks(CALLER, SUBSCRIBER, "rewriting")).called.number == "110"
        assert screening.call(asks(CALLER, SUBSCRIBER, "choosy")).rule == "no_rule"
        assert screening.call(asks(OTHER, SUBSCRIBER, "choosy")).rule == "caller_unauthorised"


def test_the_gates_look_counts_for_its_own_call_alone() -> None:
    screening = passing()
    screening.screener.listed(OTHER)
    screening.entries[CALLER] = entry(Level.RED, action=Action.REJECT)
    assert screening.screener.decide(asks(CALLER, SUBSCRIBER)).action is Action.REJECT
    screening.fault = OSError("gone")
    screening.call(asks(OTHER, SUBSCRIBER))
    assert screening.told == ["gone"], "a look that failed leaves nothing to go by"


def test_what_stops_calls_is_thought_of_each_time() -> None:
    text = f'{HEAD}[[rule]]\nid = "shut"\naction = "reject"\nconfirmed_by = "li.na"\nwhen = {{}}\n'
    screening = passing(load_policy(text))
    assert screening.call(asks(CALLER, SUBSCRIBER)).action is Action.REJECT
    screening.killed = True
    assert screening.call(asks(CALLER, SUBSCRIBER)).action is Action.LABEL


def test_what_subscribers_dial_is_looked_up_each_time() -> None:
    screening = passing()
    screening.entries[OTHER] = entry(Level.RED)
    for called, rule in ((VISITOR, "no_rule"), (VISITOR, "no_rule"), (OTHER, "dialled-red")):
        assert screening.call(asks(SUBSCRIBER, called, "access")).rule == rule
