"""When messages are kept: by configuration, by the switch for a while, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from engine.app.trace_switch import (
    LONGEST,
    TraceSwitchError,
    read_trace_switch,
    turn_trace_off,
    turn_trace_on,
)
from engine.app.tracing import Tracing
from engine.model.config import Config, DataSection, SipSection
from engine.model.events import AnyEvent, TraceChanged
from engine.model.ids import CallId
from engine.runtime.books import Trace
from engine.runtime.worker import EngineWorker
from engine.traces.collector import Collector
from engine.traces.files import read_trace
from tests.traces.kit import short_call

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Worker:
    def __init__(self) -> None:
        self.trace: Trace | None = None
        self.events: list[AnyEvent] = []

    def trace_with(self, trace: Trace | None) -> None:
        self.trace = trace

    def event(self, event: AnyEvent) -> None:
        self.events.append(event)

    def told(self) -> list[tuple[str, str]]:
        return [(event.mode, event.by) for event in self.events if isinstance(event, TraceChanged)]


class Bench:
    def __init__(self, folder: Path, mode: str = "off") -> None:
        self.config = Config(data=DataSection(folder=folder), sip=SipSection(trace=mode))  # type: ignore[arg-type]
        self.now = NOW
        self.worker = Worker()
        self.tracing = Tracing(self.config, cast(EngineWorker, self.worker), lambda: self.now)

    def call(self, call_id: str) -> None:
        assert isinstance(self.worker.trace, Collector)
        short_call(self.worker.trace, call_id)

    def files(self) -> list[Path]:
        return list(self.config.data.folder.iterdir())

    def kept(self, call_id: str) -> str:
        found = read_trace(self.config.traces_folder, CallId(call_id))
        return str(found) if found is not None else ""


def test_off_costs_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.tracing.look()
    bench.tracing.close()
    assert bench.worker.trace is None
    assert bench.worker.events == []
    assert bench.files() == []


def test_the_configuration_turns_it_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "full")
    bench.tracing.look()
    bench.call("c1")
    bench.tracing.close()
    assert "v=0" in bench.kept("c1")
    assert bench.worker.told() == [("full", "")]
    assert bench.worker.trace is None


def test_the_switch_counts_until_its_time_is_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    turn_trace_on(bench.config.trace_switch_file, "headers", "li.na", NOW, HOUR)
    bench.tracing.look()
    bench.call("c1")
    bench.now = NOW + HOUR
    bench.tracing.look()
    assert bench.worker.trace is None
    bench.tracing.close()
    assert bench.worker.told() == [("headers", "li.na"), ("off", "")]
    changed = bench.worker.events[0]
    assert isinstance(changed, TraceChanged) and changed.expires == (NOW + HOUR).timestamp()
    assert bench.kept("c1") and "v=0" not in bench.kept("c1")


def test_more_and_less_is_kept_of_the_calls_that_are_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "headers")
    bench.tracing.look()
    collector = bench.worker.trace
    turn_trace_on(bench.config.trace_switch_file, "full", "li.na", NOW, HOUR)
    bench.tracing.look()
    assert bench.worker.trace is collector
    turn_trace_off(bench.config.trace_switch_file)
    bench.tracing.look()
    bench.tracing.close()
    assert bench.worker.told() == [("headers", ""), ("full", "li.na"), ("headers", "")]


def test_a_switch_that_cannot_be_read_counts_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path)
    switch = bench.config.trace_switch_file
    turn_trace_on(switch, "full", "li.na", NOW, HOUR)
    bench.tracing.look()
    switch.write_text('{"mode": "everything"}')
    bench.tracing.look()
    bench.tracing.look()
    assert bench.tracing.mode == "full"
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    bench.now = NOW + HOUR
    bench.tracing.look()
    assert bench.tracing.mode == "off"
    bench.tracing.close()


@pytest.mark.parametrize(
    ("by", "limit"), [("", HOUR), (" ", HOUR), ("li.na", timedelta()), ("li.na", LONGEST + HOUR)]
)
def test_a_trace_has_a_name_and_an_end(tmp_path: Path, by: str, limit: timedelta) -> None:
    with pytest.raises(TraceSwitchError):
        turn_trace_on(tmp_path / "trace.json", "full", by, NOW, limit)
    assert read_trace_switch(tmp_path / "trace.json") is None


def test_turning_off_what_is_off_is_no_error(tmp_path: Path) -> None:
    turn_trace_off(tmp_path / "trace.json")
    assert read_trace_switch(tmp_path / "trace.json") is None
