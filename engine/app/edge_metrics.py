"""The figures of the edge, read from another thread when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.runtime.edge import EdgeTransports, EdgeWorker

OPEN = "_open"
"""The end of those of the transports' figures that fall as well."""


class EdgeCollector(Collector):
    def __init__(self, worker: EdgeWorker, transports: EdgeTransports) -> None:
        self._worker = worker
        self._transports = transports

    def collect(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "ringward_edge_held",
            "Bindings, connections, transactions and what else is held.",
            labels=["what"],
        )
        for what, count in self._worker.counts().items():
            held.add_metric([what], count)
        happened = CounterMetricFamily(
            "ringward_edge_events", "Connections and messages by what became of them.", labels=["what"]
        )
        for what, count in (self._transports.counts() | self._worker.happened).items():
            if not what.endswith(OPEN):
                happened.add_metric([what], count)
        yield held
        yield happened
