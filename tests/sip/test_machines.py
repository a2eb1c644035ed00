"""The tables say what happens to every input in every state."""

from __future__ import annotations

import pytest

from engine.sip.machines import (
    INVITE_CLIENT,
    INVITE_PROXY_SERVER,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Machine,
    State,
)

MACHINES = {
    "INVITE client": INVITE_CLIENT,
    "non-INVITE client": NON_INVITE_CLIENT,
    "INVITE server": INVITE_SERVER,
    "INVITE server of a proxy": INVITE_PROXY_SERVER,
    "non-INVITE server": NON_INVITE_SERVER,
}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    return MACHINES[request.param]


def test_each_pair_of_live_state_and_input_stands_in_one_place(machine: Machine) -> None:
    live = machine.states - {State.TERMINATED}
    pairs = {(state, given) for state in live for given in machine.inputs}
    assert set(machine.rows) | machine.ignored | machine.forbidden == pairs
    assert len(machine.rows) + len(machine.ignored) + len(machine.forbidden) == len(pairs)


def test_each_state_is_reached_and_left(machine: Machine) -> None:
    reached = {machine.initial}
    while True:
        more = {state for (source, _), (state, _) in machine.rows.items() if source in reached}
        if more <= reached:
            break
        reached |= more
    assert reached == machine.states
    assert State.TERMINATED in reached
    assert machine.states - {State.TERMINATED} <= {
        source for (source, _), (state, _) in machine.rows.items() if state != source
    }


def test_each_timer_that_is_heeded_is_started_first(machine: Machine) -> None:
    started = {action.removeprefix("start_").split("_")[0] for action in machine.entry}
    for _, actions in machine.rows.values():
        started |= {action.removeprefix("start_").split("_")[0] for action in actions}
    if machine is INVITE_CLIENT:
        started.add("cancel")  # starts when the CANCEL leaves
    heeded = {given.removeprefix("timer_") for _, given in machine.rows if given.startswith("timer_")}
    assert heeded <= started
