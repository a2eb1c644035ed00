"""A worker and what goes through it, on the loop that our processes run on: sockets fail otherwise there."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.runtime.bench import Bench
from tests.wire.exchange_kit import Exchange


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.close()


@pytest.fixture
def exchange(bench: Bench) -> Exchange:
    return Exchange(bench)
