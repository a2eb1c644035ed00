"""Recordings, their transcripts, and the jobs that make transcripts.

Jobs are leased and done at least once: a worker that dies loses its lease, another takes the job, and a
result stored twice is the same rows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, Select, delete, exists, or_, select, update

from engine.model.ids import CallId, RecordingId, TenantId
from engine.store import tables as t
from engine.store.database import Database
from engine.store.entries import RecordingEntry, TranscriptionJob
from engine.store.folding import new_job
from engine.store.numbers import filed, with_numbers
from engine.store.tokens import search_tokens
from recordings.manifest import Manifest
from recordings.transcripts import Segment, Transcript, Word


class RecordingRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_recordings(
        self, tenant: TenantId, *, limit: int = 50, before: datetime | None = None
    ) -> list[RecordingEntry]:
        """Recordings, newest first; `before` an instant: those that began earlier, for the next page."""
        r = t.recording.c
        statement = _recordings(tenant).order_by(r.started_at.desc(), r.recording_id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(r.started_at < before)
        async with self._database.read() as connection:
            return [_recording(row) for row in await connection.execute(statement)]

    async def get_recording(self, tenant: TenantId, recording_id: RecordingId) -> RecordingEntry | None:
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    _recordings(tenant).where(t.recording.c.recording_id == recording_id)
                )
            ).one_or_none()
        return None if row is None else _recording(row)

    async def list_unclosed(self, tenant: TenantId, before: datetime) -> list[RecordingEntry]:
        """Recordings without an end whose call ended before that instant, the oldest first."""
        r, c = t.recording.c, t.call.c
        ended = exists().where(c.tenant_id == r.tenant_id, c.call_id == r.call_id, c.ended_at < before)
        statement = _recordings(tenant).where(r.closed_at.is_(None), ended).order_by(r.started_at)
        async with self._database.read() as connection:
            return [_recording(row) for row in await connection.execute(statement)]

    async def close_recording(
        self, tenant: TenantId, manifest: Manifest, languages: tuple[str, str], now: datetime
    ) -> bool:
        """End a recording as its manifest says, and have it transcribed; False where it has an end."""
        r = t.recording.c
        async with self._database.write() as connection:
            closed = await connection.execute(
                update(t.recording)
                .where(
                    r.tenant_id == tenant,
                    r.recording_id == manifest.recording_id,
                    r.closed_at.is_(None),
                )
                .values(
                    closed_at=manifest.ended_at,
                    duration_ms=round(manifest.duration_s * 1000),
                    size_bytes=manifest.bytes,
                    digest=manifest.sha256,
                    interrupted=manifest.cut_short,
                    left_language=languages[0],
                    right_language=languages[1],
                )
            )
            if not closed.rowcount:
                return False
            if manifest.duration_s > 0 and not manifest.deleted:
                job = new_job(tenant, RecordingId(manifest.recording_id), now)
                insert = self._database.insert(t.transcription_job)
                await connection.execute(insert.on_conflict_do_nothing(), [job])
        return True

    async def get_transcript(self, tenant: TenantId, recording_id: RecordingId) -> Transcript | None:
        """The newest transcript, whichever model made it; None while there is none."""
        r, s = t.transcript.c, t.segment.c
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    select(t.transcript)
                    .where(r.tenant_id == tenant, r.recording_id == recording_id)
                    .order_by(r.created_at.desc(), r.model, r.version)
                    .limit(1)
                )
            ).one_or_none()
            if row is None:
                return None
            segments = await connection.execute(
                select(t.segment)
                .where(
                    s.tenant_id == tenant,
                    s.recording_id == recording_id,
                    s.model == row.model,
                    s.version == row.version,
                )
                .order_by(s.position)
            )
            return Transcript(
                recording_id=recording_id,
                model=row.model,
                version=row.version,
                languages=(row.left_language, row.right_language),
                duration_ms=row.duration_ms,
                segments=tuple(_segment(segment) for segment in segments),
            )


class JobRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def lease_job(self, now: datetime, lease_s: float, worker: str) -> TranscriptionJob | None:
        """Take the longest-waiting job, of any tenant, that is due or whose lease has run out."""
        j, r = t.transcription_job.c, t.recording.c
        async with self._database.write() as connection:
            row = (
                await connection.execute(
                    select(t.transcription_job, r.path, r.left_language, r.right_language)
                    .join(t.recording, (r.tenant_id == j.tenant_id) & (r.recording_id == j.recording_id))
                    .where(
                        or_(
                            (j.state == "new") & (j.due_at <= now),
                            (j.state == "leased") & (j.lease_until <= now),
                        )
                    )
                    .order_by(j.due_at, j.tenant_id, j.recording_id)
                    .limit(1)
                    .with_for_update(of=t.transcription_job, skip_locked=True)
                )
            ).one_or_none()
            if row is None:
                return None
            lease_until = now + timedelta(seconds=lease_s)
            await connection.execute(
                update(t.transcription_job)
                .where(j.tenant_id == row.tenant_id, j.recording_id == row.recording_id)
                .values(state="leased", lease_until=lease_until, leased_by=worker, attempts=row.attempts + 1)
            )
        return TranscriptionJob(
            tenant=TenantId(row.tenant_id),
            recording_id=RecordingId(row.recording_id),
            path=row.path,
            languages=(row.left_language, row.right_language),
            attempts=row.attempts + 1,
            lease_until=lease_until,
        )

    async def finish_job(self, job: TranscriptionJob, transcript: Transcript, now: datetime) -> None:
        """Store the result and end the job, in one transaction, whoever holds the lease by now.

        A result for the same recording, model and version is replaced, so a job done twice does no harm.
        """
        key = {
            "tenant_id": job.tenant,
            "recording_id": job.recording_id,
            "model": transcript.model,
            "version": transcript.version,
        }
        j = t.transcription_job.c
        async with self._database.write() as connection:
            await connection.execute(
                delete(t.transcript).where(*(t.transcript.c[name] == value for name, value in key.items()))
            )
            await connection.execute(
                t.transcript.insert(),
                {
                    **key,
                    "left_language": transcript.languages[0],
                    "right_language": transcript.languages[1],
                    "duration_ms": transcript.duration_ms,
                    "created_at": now,
                },
            )
            rows = [
                {
                    **key,
                    "position": position,
                    "channel": segment.channel,
                    "start_ms": segment.start_ms,
                    "end_ms": segment.end_ms,
                    "language": segment.language,
                    "text": segment.text,
                    "words": msgspec.to_builtins(segment.words),
                    "tokens": search_tokens(segment.text),
                }
                for position, segment in enumerate(transcript.segments)
            ]
            if rows:
                await connection.execute(t.segment.insert(), rows)
            await connection.execute(
                update(t.transcription_job)
                .where(j.tenant_id == job.tenant, j.recording_id == job.recording_id)
                .values(state="done", lease_until=None, leased_by=None, error="")
            )

    async def fail_job(self, job: TranscriptionJob, error: str, retry_at: datetime | None) -> None:
        """The job could not be done: try again at `retry_at`, or give up when that is None.

        Only while the lease is still ours: a job that another worker holds or has finished is left alone.
        """
        j = t.transcription_job.c
        values: dict[str, Any] = {"error": error, "lease_until": None, "leased_by": None}
        values |= {"state": "failed"} if retry_at is None else {"state": "new", "due_at": retry_at}
        async with self._database.write() as connection:
            await connection.execute(
                update(t.transcription_job)
                .where(
                    j.tenant_id == job.tenant,
                    j.recording_id == job.recording_id,
                    j.lease_until == job.lease_until,
                )
                .values(values)
            )


def _recordings(tenant: TenantId) -> Select[Any]:
    r, j = t.recording.c, t.transcription_job.c
    job = (
        select(j.state).where(j.tenant_id == r.tenant_id, j.recording_id == r.recording_id).scalar_subquery()
    )
    error = (
        select(j.error).where(j.tenant_id == r.tenant_id, j.recording_id == r.recording_id).scalar_subquery()
    )
    return with_numbers(t.recording, tenant, "left_id", "right_id").add_columns(
        job.label("transcription"), error.label("error")
    )


def _recording(row: Row[Any]) -> RecordingEntry:
    return RecordingEntry(
        recording_id=RecordingId(row.recording_id),
        call_id=CallId(row.call_id),
        path=row.path,
        left=filed(row, "left_id"),
        right=filed(row, "right_id"),
        started_at=row.started_at,
        closed_at=row.closed_at,
        duration_ms=row.duration_ms,
        size_bytes=row.size_bytes,
        digest=row.digest,
        interrupted=row.interrupted,
        languages=(row.left_language, row.right_language),
        transcription=row.transcription or "",
        error=row.error or "",
    )


def _segment(row: Row[Any]) -> Segment:
    return Segment(
        channel=row.channel,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        text=row.text,
        language=row.language,
        words=tuple(msgspec.convert(row.words, list[Word])),
    )
