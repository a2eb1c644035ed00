"""Topics hold no numbers; the README says what the table says."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bus.reference import README, render
from engine.bus.topics import ACKNOWLEDGEMENTS, ALARMS, CALLS, COMMANDS, POPUPS, TOPICS, call_notice
from engine.model.commands import AnyCommand, EndCall, PlaceDissuasionCall
from engine.model.events import Alarm, CallScreened, CallStage, PolicyLoaded, Record
from engine.model.ids import CallId, CaseId, CommandId, EventId, TenantId

LAB = TenantId("lab")


def test_names_and_filters() -> None:
    assert CALLS.name(LAB, call_id="c1") == "ringward/v1/lab/calls/c1"
    assert CALLS.filter(LAB) == "ringward/v1/lab/calls/+"
    assert COMMANDS.name(LAB, node="node-1", worker="w1") == "ringward/v1/lab/engine/node-1/w1/command"
    assert ACKNOWLEDGEMENTS.filter(LAB, node="node-1") == "ringward/v1/lab/engine/node-1/+/acknowledgement"
    assert ALARMS.name(LAB) == ALARMS.filter(LAB) == "ringward/v1/lab/alarms"


def test_every_level_must_be_named() -> None:
    with pytest.raises(ValueError, match="levels"):
        COMMANDS.name(LAB, node="node-1")


@given(st.from_regex(r"\A\+?[0-9]{3,15}\Z"))
def test_a_number_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="number_id"):
        POPUPS.name(LAB, number_id=number)


@given(st.text())
def test_no_level_can_widen_a_topic(text: str) -> None:
    try:
        topic = CALLS.name(LAB, call_id=text)
    except ValueError:
        return
    assert topic.count("/") == 4
    assert not set(topic) & set("+#\0")


def test_the_readme_is_up_to_date() -> None:
    assert README.read_text(encoding="utf-8") == render(), "run python -m engine.bus.reference"


def test_every_topic_is_different() -> None:
    assert len({topic.filter(LAB) for topic in TOPICS}) == len(TOPICS)


def test_commands_are_told_apart_on_the_wire() -> None:
    for command in (
        EndCall(id=CommandId("1"), tenant=LAB, deadline=1.0, call_id=CallId("c"), reason="test"),
        PlaceDissuasionCall(
            id=CommandId("2"),
            tenant=LAB,
            deadline=1.0,
            case_id=CaseId("case-c"),
            number="+8613800138000",
            language="en",
            script="general",
        ),
    ):
        assert msgspec.json.decode(msgspec.json.encode(command), type=COMMANDS.payload) == command
    assert COMMANDS.payload == AnyCommand


def test_call_notices() -> None:
    call = CallId("c1")

    def record(event: CallScreened | CallStage | PolicyLoaded | Alarm) -> Record:
        return Record(id=EventId("n", 1, 1), at=2.0, tenant=LAB, event=event)

    screened = call_notice(record(CallScreened(call_id=call, action="warn", rule="r", reason="x")))
    staged = call_notice(record(CallStage(call_id=call, stage="ringing")))
    assert screened is not None
    assert (screened.kind, screened.action, screened.stage) == ("call_screened", "warn", "")
    assert staged is not None
    assert (staged.kind, staged.action, staged.stage) == ("call_stage", "", "ringing")
    assert call_notice(record(PolicyLoaded(version="1"))) is None
    assert call_notice(record(Alarm(slug="disk_full", detail=""))) is None
