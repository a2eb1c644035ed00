"""Recordings that an engine took to its grave are ended by what the media worker left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.app.closing import GRACE, Closing
from engine.app.config import load_config
from engine.model.config import Config
from engine.model.events import AnyEvent, CallStarted, Party, PolicyLoaded, Record, RecordingStarted
from engine.model.ids import CallId, EventId, NumberId, RecordingId, TenantId
from engine.store.entries import LeadRule
from engine.store.store import Store
from recordings.archive import Archive
from recordings.manifest import ENGINE_ENDED, Manifest, manifest_path, write_manifest

TENANT = TenantId("default")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLING, CALLED = Party("+8613900000001", NumberId("n1")), Party("+8613800138000", NumberId("n2"))
MANIFEST = Manifest(
    recording_id="r1",
    tenant=TENANT,
    call_id="c1",
    started_at=START,
    ended_at=START + timedelta(seconds=5),
    codecs=("PCMA", "PCMA"),
    cipher="none",
    number_ids=("n1", "n2"),
    reason="worker_stopped",
    interrupted=True,
    samples=(40_000, 39_840),
    chunks=10,
    damaged_chunks=0,
    bytes=81_000,
    sha256="ab" * 32,
    head="cd" * 32,
)


def record(boot: int, seq: int, event: AnyEvent) -> Record:
    at = START.timestamp() + boot
    return Record(id=EventId("node-1", boot, seq), tenant=TENANT, at=at, event=event)


CALL, RECORDING = CallId("c1"), RecordingId("r1")
BEGUN: tuple[AnyEvent, ...] = (
    CallStarted(call_id=CALL, direction="inbound", trunk="carrier", calling=CALLING, called=CALLED),
    RecordingStarted(
        call_id=CALL,
        recording_id=RECORDING,
        path=f"{TENANT}/2026/03/01/r1.rwc",
        left=CALLING,
        right=CALLED,
    ),
)
NEXT_BOOT = PolicyLoaded(version="1")


class World:
    def __init__(self, config: Config, store: Store) -> None:
        self.store = store
        self.archive = Archive(config.recordings_folder)
        self.now = START + timedelta(minutes=5)
        self.done: list[str] = []
        self.closing = Closing(config, store.recordings, self.archive, lambda: self.now, self.done.append)

    def leave(self, manifest: Manifest = MANIFEST) -> None:
        """What the media worker writes last."""
        path = self.archive.new_path(TENANT, manifest.recording_id, START)
        write_manifest(manifest_path(path), manifest)

    async def die(self) -> None:
        """The engine dies with its call, and the next one begins."""
        await self.store.ship([record(1, seq, event) for seq, event in enumerate(BEGUN)])
        await self.store.ship([record(2, 0, NEXT_BOOT)])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    config = load_config(environment={})
    config = msgspec.structs.replace(config, data=msgspec.structs.replace(config.data, folder=tmp_path))
    store = await Store.open(
        config.store_url, file_number=lambda tenant, number: NumberId(number), lead_rule=LeadRule()
    )
    yield World(config, store)
    await store.close()


async def test_closed_as_the_manifest_says_and_transcribed(world: World) -> None:
    await world.die()
    world.leave()
    await world.closing.look()
    await world.closing.look()
    found = await world.store.recordings.get_recording(TENANT, RECORDING)
    assert found is not None
    assert (found.closed_at, found.duration_ms, found.digest) == (MANIFEST.ended_at, 5_000, "ab" * 32)
    assert (found.interrupted, found.size_bytes, found.transcription) == (True, 81_000, "new")
    assert world.done == [RECORDING]


async def test_a_whole_file_of_a_call_that_was_cut_is_marked(world: World) -> None:
    """The media worker outlived its engine by the moment that it took to close the file."""
    await world.die()
    world.leave(msgspec.structs.replace(MANIFEST, reason=ENGINE_ENDED, interrupted=False))
    await world.closing.look()
    found = await world.store.recordings.get_recording(TENANT, RECORDING)
    assert found is not None and found.interrupted


async def test_the_end_may_still_come_the_usual_way(world: World) -> None:
    await world.die()
    world.leave()
    world.now = START + timedelta(seconds=2) + GRACE
    await world.closing.look()
    assert world.done == []


async def test_not_while_the_call_is_up(world: World) -> None:
    await world.store.ship([record(1, seq, event) for seq, event in enumerate(BEGUN)])
    world.leave()
    await world.closing.look()
    assert world.done == []


async def test_what_is_not_finished_waits(world: World) -> None:
    await world.die()
    await world.closing.look()
    assert world.done == []
    world.leave()
    await world.closing.look()
    assert world.done == [RECORDING]


async def test_erased_sound_is_not_transcribed(world: World) -> None:
    await world.die()
    world.leave(msgspec.structs.replace(MANIFEST, deleted_at=START, deleted_for="request"))
    await world.closing.look()
    found = await world.store.recordings.get_recording(TENANT, RECORDING)
    assert found is not None and found.closed_at is not None and found.transcription == ""


async def test_a_damaged_manifest_changes_nothing(world: World) -> None:
    await world.die()
    path = manifest_path(world.archive.new_path(TENANT, RECORDING, START))
    path.write_text("{")
    await world.closing.look()
    assert world.done == []


def test_a_manifest_is_not_for_everybody(world: World) -> None:
    world.leave()
    path = manifest_path(world.archive.new_path(TENANT, RECORDING, START))
    assert path.stat().st_mode & 0o007 == 0
