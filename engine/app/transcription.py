"""Transcription jobs: leased from the store, done by a worker process, written back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from engine.model.config import Config
from engine.store.entries import TranscriptionJob
from engine.store.recordings import JobRepository
from recordings.archive import Archive
from recordings.client import JobFailed, TranscriptionWorker
from recordings.worker import Job

LOOK_S = 0.5
LEASE_S = 600.0
RETRY_AFTER = timedelta(seconds=30)
MOST_ATTEMPTS = 3
FINAL_KINDS = ("model_missing", "model_unusable", "not_a_capture", "key_required", "wrong_key")
"""What another try would not mend."""

_log = logging.getLogger(__name__)


class Transcription:
    """Takes jobs one after the other. `on_done` is told each recording whose transcript changed."""

    def __init__(
        self,
        config: Config,
        jobs: JobRepository,
        archive: Archive,
        now: Callable[[], datetime],
        on_done: Callable[[str], None],
    ) -> None:
        self._config = config
        self._jobs = jobs
        self._archive = archive
        self._now = now
        self._on_done = on_done
        self._worker = TranscriptionWorker()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    job = await self._jobs.lease_job(self._now(), LEASE_S, self._config.node.id)
                    if job is not None:
                        await self._do(job)
                        continue
                except SQLAlchemyError as error:
                    _log.error("transcription jobs could not be read or written: %s", error)
                await asyncio.sleep(LOOK_S)
        finally:
            await self._worker.close()

    async def _do(self, job: TranscriptionJob) -> None:
        try:
            transcript = await self._worker.transcribe(
                Job(
                    id=job.recording_id,
                    path=self._archive.locate(job.path),
                    languages=job.languages,
                    models=self._config.speech.models,
                )
            )
        except (JobFailed, ValueError) as error:
            kind = error.kind if isinstance(error, JobFailed) else "bad_job"
            again = kind not in FINAL_KINDS and job.attempts < MOST_ATTEMPTS
            _log.warning("recording %s was not transcribed: %s", job.recording_id, error)
            await self._jobs.fail_job(job, str(error), self._now() + RETRY_AFTER if again else None)
        else:
            await self._jobs.finish_job(job, transcript, self._now())
        self._on_done(job.recording_id)
