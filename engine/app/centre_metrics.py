"""The figures of the centre: pages asked for, journals shipped, leads waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from engine.app.metrics import Metrics
from engine.app.shipping import Shipping
from engine.console.requests import Requests
from engine.store.leads import LeadRepository

_log = logging.getLogger(__name__)


class CentreMetrics(Collector):
    """`text` asks store and journals, then reads the rest; a store that is down is a figure too."""

    def __init__(self, requests: Requests, shipping: Shipping, leads: LeadRepository) -> None:
        self._requests = requests
        self._shipping = shipping
        self._lead_repository = leads
        self._leads: dict[str, int] = {}
        self._store_up = False
        self._behind: dict[str, int] = {}
        self.metrics = Metrics("console", self)

    async def text(self) -> bytes:
        try:
            self._leads = await self._lead_repository.count_by_state()
            self._store_up = True
        except SQLAlchemyError as error:
            _log.warning("leads could not be counted: %s", error)
            self._leads, self._store_up = {}, False
        self._behind = await asyncio.to_thread(self._shipping.behind)
        return self.metrics.text()

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "ringward_http_requests",
            "Requests to the console; route other: no page of ours.",
            labels=["method", "route", "status"],
        )
        for key, count in dict(self._requests).items():
            requests.add_metric(key, count)
        yield requests
        yield GaugeMetricFamily(
            "ringward_store_up", "1 if the store answered just now.", value=float(self._store_up)
        )
        leads = GaugeMetricFamily("ringward_leads", "Likely victims to call back.", labels=["state"])
        for state, count in self._leads.items():
            leads.add_metric([state], count)
        yield leads
        behind = GaugeMetricFamily(
            "ringward_shipper_waiting_batches",
            "Batches of a node's journal that are not in the store.",
            labels=["node"],
        )
        for node, count in self._behind.items():
            behind.add_metric([node], count)
        yield behind
        yield CounterMetricFamily(
            "ringward_shipper_events", "Events brought into the store.", value=self._shipping.shipped
        )
        yield GaugeMetricFamily(
            "ringward_shipper_delay_seconds",
            "Age of the last event when it came into the store.",
            value=self._shipping.delay_s,
        )
