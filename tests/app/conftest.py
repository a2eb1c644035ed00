"""A store of its own for each test, and journals beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.store.entries import LeadRule
from engine.store.store import Store
from tests.app.shipping import World
from tests.store.conftest import file_number


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite'}"
    async with await Store.open(url, file_number=file_number, lead_rule=LeadRule()) as store:
        world = World(tmp_path / "journal", store)
        yield world
        await world.close()
