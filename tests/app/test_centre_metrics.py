"""The centre's figures: what is shipped and what waits, leads, and a store that is down."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from engine.app.centre_metrics import CentreMetrics
from tests.app.shipping import World, tell


async def figures(centre: CentreMetrics) -> dict[str, float]:
    text = (await centre.text()).decode()
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_is_shipped_and_what_waits(world: World) -> None:
    centre = CentreMetrics({("GET", "/", "2xx"): 3}, world.shipping, world.store.leads)
    journal = world.node("node-1")
    tell(journal, "one", "two")
    world.start()
    await world.until(["one", "two"])
    await world.stop()
    tell(journal, "three")
    assert journal.flush(20)
    found = await figures(centre)
    assert found["ringward_http_requests_total['/', '2xx', 'GET']"] == 3
    assert found["ringward_store_up[]"] == 1
    assert found["ringward_shipper_events_total[]"] == 2
    assert found["ringward_shipper_waiting_batches['node-1']"] == 1
    assert found["ringward_shipper_delay_seconds[]"] > 86_400  # the journal's clock stands in the past


async def test_a_store_that_is_down_is_a_figure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    centre = CentreMetrics({}, world.shipping, world.store.leads)
    assert (await figures(centre))["ringward_store_up[]"] == 1

    async def down() -> dict[str, int]:
        raise OperationalError("no store", None, Exception())

    monkeypatch.setattr(world.store.leads, "count_by_state", down)
    found = await figures(centre)
    assert found["ringward_store_up[]"] == 0
    assert not [name for name in found if name.startswith("ringward_leads")]
