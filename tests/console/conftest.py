"""The console over the small world, asked through httpx."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from engine.console.app import create_app
from tests.console.scenes import fill
from tests.console.seed import World, make_world

HOST = "http://127.0.0.1:8080"


def ask(world: World) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(world.services), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=HOST)


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Empty: the test puts in what it needs."""
    async with make_world(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with ask(world) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Over a world with a bit of everything, which tests only look at."""
    async with make_world(tmp_path_factory.mktemp("world")) as made:
        await fill(made)
        async with ask(made) as client:
            yield client


@pytest.fixture
def own_origin() -> dict[str, str]:
    return {"origin": HOST}
