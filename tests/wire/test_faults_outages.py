"""Real engine, centre, broker and store under calls while one of them fails: nothing is lost or doubled.

Each outage lasts seconds here and a minute in `make soak`; the proof by event ids is the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.peers.ringward import Site
from lab.soak.outages import OUTAGES, Outage, outage
from lab.soak.postgres import Postgres, PostgresMissing
from lab.soak.system import System
from tests.wire.ports import XDIST, free_ports

pytestmark = pytest.mark.wire

SITE = Site(f"127.{60 + XDIST}")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(SITE, tmp_path, free_ports(24_000))
    try:
        await system.start()
        yield system
    finally:
        await system.stop()


async def test_calls_go_on_and_nothing_is_lost_or_doubled(system: System) -> None:
    for name, which in OUTAGES.items():
        found = await outage(which, 5.0 if name == "media worker hung" else 1.5, system)
        assert found.whole, (name, found)
        assert found.calls >= 10, (name, found)
        assert found.statuses == {200: found.calls}, (name, found)
        assert found.cut == 0, (name, found)
        assert found.alarms == list(which.alarms), name
        said = "\n".join(system.centre.lines)
        assert said.count("nothing is shipped") == said.count("takes events again") == 1, name
    assert "\n".join(system.engine.lines).count("journal_failing") == 1
    assert all(ended for _, ended, _ in await system.stored_calls())


async def test_a_postgresql_that_crashes(tmp_path: Path) -> None:
    try:
        postgres = Postgres()
    except PostgresMissing as error:
        pytest.skip(str(error))
    system = System(SITE, tmp_path, free_ports(24_000), postgres.url)
    try:
        await postgres.start()
        await system.start()
        found = await outage(Outage(postgres.down), 1.5, system)
        await system.centre.stop(grace_s=20.0)
        said = "\n".join(system.centre.lines)
    finally:
        await system.stop()
        await postgres.close()
    assert found.whole, found
    assert found.statuses == {200: found.calls}, found
    assert found.alarms == []
    assert said.count("nothing is shipped") == said.count("takes events again") == 1
    assert "ended in an error" not in said  # of the dialler, the transcriber and the others
