"""The text of the metrics, the server that gives it out, and what a process tells of itself."""

from __future__ import annotations

import asyncio
import gc
import http.client
import socket
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.app.config import ConfigError
from engine.app.metrics import Metrics, served
from engine.app.process_metrics import GcPauses, Histogram, LoopLag
from engine.model.address import Address
from engine.model.config import Config, MetricsSection


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def config(host: str = "127.0.0.1", token: str = "") -> Config:
    return Config(metrics=MetricsSection(listen=Address(host, free_port(host)), token=token))


def ask(at: Address, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(at.host, at.port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def test_a_process_tells_of_itself() -> None:
    metrics = Metrics("engine")
    with served(metrics, config()) as at:
        assert at is not None
        status, text = await asyncio.to_thread(ask, at)
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["ringward_build_info"].samples[0].labels["process"] == "engine"
    assert families["ringward_event_loop_lag_seconds"].type == "histogram"
    assert "process_resident_memory_bytes" in families
    assert all(family.documentation for family in families.values())


@pytest.fixture
async def guarded() -> Iterator[Address]:  # type: ignore[misc]  # an async generator of pytest-asyncio
    with served(Metrics("engine"), config(token="secret-word")) as at:
        assert at is not None
        yield at


async def test_the_token_is_asked_for(guarded: Address) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret-word"}):
        status, text = await asyncio.to_thread(ask, guarded, **headers)
        assert (status, text) == (401, "")
    status, _ = await asyncio.to_thread(ask, guarded, Authorization="Bearer secret-word")
    assert status == 200


async def test_there_is_one_page_to_read(guarded: Address) -> None:
    secret = {"Authorization": "Bearer secret-word"}
    assert (await asyncio.to_thread(ask, guarded, "/", **secret))[0] == 404
    assert (await asyncio.to_thread(ask, guarded, "/metrics", "POST", **secret))[0] == 405


async def test_an_ipv6_address_can_be_listened_on() -> None:
    with served(Metrics("engine"), config("::1")) as at:
        assert at is not None
        assert (await asyncio.to_thread(ask, at))[0] == 200


async def test_port_0_listens_nowhere() -> None:
    with served(Metrics("engine"), Config()) as at:
        assert at is None


async def test_a_taken_port_is_said() -> None:
    taken = config()
    refused = pytest.raises(ConfigError, match=r"metrics\.listen: .* in use")
    with served(Metrics("one"), taken), refused, served(Metrics("two"), taken):
        pass


def test_a_histogram_counts_each_value_once() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.add(value)
    samples = {
        (sample.name, sample.labels.get("le", "")): sample.value
        for sample in histogram.family("h", "help").samples
    }
    assert samples[("h_bucket", "0.1")] == 2
    assert samples[("h_bucket", "1.0")] == 3
    assert samples[("h_bucket", "+Inf")] == samples[("h_count", "")] == 4
    assert samples[("h_sum", "")] == pytest.approx(7.65)
    assert histogram.largest == 7.0


async def test_a_loop_that_is_held_up_shows() -> None:
    lag = LoopLag()
    lag.start()
    due = asyncio.Event()
    asyncio.get_running_loop().call_later(0.12, due.set)
    held_until = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < held_until:
        pass
    await due.wait()
    lag.stop()
    assert 0.2 < lag.seconds.largest < 20.0


def test_collections_are_counted_and_timed() -> None:
    pauses = GcPauses()
    pauses.start()
    gc.collect()
    gc.collect(0)
    pauses.stop()
    gc.collect()
    assert pauses.collections[2] == 1
    assert pauses.collections[0] >= 1
    assert 0 < pauses.longest_s <= sum(pauses.seconds)
