"""A reference's table is complete, and whatever is over stays so."""

from __future__ import annotations

from itertools import product

from engine.call.leg_refer import IGNORED, TABLE, Input, State


def test_each_pair_is_in_exactly_one_place() -> None:
    pairs = set(product(State, Input))
    assert set(TABLE) | IGNORED == pairs
    assert len(TABLE) + len(IGNORED) == len(pairs)


def test_what_is_over_stays_so() -> None:
    assert not [state for state, _ in TABLE if state is State.OVER]
