"""Metrics of a real engine process: what is scraped after real calls is exactly what they were."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.sip.message import Request, Response
from tests.app.test_engine_process import RED, Engine
from tests.app.test_metrics import free_port
from tests.runtime.bench import read, reply
from tests.runtime.net import PATIENCE_S
from tests.wire.test_trace import clean_call

pytestmark = pytest.mark.wire

Samples = dict[str, float]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path)
    with (tmp_path / "ringward.toml").open("a") as file:
        file.write(f'[metrics]\nlisten = "{engine.host}:{free_port(engine.host)}"\n')
    await engine.start()
    yield engine
    await engine.stop()


async def scrape(engine: Engine) -> Samples:
    """Sample with its labels → value, as Prometheus' own parser reads them."""
    found = re.search(r'\[metrics\]\nlisten = "(.+)"', (engine.folder / "ringward.toml").read_text())
    assert found is not None

    def get() -> str:
        with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=PATIENCE_S) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            return str(answer.read().decode())

    samples: Samples = {}
    for family in text_string_to_metric_families(await asyncio.to_thread(get)):
        assert family.name.startswith(("ringward_", "process_"))
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            assert re.search(r"[0-9]{7}", labels) is None, "a number, or an id, in a label"
            samples[f"{sample.name}{{{labels}}}"] = sample.value
    return samples


async def test_the_figures_are_those_of_the_calls(engine: Engine) -> None:
    before = await scrape(engine)
    for _ in range(2):
        await clean_call(engine)
    for _ in range(3):
        write = engine.invite(RED)
        answer = await read(engine.carrier, "608")
        assert isinstance(answer, Response)
        engine.send(write("ACK", 1, answer))
        await read(engine.phone, "MESSAGE")
    after = await scrape(engine)
    async with asyncio.timeout(PATIENCE_S):
        while (
            after["ringward_sip_requests_total{method=ACK,transport=udp,way=in}"] < 5  # on its way
            or not after["ringward_event_loop_lag_seconds_count{}"]
        ):
            after = await scrape(engine)
    grown = {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if re.match(r"ringward_(calls|screened|sip_req)", name) and value != before.get(name, 0)
    }
    assert grown == {
        "ringward_calls_started_total{direction=inbound}": 5,
        "ringward_calls_ended_total{action=allow,blame=caller,direction=inbound,reason=hung_up}": 2,
        "ringward_calls_ended_total{action=reject,blame=policy,direction=inbound,reason=rejected}": 3,
        "ringward_screened_calls_total{action=allow,rule=no_rule}": 2,
        "ringward_screened_calls_total{action=reject,rule=policy}": 3,
        "ringward_sip_requests_total{method=INVITE,transport=udp,way=in}": 7,
        "ringward_sip_requests_total{method=ACK,transport=udp,way=in}": 5,
        "ringward_sip_requests_total{method=BYE,transport=udp,way=in}": 2,
        "ringward_sip_requests_total{method=INVITE,transport=udp,way=out}": 2,
        "ringward_sip_requests_total{method=ACK,transport=udp,way=out}": 2,
        "ringward_sip_requests_total{method=BYE,transport=udp,way=out}": 2,
        "ringward_sip_requests_total{method=MESSAGE,transport=udp,way=out}": 3,
    }
    assert after["ringward_sip_retransmissions_total{way=received}"] == 2
    assert after["ringward_calls{state=connected}"] == 0
    assert after["ringward_hot_table_rows{}"] == 1
    assert after["ringward_hot_table_lookups_total{}"] >= 5  # some are looked up before their INVITE is read
    assert after["ringward_media_worker_up{}"] == 1
    assert after["ringward_bus_status{status=off}"] == 1
    assert after["ringward_journal_lost_events_total{}"] == 0
    assert after["ringward_journal_batches_total{}"] > before["ringward_journal_batches_total{}"]


async def test_what_cannot_be_read_and_what_is_up_show(engine: Engine) -> None:
    engine.send(b"nonsense")
    engine.send(b"SIP/2.0 200 OK\r\n\r\n")
    engine.invite("+8613800000001")
    invite = await read(engine.phone, "INVITE")
    assert isinstance(invite, Request)
    found = await scrape(engine)
    async with asyncio.timeout(PATIENCE_S):
        while not found.get(
            "ringward_sip_responses_total{class=2xx,transport=udp,way=in}"
        ):  # told by the tick
            found = await scrape(engine)
    assert found["ringward_sip_discarded_total{reason=malformed}"] == 2
    assert found["ringward_sip_requests_total{method=other,transport=udp,way=in}"] == 1
    assert found["ringward_sip_responses_total{class=2xx,transport=udp,way=in}"] == 1
    assert found["ringward_calls{state=routed}"] == 1
    assert found["ringward_sip_held{kind=calls}"] == 1
    engine.phone.send(reply(invite, 486, engine.phone), (engine.host, 5060))  # so that nothing is drained
    await read(engine.carrier, "486")
