"""Timers of legs: in order, cancelled without a trace."""

from __future__ import annotations

from random import Random

from engine.call.leg_timers import LegTimer, LegTimers


def test_they_run_in_order() -> None:
    timers, ran = LegTimers(), []
    for at in (3.0, 1.0, 2.0, 1.0):
        timers.set(at, lambda at=at: ran.append(at))  # type: ignore[misc]
    assert timers.next() == 1.0
    timers.run(2.5)
    assert ran == [1.0, 1.0, 2.0]
    assert (timers.next(), len(timers)) == (3.0, 1)


def test_one_may_cancel_or_set_another() -> None:
    timers, ran = LegTimers(), []
    second: list[LegTimer] = []
    timers.set(1.0, lambda: (second[0].cancel(), timers.set(1.5, lambda: ran.append("new"))))
    second.append(timers.set(2.0, lambda: ran.append("cancelled")))
    timers.run(3.0)
    assert ran == ["new"]
    assert (timers.next(), len(timers)) == (None, 0)
    second[0].cancel()  # again, and after the end: nothing
    assert len(timers) == 0


def test_memory_follows_the_living() -> None:
    """A session timer is set for half an hour and cancelled after minutes, a hundred times a second."""
    timers, chance = LegTimers(), Random(1)
    living: list[LegTimer] = []
    for number in range(20_000):
        living.append(timers.set(1800.0 + number, lambda: None))
        if len(living) > 100:
            living.pop(chance.randrange(len(living))).cancel()
    assert len(timers) == 100
    assert len(timers._heap) <= 2 * 100 + 65
    assert timers.next() == min(timer.at for timer in living)
