"""The parent's end of the transcription worker, for an event loop."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from typing import Final

from recordings.errors import RecordingError
from recordings.transcripts import Transcript
from recordings.worker import Job, decode_answer, encode_job

# One line holds a whole transcript: a day of talk is some tens of megabytes.
_MAX_ANSWER_BYTES: Final = 64 << 20


class JobFailed(RecordingError):
    """A job was refused. `kind` is one of `worker.JobError`'s, or `crashed`: the worker died of it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class TranscriptionWorker:
    """One worker process, started with the first job and again after it died; one job at a time.

    The process dies with the thread that started it, so call from the thread of a lasting event loop.
    """

    def __init__(self) -> None:
        self._process: Process | None = None
        self._busy = asyncio.Lock()

    async def transcribe(self, job: Job) -> Transcript:
        """The transcript of `job`; JobFailed. Cancelling it ends the process and with it the work."""
        async with self._busy:
            process = self._process
            if process is None or process.returncode is not None:
                process = await self._start()
            try:
                line = await self._exchange(process, encode_job(job))
            except BaseException:
                await self._stop()
                raise
        answer = decode_answer(line)
        if answer.transcript:
            return answer.transcript
        assert answer.error
        raise JobFailed(answer.error.kind, answer.error.message)

    async def _start(self) -> Process:
        command = (sys.executable, "-m", "recordings.worker")
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, limit=_MAX_ANSWER_BYTES
        )
        return self._process

    async def _exchange(self, process: Process, line: bytes) -> bytes:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(line)
            await process.stdin.drain()
            answer = await process.stdout.readline()
        except (ConnectionError, ValueError):
            answer = b""
        if not answer.endswith(b"\n"):
            raise JobFailed("crashed", "the transcription worker died of this recording or its model")
        return answer

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process and process.returncode is None:
            process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the worker once the job under way is done."""
        async with self._busy:
            await self._stop()
