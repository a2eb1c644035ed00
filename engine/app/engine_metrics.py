"""The figures of an engine worker, read when somebody asks: nothing here runs while calls are handled.

It is read from another thread than the worker's. Each figure is whole; two of them may be an event apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.app.tracing import Tracing
from engine.bus.client import Bus, BusStatus
from engine.journal import Journal
from engine.media.port import WorkerPort
from engine.model.outcome import REASONS
from engine.runtime.tally import Messages, by_class, by_method
from engine.runtime.worker import EngineWorker
from engine.screening.decide import RESERVED
from scoring.numbers.table_view import TableView

GAUGES: Final = frozenset({"open", "banned_now", "sources"})
"""Of the transports' figures: what there is now. All others only rise."""


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What the figures are read from."""

    worker: EngineWorker
    journal: Journal
    bus: Bus
    media: WorkerPort
    table: TableView
    tracing: Tracing
    blocking_off: Callable[[], bool]


class EngineCollector(Collector):
    def __init__(self, parts: EngineParts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._messages()
        yield from self._transports()
        yield from self._trunks()
        yield from self._journal()
        yield from self._bus()
        yield from self._media()
        yield from self._screening()
        yield from self._traces()

    def _calls(self) -> Iterator[Metric]:
        worker, tally = self._parts.worker, self._parts.worker.tally
        yield _gauges("ringward_calls", "Calls that are up.", "state", worker.calls_by_state())
        yield _counters("ringward_calls_started", "Calls that began.", ("direction",), _singly(tally.started))
        ended: dict[tuple[str, ...], int] = {}
        for (direction, action, blame, reason), count in dict(tally.ended).items():
            known = reason if reason in REASONS else "other"
            _add(ended, (direction, action, blame, known), count)
        labels = ("direction", "action", "blame", "reason")
        yield _counters("ringward_calls_ended", "Calls that ended, and how.", labels, ended)
        yield _counters("ringward_alarms", "Alarms, by slug.", ("slug",), _singly(tally.alarms))
        yield _gauges(
            "ringward_sip_held",
            "What the SIP core holds, by kind; all zero at rest.",
            "kind",
            worker.counts(),
        )

    def _messages(self) -> Iterator[Metric]:
        worker, tally = self._parts.worker, self._parts.worker.tally
        requests = CounterMetricFamily(
            "ringward_sip_requests",
            "SIP requests; method other: of no known method, or no message at all.",
            labels=["way", "transport", "method"],
        )
        responses = CounterMetricFamily(
            "ringward_sip_responses", "SIP responses.", labels=["way", "transport", "class"]
        )
        for way, found in (("in", tally.messages_in), ("out", tally.messages_out)):
            for transport, counts in found.items():
                if any(counts.values()):
                    _add_messages(requests, (way, transport), by_method, counts)
                    _add_messages(responses, (way, transport), by_class, counts)
        yield requests
        yield responses
        yield _counters(
            "ringward_sip_retransmissions",
            "Messages sent again, and requests received again.",
            ("way",),
            _singly(worker.retransmissions()),
        )
        yield _counters(
            "ringward_sip_discarded",
            "Messages that were answered statelessly or not at all.",
            ("reason",),
            _singly(tally.discarded),
        )

    def _transports(self) -> Iterator[Metric]:
        events: dict[tuple[str, ...], int] = {}
        now: dict[tuple[str, ...], int] = {}
        for part, counts in self._parts.worker.transport_counts().items():
            for name, count in counts.items():
                (now if name in GAUGES else events)[part, name] = count
        yield _counters(
            "ringward_transport_events",
            "Of the flood guard (part flood) and the stream transports: drops, bans, refusals, time-outs, …",
            ("part", "event"),
            events,
        )
        family = GaugeMetricFamily(
            "ringward_transport_now", "Connections open, sources banned.", labels=["part", "kind"]
        )
        for key, count in now.items():
            family.add_metric(key, count)
        yield family

    def _trunks(self) -> Iterator[Metric]:
        states = self._parts.worker.trunk_states()
        up = GaugeMetricFamily(
            "ringward_trunk_target_up",
            "1 while calls are sent to the target; state: up, suspect, down, trial.",
            labels=["trunk", "side", "target", "state"],
        )
        calls = GaugeMetricFamily("ringward_trunk_calls", "Calls by trunk.", labels=["trunk", "way"])
        for each in states:
            up.add_metric([each.trunk, each.side, each.target, each.state], each.state != "down")
        for trunk, (came, left) in {each.trunk: (each.calls_in, each.calls_out) for each in states}.items():
            calls.add_metric([trunk, "in"], came)
            calls.add_metric([trunk, "out"], left)
        yield up
        yield calls

    def _journal(self) -> Iterator[Metric]:
        journal = self._parts.journal
        yield _gauge("ringward_journal_waiting_events", "Events not on disk yet.", journal.waiting)
        yield _gauge("ringward_journal_failing", "1 while the disk refuses events.", journal.failing)
        yield _counter("ringward_journal_batches", "Commits.", journal.batches)
        yield _counter("ringward_journal_events", "Events committed.", journal.committed)
        yield _counter("ringward_journal_lost_events", "Events that were lost.", journal.lost)

    def _bus(self) -> Iterator[Metric]:
        bus = self._parts.bus
        states = {status.value: int(bus.status is status) for status in BusStatus}
        yield _gauges("ringward_bus_status", "1 for the state the bus is in.", "status", states)
        yield _gauge("ringward_bus_waiting_messages", "Messages without PUBACK yet.", bus.waiting)
        yield _counter("ringward_bus_dropped_messages", "Messages that made room for newer.", bus.dropped)

    def _media(self) -> Iterator[Metric]:
        media = self._parts.media
        yield _gauge("ringward_media_worker_up", "1 while the media worker lives.", media.pid is not None)
        yield _gauge("ringward_media_sessions", "Open media sessions.", media.sessions)
        yield _counter("ringward_media_worker_restarts", "Media workers that replaced one.", media.restarts)
        yield _counters(
            "ringward_media_packets",
            "RTP packets of the sessions that have ended.",
            ("kind",),
            _singly(media.packets),
        )

    def _screening(self) -> Iterator[Metric]:
        parts = self._parts
        screened: dict[tuple[str, ...], int] = {}
        for (action, rule), count in dict(parts.worker.tally.screened).items():
            _add(screened, (action, rule if rule in RESERVED else "policy"), count)
        labels = ("action", "rule")
        yield _counters(
            "ringward_screened_calls",
            "Verdicts; rule policy: a rule of the policy file, else one that is built in.",
            labels,
            screened,
        )
        yield _gauge("ringward_blocking_off", "1 while the kill switch is on.", parts.blocking_off())
        yield _gauge("ringward_hot_table_version", "Version of the hot table in use.", parts.table.version)
        yield _gauge("ringward_hot_table_rows", "Rows of the hot table in use.", len(parts.table))
        yield _counter("ringward_hot_table_lookups", "Numbers looked up.", parts.table.lookups)

    def _traces(self) -> Iterator[Metric]:
        tracing = self._parts.tracing
        collector, writer = tracing.collector, tracing.writer
        yield _gauge("ringward_trace_on", "1 while SIP messages are kept.", tracing.mode != "off")
        yield _counter(
            "ringward_trace_messages", "SIP messages written to trace files.", writer.written if writer else 0
        )
        lost = (writer.lost if writer else 0) + (collector.dropped if collector else 0)
        yield _counter(
            "ringward_trace_lost_messages", "Messages of traced calls that could not be kept.", lost
        )


def _add_messages(
    family: CounterMetricFamily,
    labels: tuple[str, str],
    read: Callable[[Messages], dict[str, int]],
    counts: Messages,
) -> None:
    for name, count in read(counts).items():
        if count:
            family.add_metric([*labels, name], count)


def _gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, value=float(value))


def _gauges(name: str, help: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, help: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, help, value=value)


def _counters(
    name: str, help: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _singly(values: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    """A copy, since the worker goes on counting."""
    return {(key,): value for key, value in dict(values).items()}


def _add(values: dict[tuple[str, ...], int], key: tuple[str, ...], count: int) -> None:
    values[key] = values.get(key, 0) + count
