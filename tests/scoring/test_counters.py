"""Sliding counters: exact while a row is kept, never too high, in memory that does not grow."""

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.counters import NAMES, Counters, Field, Sizes
from scoring.counters.ledger import PROVEN, Ledger
from scoring.counters.names import RINGS, TICK_S, Kind
from scoring.numbers import Numbering

CN = Numbering()
SMALL = Sizes(callers=8, prefixes=8, routes=8, caller_cells=64, prefix_cells=64, route_cells=64)
CALLER, CALLED = CN.normalise("+8613900000001"), CN.normalise("+8613800138000")

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 7.0, 10.0, 59.0, 61.0, 599.0, 3_599.0, 3_601.0, 40_000.0, 86_401.0]),
        st.sampled_from([*Field]),
        st.sampled_from([1, 2]),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(STEPS, st.floats(0, 1e7))
def test_a_window_counts_what_is_in_its_buckets(steps: list[tuple[float, Field, int]], start: float) -> None:
    ledger, now = Ledger(4, 16), start
    happened: list[tuple[int, Field, int]] = []
    for key in (1, 2):  # known from the beginning, or nothing is kept of them
        ledger.advance(now)
        ledger.attempt(key, 0)
        happened.append((int(now // TICK_S), Field.ATTEMPTS, key))
    for wait, field, key in steps:
        now += wait
        ledger.advance(now)
        if field is Field.ATTEMPTS:
            ledger.attempt(key, 0)
        else:
            ledger.add(key, field)
        happened.append((int(now // TICK_S), field, key))
        present = ledger.tick
        shift = present - int(now // TICK_S)
        for place, ring in enumerate(RINGS):
            for asked, of in itertools.product(Field, (1, 2)):
                within = sum(
                    1
                    for tick, what, whose in happened
                    if (what, whose) == (asked, of)
                    and (tick + shift) // ring.ticks > present // ring.ticks - ring.size
                )
                assert ledger.count(of, asked, place) == within


def test_a_window_reaches_back_no_further_than_it_says() -> None:
    for place, ring in enumerate(RINGS):
        assert ring.ticks * ring.size * TICK_S == ring.window_s
        for begin in (0.0, 5.0, 12_345.0):
            ledger = Ledger(4, 16)
            ledger.advance(begin)
            ledger.attempt("a", 1)
            ledger.advance(begin + ring.window_s * (ring.size - 1) / ring.size - TICK_S)
            assert (ledger.count("a", Field.ATTEMPTS, place), ledger.distinct("a", place)) == (1, 1)
            ledger.advance(begin + ring.window_s + TICK_S)
            assert (ledger.count("a", Field.ATTEMPTS, place), ledger.distinct("a", place)) == (0, 0)


@pytest.mark.parametrize(
    ("numbers", "error"), [(0, 0), (1, 0), (16, 0.15), (64, 0.15), (256, 0.15), (1000, 0.42)]
)
def test_distinct_numbers_are_told_with_a_known_error(numbers: int, error: float) -> None:
    """Three standard errors of linear counting over 256 cells; the same number again changes nothing."""
    chance = Random(numbers)
    for _ in range(5):
        counters = Counters(Sizes(), seed=chance.getrandbits(64))
        subject = counters.subject(CALLER, "carrier")
        first = chance.randrange(10**7)
        for place in range(numbers):
            called = CN.normalise(f"+86138{first + place:08}")
            for _ in range(2):
                counters.attempt(subject, called, 0.0)
        found = counters.read(subject, 0.0)["caller_distinct_called_60s"]
        assert abs(found - numbers) <= max(error * numbers, 3 if numbers > 1 else 0)


def test_numbers_called_before_the_window_are_not_among_the_distinct() -> None:
    counters = Counters(SMALL, seed=1)
    subject = counters.subject(CALLER, "carrier")
    counters.attempt(subject, CALLED, 0.0)
    counters.attempt(subject, CN.normalise("+8613800138001"), 100.0)
    found = counters.read(subject, 100.0)
    assert (found["caller_distinct_called_60s"], found["caller_distinct_called_600s"]) == (1, 2)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0, 0.0, 4.0, 10.0, 61.0, 599.0, 3_601.0, 86_401.0]),
            st.integers(1, 2),
            st.integers(0, 3),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_distinct_numbers_are_the_same_whenever_they_are_asked_for(
    steps: list[tuple[float, int, int, bool]],
) -> None:
    """One ledger is asked between any two calls, the other only at the end."""
    asked, silent, now = Ledger(4, 16), Ledger(4, 16), 0.0
    for wait, key, mixed, look in steps:
        now += wait
        for ledger in (asked, silent):
            if wait:
                ledger.advance(now)
            ledger.attempt(key, mixed)
        if look:
            for whose, ring in itertools.product((1, 2), range(len(RINGS))):
                asked.distinct(whose, ring)
        for _ in range(4 if look else 0):  # takes the rows of others
            for ledger in (asked, silent):
                ledger.attempt(100 + mixed, 0)
    for whose, ring in itertools.product((1, 2), range(len(RINGS))):
        assert asked.distinct(whose, ring) == silent.distinct(whose, ring)


def test_memory_is_fixed_and_nobody_is_blamed_for_another() -> None:
    """A newcomer gets the row of somebody else and starts from zero."""
    chance, ledger = Random(1), Ledger(32, 16)
    size, now = ledger.nbytes, 0.0
    since: dict[int, int] = {}
    for _ in range(20_000):
        now += chance.random()
        ledger.advance(now)
        key = int(chance.paretovariate(0.4)) % 1_000
        if key not in ledger:
            since[key] = 0
        ledger.attempt(key, key)
        since[key] += 1
        assert 1 <= ledger.count(key, Field.ATTEMPTS, 3) <= since[key]
        assert ledger.distinct(key, 3) == 1
    assert len(ledger) == 32
    assert ledger.nbytes == size


def test_heavy_callers_survive_a_flood_of_others() -> None:
    """Fifty numbers an hour against a thousand new ones a second, over rows for sixty-four."""
    ledger, now = Ledger(64, 16), 0.0
    strangers = itertools.count(1_000)
    calls = 0
    for second in range(3_600):
        now += 1.0
        ledger.advance(now)
        if second < 80 or second % 72 == 0:
            ledger.attempt("heavy", second)
            calls += 1
        for _ in range(30 if second < 80 else 100):
            ledger.attempt(next(strangers), 0)
        if second == 80:
            assert "heavy" in ledger
    assert ledger.count("heavy", Field.ATTEMPTS, 3) == calls
    assert len(ledger) == 64


def test_a_proven_row_is_lost_only_to_as_many_that_are_proven_too() -> None:
    rows = 16
    ledger = Ledger(rows, 16)
    ledger.advance(0.0)
    for _ in range(PROVEN):
        ledger.attempt("first", 0)
    for rival in range(rows * 3 // 4):
        for _ in range(PROVEN):
            ledger.attempt(rival, 0)
        for stranger in range(rows):
            ledger.attempt(f"{rival}-{stranger}", 0)
        assert ("first" in ledger) is (rival < rows * 3 // 4 - 1)


def test_nobody_is_counted_for_calls_without_a_number() -> None:
    counters = Counters(SMALL, seed=1)
    anonymous = counters.subject(CN.normalise("anonymous"), "carrier")
    for _ in range(20):
        counters.attempt(anonymous, CALLED, 0.0)
        counters.add(anonymous, Field.SHORT_CALLS, 0.0)
    found = counters.read(anonymous, 0.0)
    assert {name: count for name, count in found.items() if count} == {
        f"route_{what}_{ring.window_s}s": 20 if what != "distinct_called" else 1
        for what in ("attempts", "short_calls", "distinct_called")
        for ring in RINGS
    }


def test_callers_of_one_range_share_its_counters() -> None:
    counters = Counters(SMALL, seed=1)
    for last in range(5):
        subject = counters.subject(CN.normalise(f"+861390000000{last}"), "carrier")
        counters.attempt(subject, CALLED, 0.0)
    counters.attempt(counters.subject(CN.normalise("+8613900010000"), "other"), CALLED, 0.0)
    counters.attempt(counters.subject(CN.normalise("95588"), "other"), CALLED, 0.0)
    found = counters.read(counters.subject(CALLER, "carrier"), 0.0)
    assert [found[f"{kind}_attempts_60s"] for kind in ("caller", "prefix", "route")] == [1, 5, 5]
    short = counters.read(counters.subject(CN.normalise("95588"), "other"), 0.0)
    assert [short[f"{kind}_attempts_60s"] for kind in ("caller", "prefix", "route")] == [1, 0, 2]


def test_names() -> None:
    assert len(NAMES) == len(Kind) * (len(Field) + 1) * len(RINGS)
    assert NAMES["caller_short_calls_3600s"] == (Kind.CALLER, Field.SHORT_CALLS, 2)
    assert NAMES["route_distinct_called_86400s"] == (Kind.ROUTE, None, 3)
    reading = Counters(SMALL, seed=1).read((None, None, None), 0.0)
    assert dict(reading) == dict.fromkeys(NAMES, 0)


@pytest.mark.parametrize(("rows", "cells"), [(3, 16), (16, 15), (16, 0)])
def test_sizes_that_cannot_be(rows: int, cells: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Ledger(rows, cells)


def test_time_never_goes_back() -> None:
    ledger = Ledger(4, 16)
    ledger.advance(1_000.0)
    ledger.attempt("a", 0)
    ledger.advance(10.0)
    assert ledger.count("a", Field.ATTEMPTS, 0) == 1
