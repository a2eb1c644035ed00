"""What a long run's verdict says of calls, events and memory."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.app.config import load_config
from engine.model.events import Alarm, AnyEvent, CallEnded, CallStarted, EventId, Party, Record
from engine.model.ids import CallId, NumberId, TenantId
from engine.model.outcome import Blame, Outcome
from lab.peers.ringward import CHECKOUT, Site
from lab.soak.mixture import KINDS, settings, split
from lab.soak.verdicts import Ending, Ledger, Rise, Sample, Stored, faults, rise

PARTY = Party(number="+8613800000001", id=NumberId("n"))
OVER = Outcome(Blame.CALLER, "hung_up")


def begun(call: str) -> CallStarted:
    return CallStarted(call_id=CallId(call), direction="inbound", trunk="t", calling=PARTY, called=PARTY)


def ended(call: str) -> CallEnded:
    return CallEnded(call_id=CallId(call), outcome=OVER, answered=True)


def records(events: Iterable[AnyEvent], first: int = 1, boot: int = 1) -> list[Record]:
    numbered = enumerate(events, first)
    tenant = TenantId("lab")
    return [Record(id=EventId("n", boot, seq), at=0.0, tenant=tenant, event=each) for seq, each in numbered]


def ledger(*events: AnyEvent) -> Ledger:
    made = Ledger()
    made.take(records(events))
    return made


def ending(made: Ledger, placed: int) -> Ending:
    """All is well, as far as the ledger is."""
    stored = Stored(dict(made.events), placed, 0)
    return Ending(placed, {"answered": 0}, made, stored, {"calls": 0}, Rise(0.0, 0.0))


# --- ledger -----------------------------------------------------------------


def test_calls_with_one_end_each() -> None:
    made = ledger(begun("a"), begun("b"), ended("a"), ended("b"))
    assert (made.calls, made.open, made.lost, made.doubled) == (2, 0, 0, 0)
    assert made.outcomes == {"caller/hung_up": 2}
    assert faults(ending(made, 2)) == []


def test_calls_that_do_not_add_up() -> None:
    made = ledger(begun("a"), begun("b"), begun("b"), ended("b"), ended("b"), ended("c"))
    assert (made.calls, made.open, made.begun_again, made.ended_again) == (2, 1, 1, 2)
    assert len(faults(ending(made, 2))) == 3


def test_numbers_that_are_missing_or_come_twice() -> None:
    made = Ledger()
    made.take(records([begun("a")], first=5))  # a journal may begin anywhere
    made.take(records([ended("a")], first=8))
    made.take(records([begun("b")], first=8))
    made.take(records([ended("b")], first=1, boot=2))
    assert (made.lost, made.doubled) == (2, 1)
    assert made.events == {("n", 1): 3, ("n", 2): 1}


@given(st.lists(st.integers(0, 9), max_size=20))
def test_every_call_ends_once_in_whatever_order(order: list[int]) -> None:
    calls = [str(call) for call in dict.fromkeys(order)]
    events: list[AnyEvent] = [begun(call) for call in calls]
    random.Random(len(order)).shuffle(calls)
    made = ledger(*events, *(ended(call) for call in calls))
    assert faults(ending(made, len(calls))) == []


# --- memory -----------------------------------------------------------------


def samples(*mb: float, step: int = 10_000) -> list[Sample]:
    return [Sample((place + 1) * step, each) for place, each in enumerate(mb)]


def test_memory_that_rises_with_the_calls() -> None:
    found = rise(samples(*(80 + n for n in range(100))))
    assert found is not None
    assert found.bytes_per_call == pytest.approx(100)
    assert not found.flat


def test_what_is_filled_at_first_is_no_rise() -> None:
    found = rise(samples(*(80.0, 90.0, 100.0, 105.0), *[110.0] * 46))
    assert found is not None
    assert found.flat


def test_noise_is_no_rise() -> None:
    found = rise(samples(*(80 + n % 3 for n in range(100))))
    assert found is not None
    assert abs(found.bytes_per_call) < 1


def test_too_few_rounds_are_not_judged() -> None:
    assert rise(samples(80, 200)) is None
    assert rise([]) is None


# --- verdict ----------------------------------------------------------------


def test_each_fault_is_told() -> None:
    well = ending(ledger(begun("a"), ended("a"), Alarm(slug="bus_down", detail="")), 1)
    well = replace(well, alarms=["bus_down"])
    assert faults(well) == []
    wrong = {
        "went wrong": replace(well, went_wrong={"busy": 2}),
        "calls have no end in the store": replace(well, stored=replace(well.stored, open=1)),
        "2 calls were placed, 1 are in the journal": replace(well, placed=2),
        "0 are in the store": replace(well, stored=replace(well.stored, calls=0)),
        "n boot 1: 3 events in the journal, 2 in the store": replace(
            well, stored=replace(well.stored, events={("n", 1): 2})
        ),
        "still holds 3 timers": replace(well, left={"timers": 3}),
        "alarms bus_down; wanted none": replace(well, alarms=[]),
        "memory rises by 50.0 bytes a call": replace(well, memory=Rise(50, 50)),
    }
    for words, end in wrong.items():
        assert any(words in line for line in faults(end)), words


# --- mixture ----------------------------------------------------------------


@given(calls=st.integers(0, 100_000), seed=st.integers())
def test_the_mixture_has_as_many_calls_as_asked_for(calls: int, seed: int) -> None:
    counts = split(calls, random.Random(seed))
    assert sum(counts.values()) == calls
    assert min(counts.values()) >= 0
    if calls >= 1_000:
        assert min(counts.values()) > 0


def test_every_kind_of_callee_has_a_trunk_of_its_own() -> None:
    overrides = [f"{key}={value}" for key, value in settings(Site("127.62")).items()]
    config = load_config(CHECKOUT / "lab" / "loopback.toml", overrides)
    ports = {kind.port for kind in KINDS} | {kind.media_port for kind in KINDS}
    assert len(ports) == 2 * len(KINDS)
    for kind in KINDS:
        assert (kind.trunk in config.trunk) == (kind.called is not None)
