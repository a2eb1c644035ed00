"""Short looks of the cyclic collector, and a whole one when nothing is held."""

from __future__ import annotations

import gc
import weakref

import pytest

from engine.app import collector as collecting
from engine.app.collector import WHOLE_EVERY_S, Collector

MANY = 1_000


class Ring:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_outlives_one_look_is_not_looked_at_again() -> None:
    with Collector(lambda: True):
        kept = [[] for _ in range(100)]
        before = gc.get_freeze_count()
        gc.collect(0)
        assert gc.get_freeze_count() >= before + len(kept)
        assert gc.get_count()[1:] == (0, 0)
    assert gc.get_freeze_count() == 0


def test_what_has_come_is_put_out_of_sight_without_a_look() -> None:
    with Collector(lambda: True) as collector:
        kept = [[] for _ in range(100)]
        before = gc.get_freeze_count()
        collector.look()
        assert gc.get_freeze_count() >= before + len(kept)


def test_young_rings_are_freed_by_the_next_look() -> None:
    with Collector(lambda: True):
        ring = weakref.ref(Ring())
        gc.collect(0)
        assert ring() is None


def test_old_rings_are_freed_when_they_are_many_and_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "GROWN", MANY)
    clock, busy = Clock(), [True]
    with Collector(lambda: busy[0], clock) as collector:

        def left_behind(count: int) -> weakref.ref[Ring]:
            rings = [Ring() for _ in range(count)]
            gc.collect(0)
            return weakref.ref(rings[0])

        few = left_behind(10)
        busy[0] = False
        clock.now = WHOLE_EVERY_S
        collector.look()
        assert few() is not None  # not worth a look
        many = left_behind(MANY)
        busy[0] = True
        clock.now = 2 * WHOLE_EVERY_S
        collector.look()
        assert many() is not None  # somebody talks
        busy[0] = False
        collector.look()
        assert few() is many() is None
        again = left_behind(MANY)
        collector.look()
        assert again() is not None  # not so soon again


def test_the_process_gets_its_collector_back() -> None:
    before = gc.get_threshold(), list(gc.callbacks)
    with Collector(lambda: True):
        assert gc.get_threshold() != before[0]
    assert (gc.get_threshold(), list(gc.callbacks)) == before
