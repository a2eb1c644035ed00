"""The calls' timers: in order, movable, and of the size of what lives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.call.timers import CallTimers
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
