"""The table is complete: every pair of state and input is decided, ignored for a reason, or impossible."""

from __future__ import annotations

from itertools import product

import pytest

from engine.call.actions import ACTIONS
from engine.call.table import IGNORED, IMPOSSIBLE, TABLE, Input, Row, State
from engine.model.outcome import REASONS


def test_each_pair_is_in_exactly_one_place() -> None:
    pairs = set(product(State, Input))
    assert set(TABLE) | IGNORED | IMPOSSIBLE == pairs
    assert len(TABLE) + len(IGNORED) + len(IMPOSSIBLE) == len(pairs)


@pytest.mark.parametrize(
    "row", dict.fromkeys(TABLE.values()), ids=lambda row: f"{row.state.name}-{row.actions}"
)
def test_actions_exist_and_ends_have_words(row: Row) -> None:
    assert set(row.actions) <= ACTIONS.keys()
    if row.end is not None:
        assert row.state is State.ENDING
        assert row.end.reason in REASONS


def test_what_can_be_ended_can_be_told_to_end() -> None:
    for state in State:
        if state not in (State.ENDING, State.ENDED):
            assert TABLE[state, Input.END_REQUESTED].state is State.ENDING
