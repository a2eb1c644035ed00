"""A worker and what goes through it, on the loop that our processes run on: sockets fail otherwise there."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.runtime.bench import Bench
from tests.wire.edge_kit import EdgeLab
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


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[EdgeLab]:
    """A real edge, and the engine beside it."""
    lab = EdgeLab(tmp_path)
    await lab.start()
    yield lab
    await lab.close()
