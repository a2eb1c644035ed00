"""`/metrics` of the console, and what it counts of its own requests."""

from __future__ import annotations

import dataclasses

import httpx
import msgspec

from engine.model.config import MetricsSection
from tests.console.conftest import ask
from tests.console.seed import World


def told(world: World, token: str = "") -> World:
    async def text() -> bytes:
        return b"some_metric 1\n"

    config = msgspec.structs.replace(world.services.config, metrics=MetricsSection(token=token))
    return dataclasses.replace(
        world, services=dataclasses.replace(world.services, config=config, metrics=text)
    )


async def test_the_text_is_given_to_loopback_only(world: World) -> None:
    async with ask(told(world)) as client:
        answer = await client.get("/metrics")
        assert (answer.status_code, answer.text) == (200, "some_metric 1\n")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert (await client.get("/metrics", headers={"host": "console.example"})).status_code == 421


async def test_a_token_is_asked_for_where_one_is_set(world: World) -> None:
    async with ask(told(world, "secret-word")) as client:
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"authorization": "Bearer wrong"})).status_code == 401
        right = {"authorization": "Bearer secret-word"}
        assert (await client.get("/metrics", headers=right)).status_code == 200


async def test_without_figures_there_is_no_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/metrics")).status_code == 404


async def test_requests_are_counted_by_route_whatever_is_asked(world: World) -> None:
    async with ask(world) as client:
        await client.get("/")
        await client.get("/calls/one")
        await client.get("/calls/two")
        await client.request("BREW", "/coffee/+8613800138000")
        await client.get("/", headers={"host": "evil.example"})
    assert world.services.requests == {
        ("GET", "/", "2xx"): 1,
        ("GET", "/calls/{call_id}", "4xx"): 2,
        ("other", "other", "4xx"): 1,
        ("GET", "other", "4xx"): 1,
    }
