"""Timers of calls and legs: in order, movable, cancelled without a trace, of the size of what lives."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from engine.call.timers import CallTimers, LegTimer, LegTimers
from engine.model.ids import CallId


def test_cancelled_timers_do_not_pile_up() -> None:
    """A call sets one far ahead, and ends at once; a hundred are up at any time."""
    timers = CallTimers()
    for number in range(20_000):
        timers.set(CallId(f"c{number}"), "audit", 300.0 + number / 1000)
        if number >= 100:
            timers.cancel(CallId(f"c{number - 100}"), "audit")
        assert timers.held <= 2 * len(timers) + 66


steps = st.tuples(st.integers(0, 40), st.integers(0, 1000), st.booleans())


@given(st.lists(steps, max_size=300))
def test_what_is_due_is_what_was_set_last(order: list[tuple[int, int, bool]]) -> None:
    timers, wanted = CallTimers(), dict[CallId, int]()
    for number, at, cancels in order:
        call = CallId(f"c{number}")
        if cancels:
            timers.cancel(call, "x")
            wanted.pop(call, None)
        else:
            timers.set(call, "x", at)
            wanted[call] = at
    assert len(timers) == len(wanted)
    fired = [call for call, _ in timers.due(1000)]
    assert sorted(fired) == sorted(wanted)
    assert [wanted[call] for call in fired] == sorted(wanted.values())
    assert timers.next() is None


def test_one_may_be_set_instead_of_others() -> None:
    timers, call, other = CallTimers(), CallId("c"), CallId("d")
    for name in ("no_answer", "progress", "popup"):
        timers.set(call, name, 1.0)
    timers.set(other, "progress", 2.0)
    timers.set(call, "reap", 3.0, instead=("no_answer", "progress", "audit"))
    assert len(timers) == 3
    assert [*timers.due(9.0)] == [(call, "popup"), (other, "progress"), (call, "reap")]
    assert (timers.next(), len(timers)) == (None, 0)


def test_what_one_cancels_comes_due_no_more_and_what_is_not_taken_stays() -> None:
    """Both are due at once; whoever takes the first may fail, too."""
    timers, call, other = CallTimers(), CallId("c"), CallId("d")
    for number, name in ((call, "hop"), (call, "no_answer"), (other, "popup")):
        timers.set(number, name, 1.0)
    for _, name in timers.due(2.0):
        assert name == "hop"
        timers.cancel(call, "no_answer")
        break
    assert [*timers.due(2.0)] == [(other, "popup")]
    assert len(timers) == 0


def test_one_that_is_moved_again_and_again_does_not_pile_up() -> None:
    timers = CallTimers()
    for number in range(5_000):
        timers.set(CallId("c"), "progress", 60.0 + number)
        assert timers.held <= 2 * len(timers) + 66


# --- of legs ---


def test_they_run_in_order() -> None:
    timers, ran = LegTimers(), []
    for at in (3.0, 1.0, 2.0, 1.0):
        timers.add(at, lambda at=at: ran.append(at))  # type: ignore[misc]
    assert timers.next() == 1.0
    timers.run(2.5)
    assert ran == [1.0, 1.0, 2.0]
    assert (timers.next(), len(timers)) == (3.0, 1)


def test_one_may_cancel_or_set_another() -> None:
    timers, ran = LegTimers(), []
    second: list[LegTimer] = []

    def first() -> None:
        second[0].cancel()
        timers.add(1.5, lambda: ran.append("new"))

    timers.add(1.0, first)
    second.append(timers.add(2.0, lambda: ran.append("cancelled")))
    timers.run(3.0)
    assert ran == ["new"]
    assert (timers.next(), len(timers)) == (None, 0)
    second[0].cancel()  # again, and after the end: nothing
    assert len(timers) == 0


def test_memory_follows_the_living_legs() -> None:
    """A session timer is set for half an hour and cancelled after minutes, a hundred times a second."""
    timers, chance = LegTimers(), Random(1)
    living: list[LegTimer] = []
    for number in range(20_000):
        living.append(timers.add(1800.0 + number, lambda: None))
        if len(living) > 100:
            living.pop(chance.randrange(len(living))).cancel()
    assert len(timers) == 100
    assert timers.held <= 2 * 100 + 65
    assert timers.next() == min(timer.at for timer in living)
