"""Transcription jobs: done once, tried again where another try may help, told to open pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.app.config import load_config
from engine.app.transcription import MOST_ATTEMPTS, RETRY_AFTER, Transcription
from engine.model.events import RecordingClosed, RecordingStarted
from engine.model.ids import CallId, RecordingId, TenantId
from engine.store.entries import LeadRule
from engine.store.store import Store
from recordings.archive import Archive
from recordings.g711 import Codec
from recordings.writer import CaptureWriter
from tests.store.conftest import EPOCH, Node, file_number, party

LAB = TenantId("lab")
MODEL = Path(__file__).parents[2] / "lab" / "speech" / "models" / "en"
START = datetime.fromtimestamp(EPOCH, UTC)
PATIENCE_S = 60.0

needs_model = pytest.mark.skipif(not MODEL.is_dir(), reason=f"no Vosk model at {MODEL}")


class World:
    def __init__(self, folder: Path, store: Store, models: dict[str, Path]) -> None:
        self.store = store
        self.now = START + timedelta(minutes=5)
        config = load_config(environment={})
        replace = msgspec.structs.replace
        self.archive = Archive(folder / "recordings")
        config = replace(config, tenant="lab", speech=replace(config.speech, models=models))
        self.done: asyncio.Queue[str] = asyncio.Queue()
        self.transcription = Transcription(
            config, store.jobs, self.archive, lambda: self.now, self.done.put_nowait
        )
        self._task = asyncio.create_task(self.transcription.run())

    async def record(self, recording_id: str, data: bytes = b"", *, missing: bool = False) -> None:
        """A call's recording of two seconds of silence, a file of these bytes, or none."""
        path = self.archive.new_path("lab", recording_id, START)
        if data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        elif not missing:
            await asyncio.to_thread(silence, path, recording_id)
        node = Node(name=f"node-{recording_id}")
        call, recording = CallId(f"c-{recording_id}"), RecordingId(recording_id)
        relative = self.archive.relative(path)
        left, right = party("+8617000000003", LAB), party("+8613800138000", LAB)
        events = [
            *node.call(call),
            node.record(
                2,
                RecordingStarted(call_id=call, recording_id=recording, path=relative, left=left, right=right),
            ),
            node.record(
                60,
                RecordingClosed(
                    call_id=call,
                    recording_id=recording,
                    path=relative,
                    duration_ms=2000,
                    size_bytes=32_000,
                    digest="ab" * 32,
                    languages=("en", "en"),
                ),
            ),
        ]
        await self.store.ship(events)

    async def told(self) -> str:
        return await asyncio.wait_for(self.done.get(), PATIENCE_S)

    async def waiting(self) -> bool:
        """Whether a job is to be done some day."""
        return await self.store.jobs.lease_job(self.now + timedelta(days=1), 1.0, "a test") is not None

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def silence(path: Path, recording_id: str) -> None:
    writer = CaptureWriter(
        path,
        recording_id=recording_id,
        tenant="lab",
        call_id="call-1",
        started_at=START,
        codecs=(Codec.PCMA, Codec.PCMA),
    )
    for channel in (0, 1):
        writer.write(channel, 0, b"\xd5" * 16_000)
    writer.close("bye")


@pytest.fixture
def models() -> dict[str, Path]:
    return {"en": MODEL}


@pytest.fixture
async def world(tmp_path: Path, models: dict[str, Path]) -> AsyncIterator[World]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite'}"
    async with await Store.open(url, file_number=file_number, lead_rule=LeadRule()) as store:
        world = World(tmp_path, store, models)
        yield world
        await world.close()


@needs_model
async def test_recordings_are_transcribed_one_after_the_other(world: World) -> None:
    await world.record("r1")
    await world.record("r2")
    assert [await world.told(), await world.told()] == ["r1", "r2"]
    assert not await world.waiting()


@pytest.mark.parametrize("models", [{"en": Path("/nowhere/en")}, {}])
async def test_a_missing_model_is_not_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.record("r1")
    assert await world.told() == "r1"
    assert not await world.waiting()
    assert "was not transcribed" in caplog.text


@needs_model
async def test_a_file_that_is_no_recording_is_not_tried_again(world: World) -> None:
    await world.record("r1", b"nonsense" * 100)
    assert await world.told() == "r1"
    assert not await world.waiting()


async def test_a_missing_file_is_tried_again_and_given_up(world: World) -> None:
    """Its disk may be mounted again."""
    await world.record("r1", missing=True)
    for _ in range(MOST_ATTEMPTS):
        assert await world.told() == "r1"
        assert world.done.empty()
        world.now += RETRY_AFTER
    assert not await world.waiting()
