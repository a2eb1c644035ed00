"""What a trunk is made of: sources, number rules, limits, and the table of its targets' health."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.health import IMPOSSIBLE, TABLE, Health, Input, State
from engine.call.limits import Limit
from engine.call.sources import Source, Sources
from engine.call.translation import failed_example, formatted, translated
from engine.model.trunk_sections import HealthSection, TranslationSection, TrunkSection
from scoring.numbers import Numbering

# --- sources ---

SOURCES = Sources(
    {
        "a": ["192.0.2.1", "198.51.100.0/24"],
        "b": ["192.0.2.1:5062", "[2001:db8::1]:5062"],
        "c": ["198.51.100.64/26", "2001:db8::/32", "192.0.2.9"],
        "rest": ["203.0.113.0/24"],
    }
)


@pytest.mark.parametrize(
    ("host", "port", "trunk"),
    [
        ("192.0.2.1", 5060, "a"),
        ("192.0.2.1", 5062, "b"),  # two trunks behind one host, told apart by the port
        ("192.0.2.2", 5062, None),
        ("198.51.100.1", 1, "a"),
        ("198.51.100.65", 1, "c"),  # the longer network
        ("2001:db8::1", 5062, "b"),
        ("2001:db8::1", 5060, "c"),
        ("2001:db9::1", 5060, None),
        ("203.0.114.1", 5060, None),
    ],
)
def test_the_most_exact_source_counts(host: str, port: int, trunk: str | None) -> None:
    for _ in range(2):  # also when it is remembered
        assert SOURCES.of((host, port)) == trunk


def test_everywhere_is_the_last_resort() -> None:
    sources = Sources({"any": ["*"], "own": ["192.0.2.1:5062"]})
    assert sources.of(("192.0.2.1", 5062)) == "own"
    assert sources.of(("192.0.2.1", 5060)) == "any"
    assert sources.of(("2001:db8::1", 5060)) == "any"


@pytest.mark.parametrize("text", ["example.org", "192.0.2.1/24", "192.0.2.1:0", "192.0.2.1:99999", "", "**"])
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(ValueError):
        Source.parse(text)


@given(st.lists(st.ip_addresses().map(str), max_size=20), st.ip_addresses().map(str))
def test_many_addresses_are_remembered_within_bounds(hosts: list[str], last: str) -> None:
    sources = Sources({"four": ["0.0.0.0/1"], "six": ["::/1"]})
    for host in [*hosts, last]:
        assert sources.of((host, 5060)) in ("four", "six", None)


# --- numbers ---

RULES = (
    TranslationSection(match="00", strip=2, prefix="+", examples={"008613900000002": "+8613900000002"}),
    TranslationSection(match="9", strip=1, examples={"9110": "110", "913900000002": "13900000002"}),
    TranslationSection(match="0", prefix="+86", strip=1, examples={"01012345678": "+861012345678"}),
)


def test_the_first_rule_that_matches() -> None:
    assert failed_example(RULES) == ""
    assert translated("13900000002", RULES) == "13900000002"
    assert translated("13900000002", (TranslationSection(prefix="77"),)) == "7713900000002"


@pytest.mark.parametrize("text", ["9", "anonymous", "", "urn:service:sos"])
def test_what_is_left_as_it_is(text: str) -> None:
    """Nothing would be left of the first; the others are no numbers."""
    assert translated(text, (TranslationSection(strip=1),)) == text


def test_an_example_that_does_not_hold() -> None:
    rules = (TranslationSection(match="0", strip=1, examples={"010": "99"}),)
    assert failed_example(rules) == "010 becomes 10, the example says 99"


@pytest.mark.parametrize(
    ("number", "e164", "international", "national"),
    [
        ("13900000002", "+8613900000002", "008613900000002", "13900000002"),
        ("+861012345678", "+861012345678", "00861012345678", "01012345678"),
        ("+442079460000", "+442079460000", "00442079460000", "00442079460000"),
        ("10086", "10086", "10086", "10086"),
        ("anonymous", "anonymous", "anonymous", "anonymous"),
    ],
)
def test_formats(number: str, e164: str, international: str, national: str) -> None:
    known = Numbering().of_user(number)
    assert formatted(known, number, "dialled", "86") == number
    assert formatted(known, number, "e164", "86") == e164
    assert formatted(known, number, "international", "86") == international
    assert formatted(known, number, "national", "86") == national


# --- limits ---


def limit(max_calls: int = 0, max_calls_per_s: float = 0.0) -> Limit:
    return Limit(TrunkSection(side="carrier", max_calls=max_calls, max_calls_per_s=max_calls_per_s))


def test_calls_at_once() -> None:
    two = limit(max_calls=2)
    for _ in range(2):
        assert two.wait_s(0.0) == 0.0
        two.take(0.0)
    assert two.wait_s(0.0) > 0.0
    two.take(0.0)  # an emergency call
    two.calls -= 1
    assert two.wait_s(0.0) > 0.0
    two.calls -= 1
    assert two.wait_s(0.0) == 0.0


def test_calls_a_second() -> None:
    slow = limit(max_calls_per_s=0.5)
    slow.take(10.0)
    assert slow.wait_s(10.0) == 2.0
    assert slow.wait_s(11.0) == 1.0
    assert slow.wait_s(12.0) == 0.0
    fast = limit(max_calls_per_s=10)
    for _ in range(10):
        assert fast.wait_s(1.0) == 0.0
        fast.take(1.0)
    assert fast.wait_s(1.0) == pytest.approx(0.1)
    assert fast.wait_s(100.0) == 0.0  # a long rest is no credit for more than a second


@given(st.floats(0.5, 50), st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_never_more_than_the_rate(rate: float, pauses: list[float]) -> None:
    bucket, now, taken = limit(max_calls_per_s=rate), 0.0, 0
    for pause in pauses:
        now += pause
        if not bucket.wait_s(now):
            bucket.take(now)
            taken += 1
    assert taken <= rate * now + max(1.0, rate) + 1e-6


# --- health ---


def test_every_state_says_what_each_input_does() -> None:
    pairs = {(state, given) for state in State for given in Input}
    assert TABLE.keys() | IMPOSSIBLE == pairs
    assert not TABLE.keys() & IMPOSSIBLE
    assert {row.state for row in TABLE.values()} == set(State)


def states(health: Health, *events: str) -> list[str]:
    """The state after each event; those that are told in capitals."""
    seen = []
    for event in events:
        tells = health.alive() if event == "ok" else health.failed(0.0)
        name = health.state.value
        seen.append(name.upper() if tells else name)
    return seen


def test_down_after_failures_in_a_row_and_up_after_recoveries() -> None:
    health = Health(HealthSection(options_s=10, failures=3, recoveries=2))
    assert states(health, "no", "ok", "no", "no") == ["suspect", "up", "suspect", "suspect"]
    assert states(health, "no", "no", "ok", "no") == ["DOWN", "down", "down", "down"]
    assert states(health, "ok", "ok", "ok") == ["down", "UP", "up"]
    assert health.retry_at is None


def test_without_options_a_call_may_try_after_a_while() -> None:
    health = Health(HealthSection(failures=1, recoveries=2, retry_s=30))
    assert states(health, "no") == ["DOWN"]
    assert (health.usable, health.retry_at) == (False, 30.0)
    health.retry(30.0)
    assert (health.usable, health.state) == (True, State.TRIAL)
    assert states(health, "no") == ["down"]
    health.retry(60.0)
    assert states(health, "ok", "ok") == ["trial", "UP"]
