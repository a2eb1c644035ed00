"""Recordings, transcripts, and jobs that are done at least once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.model.events import Record, RecordingClosed, RecordingStarted
from engine.model.ids import CallId, RecordingId, TenantId
from engine.store.entries import TranscriptionJob
from engine.store.store import Store
from engine.store.types import utc
from recordings.transcripts import Segment, Transcript, Word

if TYPE_CHECKING:
    from tests.store.conftest import Contents, Node

LAB = TenantId("lab")
NOW = utc(1_700_000_100.0)
LEASE_S = 60.0
LEASE = timedelta(seconds=LEASE_S)


def recorded(node: Node, n: int, duration_ms: int = 5_000, *, closed: bool = True) -> list[Record]:
    records = node.call(f"c{n}", float(n))
    party = records[0].event.calling  # type: ignore[union-attr]
    call, recording = CallId(f"c{n}"), RecordingId(f"r{n}")
    records.append(
        node.record(
            float(n),
            RecordingStarted(call_id=call, recording_id=recording, path="p", left=party, right=party),
        )
    )
    if closed:
        ended = RecordingClosed(
            call_id=call,
            recording_id=recording,
            path=f"{n}.rwc",
            duration_ms=duration_ms,
            size_bytes=1,
            digest="d",
            interrupted=True,
        )
        records.append(node.record(n + 10.0, ended))
    return records


def transcript(n: int = 0, text: str = "请转账", version: str = "1") -> Transcript:
    segments = (
        Segment(
            start_ms=100,
            end_ms=900,
            channel=0,
            language="zh-CN",
            text=text,
            words=(Word("请", 100, 300, 0.5), Word("转账", 300, 900, 0.75)),
        ),
        Segment(start_ms=1_000, end_ms=1_500, channel=1, language="en", text="No", words=()),
    )
    return Transcript(
        recording_id=f"r{n}",
        model="vosk:tiny",
        version=version,
        languages=("zh-CN", "en"),
        segments=segments,
        duration_ms=5_000,
    )


async def lease(store: Store, after_s: float = 0.0) -> TranscriptionJob | None:
    return await store.jobs.lease_job(NOW + timedelta(seconds=after_s), LEASE_S, "worker")


async def test_list_and_pages(store: Store, node: Node) -> None:
    for n in range(3):
        await store.ship(recorded(node, n))
    newest = await store.recordings.list_recordings(LAB, limit=2)
    assert [entry.recording_id for entry in newest] == ["r2", "r1"]
    rest = await store.recordings.list_recordings(LAB, before=newest[-1].started_at)
    assert [entry.recording_id for entry in rest] == ["r0"]
    assert rest[0].interrupted
    assert rest[0].left is not None
    assert rest[0].left.number == "+8617000000003"
    assert await store.recordings.list_recordings(TenantId("other")) == []
    assert await store.recordings.get_recording(LAB, RecordingId("r9")) is None


async def test_a_recording_without_sound_is_not_transcribed(store: Store, node: Node) -> None:
    await store.ship(recorded(node, 0, duration_ms=0) + recorded(node, 1, closed=False))
    assert await lease(store) is None
    states = [entry.transcription for entry in await store.recordings.list_recordings(LAB)]
    assert states == ["", ""]


async def test_a_job_is_done_once_when_all_goes_well(store: Store, node: Node) -> None:
    await store.ship(recorded(node, 0))
    assert await lease(store, -95.0) is None  # not due: the recording has not ended yet
    job = await lease(store)
    assert job == TranscriptionJob(LAB, RecordingId("r0"), "0.rwc", ("en", "en"), 1, NOW + LEASE)
    assert await lease(store) is None
    assert await store.recordings.get_transcript(LAB, RecordingId("r0")) is None
    await store.jobs.finish_job(job, transcript(), NOW)
    assert await store.recordings.get_transcript(LAB, RecordingId("r0")) == transcript()
    assert await lease(store, 10 * LEASE_S) is None
    entry = await store.recordings.get_recording(LAB, RecordingId("r0"))
    assert entry is not None
    assert entry.transcription == "done"


async def test_a_dead_workers_job_goes_to_the_next(store: Store, contents: Contents, node: Node) -> None:
    await store.ship(recorded(node, 0))
    first = await lease(store)
    assert await lease(store, LEASE_S - 1) is None
    second = await lease(store, LEASE_S)
    assert first is not None
    assert second is not None
    assert (first.attempts, second.attempts) == (1, 2)
    # The first was only slow: what becomes of it is no longer its business, but its result is as good.
    await store.jobs.fail_job(first, "late", None)
    assert [row["state"] for row in (await contents.rows("lab"))["transcription_job"]] == ["leased"]
    await store.jobs.finish_job(first, transcript(), NOW)
    await store.jobs.fail_job(second, "late", None)
    assert [row["state"] for row in (await contents.rows("lab"))["transcription_job"]] == ["done"]
    await store.jobs.finish_job(second, transcript(text="请不要转账"), NOW)
    rows = await contents.rows("lab")
    assert [row["state"] for row in rows["transcription_job"]] == ["done"]
    assert len(rows["transcript"]) == 1
    assert [row["tokens"] for row in rows["segment"]] == ["请 不 要 转 账 请不 不要 要转 转账", "no"]


async def test_a_newer_model_is_shown_and_the_older_kept(
    store: Store, contents: Contents, node: Node
) -> None:
    await store.ship(recorded(node, 0))
    job = await lease(store)
    assert job is not None
    await store.jobs.finish_job(job, transcript(text="old"), NOW)
    await store.jobs.finish_job(job, transcript(text="new", version="2"), NOW + LEASE)
    shown = await store.recordings.get_transcript(LAB, RecordingId("r0"))
    assert shown is not None
    assert (shown.version, shown.segments[0].text) == ("2", "new")
    assert len((await contents.rows("lab"))["transcript"]) == 2


@pytest.mark.parametrize("retry", [True, False])
async def test_failure(store: Store, node: Node, retry: bool) -> None:
    await store.ship(recorded(node, 0))
    job = await lease(store)
    assert job is not None
    await store.jobs.fail_job(job, "no model", NOW + 2 * LEASE if retry else None)
    assert await lease(store, 2 * LEASE_S - 1) is None
    again = await lease(store, 2 * LEASE_S)
    entry = await store.recordings.get_recording(LAB, RecordingId("r0"))
    assert entry is not None
    assert entry.error == "no model"
    if retry:
        assert again is not None
        assert again.attempts == 2
        assert entry.transcription == "leased"
    else:
        assert again is None
        assert entry.transcription == "failed"


async def test_workers_never_share_a_job(store: Store, node: Node) -> None:
    for n in range(6):
        await store.ship(recorded(node, n))
    jobs = await asyncio.gather(*(lease(store) for _ in range(8)))
    taken = [job.recording_id for job in jobs if job is not None]
    assert len(taken) == len(set(taken))
    while (job := await lease(store)) is not None:
        taken.append(job.recording_id)
    assert sorted(taken) == [f"r{n}" for n in range(6)]
