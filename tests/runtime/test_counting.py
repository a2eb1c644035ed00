"""What of a worker's calls reaches the counters, and what never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.config import CountersSection
from engine.model.events import CallEnded
from engine.model.ids import CallId
from engine.model.outcome import Blame, Outcome
from engine.model.screening import Action, Facts
from engine.runtime import counting
from engine.runtime.counting import CallCounting
from engine.screening import decide
from tests.screening.kit import CALLER, CN, FACTS, PROTECTED_NUMBERS, Number, facts, shipped

POLICY = shipped()
HUNG_UP, CANCELLED = Outcome(Blame.CALLER, "hung_up"), Outcome(Blame.CALLER, "cancelled")


class World:
    """Counters on a clock of their own, and calls screened by the default policy."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.counting = CallCounting(
            CountersSection(callers=16, prefixes=16, routes=4, short_call_s=5.0), 1, lambda: self.now
        )

    def screened(self, call: str, found: Facts) -> None:
        self.counting.screened(CallId(call), found, decide(found, POLICY))

    def ended(
        self, call: str, outcome: Outcome = HUNG_UP, duration_ms: int = 0, answered: bool = False
    ) -> None:
        self.counting.ended(
            CallEnded(call_id=CallId(call), outcome=outcome, answered=answered, duration_ms=duration_ms)
        )

    def read(self, kind: str = "caller", calling: Number = CALLER) -> dict[str, int]:
        """What has been counted within the last minute."""
        found = self.counting.read(calling, "carrier")
        return {
            name.removeprefix(f"{kind}_").removesuffix("_60s"): count
            for name, count in found.items()
            if name.startswith(kind) and name.endswith("_60s") and count
        }


@pytest.fixture
def world() -> World:
    return World()


def test_calls_count_when_they_begin_and_when_they_end(world: World) -> None:
    assert world.read() == {}
    for call in ("a", "b", "c"):
        world.screened(call, facts(trunk="carrier"))
    assert world.read() == {"attempts": 3, "distinct_called": 1}
    world.ended("a", duration_ms=4_999, answered=True)
    world.ended("b", duration_ms=5_000, answered=True)
    world.ended("c", CANCELLED)
    whole = {"attempts": 3, "distinct_called": 1, "answered": 2, "short_calls": 1, "cancelled": 1}
    assert world.read() == world.read("prefix") == world.read("route") == whole
    world.now += 70
    assert world.read() == {}


def test_a_rejected_call_counts_at_once_and_its_end_does_not(world: World) -> None:
    listed = facts(trunk="carrier", subscriber_block=True)
    assert decide(listed, POLICY).action is Action.REJECT
    world.screened("a", listed)
    world.ended("a", CANCELLED)
    assert world.read() == {"attempts": 1, "rejected": 1, "distinct_called": 1}


def test_the_end_of_a_call_that_nobody_screened_is_not_counted(world: World) -> None:
    """A dissuasion call, which the engine makes itself."""
    world.ended("mine", duration_ms=1, answered=True)
    assert world.read() == {}


def test_an_end_counts_once(world: World) -> None:
    world.screened("a", facts(trunk="carrier"))
    for _ in range(2):
        world.ended("a", duration_ms=1, answered=True)
    assert world.read()["short_calls"] == 1


@given(FACTS, PROTECTED_NUMBERS, st.booleans())
def test_protected_calls_are_never_counted(found: Facts, number: Number, short: bool) -> None:
    """Calls to emergency and police numbers, back from them, and from them where that is proven."""
    world = World()
    for call, each in enumerate((found, facts(called=number), facts(emergency_callback=True))):
        before = world.read("route"), world.read("caller", each.calling)
        world.screened(str(call), each)
        world.ended(str(call), duration_ms=0 if short else 60_000, answered=True)
        if decide(each, POLICY).protected:
            assert (world.read("route"), world.read("caller", each.calling)) == before
        elif each.calling.key:
            assert world.read("caller", each.calling)["attempts"] == 1


def test_the_calls_that_are_waited_for_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MAX_OPEN", 3)
    for call in range(5):
        world.screened(str(call), facts(trunk="carrier", called=CN.normalise(f"+861380013800{call}")))
    for call in range(5):
        world.ended(str(call), duration_ms=1, answered=True)
    assert (world.read()["attempts"], world.read()["short_calls"]) == (5, 3)
