"""Transcription in a process of its own: `python -m recordings.worker`.

Recognition takes a core for seconds, and a broken model can end the process it runs in; neither may touch a
call. One job a line comes in on stdin, one answer a line goes out on stdout, in order:

    {"id": "1", "path": "/…/r.rwc", "languages": ["en", "en"], "models": {"en": "/…/en"}, "key": null}
    {"id": "1", "transcript": {"recording_id": …, "segments": […]}}
    {"id": "1", "error": {"kind": "model_missing", "message": "there is no speech model at …"}}

Loaded models are kept. A job that fails does not end the worker; the end of stdin or of its parent does.
"""

import base64
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from recordings.capture import Capture
from recordings.errors import (
    KeyRequired,
    ModelMissing,
    ModelUnusable,
    NotACapture,
    RecordingError,
    WrongKey,
)
from recordings.parent import die_with_parent
from recordings.transcripts import Transcript, transcribe_capture
from recordings.vosk_recognizer import VoskRecognizer


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One capture to transcribe: languages of caller and callee, model folders by language, key in base64."""

    id: str
    path: Path
    languages: tuple[str, str]
    models: dict[str, Path]
    key: str | None = None


class JobError(msgspec.Struct, frozen=True):
    """`kind` is a slug: bad_job, not_found, not_a_capture, key_required, wrong_key, model_missing,
    model_unusable or failed; `message` is for an operator.
    """

    kind: str
    message: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Either a transcript or an error. `id` is empty where the job could not be read."""

    id: str
    transcript: Transcript | None = None
    error: JobError | None = None


_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ModelMissing, "model_missing"),
    (ModelUnusable, "model_unusable"),
    (KeyRequired, "key_required"),
    (WrongKey, "wrong_key"),
    (NotACapture, "not_a_capture"),
    (FileNotFoundError, "not_found"),
    (RecordingError, "failed"),
    (OSError, "failed"),
    (ValueError, "bad_job"),
)


class Worker:
    """Answers jobs one by one, keeping the models it has loaded."""

    def __init__(self) -> None:
        self._loaded: dict[Path, VoskRecognizer] = {}

    def answer(self, line: bytes) -> Answer:
        """Do the job in `line`; never raises for what the line or its files contain."""
        try:
            job = msgspec.json.decode(line, type=Job, dec_hook=_decode)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Answer(id="", error=JobError("bad_job", str(error)))
        try:
            return Answer(id=job.id, transcript=self._transcribe(job))
        except tuple(kind for kind, _ in _KINDS) as error:
            slug = next(slug for kind, slug in _KINDS if isinstance(error, kind))
            return Answer(id=job.id, error=JobError(slug, str(error)))

    def _transcribe(self, job: Job) -> Transcript:
        wanted = {language: job.models[language] for language in set(job.languages) & set(job.models)}
        with Capture.open(job.path, None if job.key is None else base64.b64decode(job.key)) as capture:
            recognisers = {language: self._recogniser(folder) for language, folder in wanted.items()}
            return transcribe_capture(capture, recognisers, job.languages)

    def _recogniser(self, folder: Path) -> VoskRecognizer:
        if folder not in self._loaded:
            self._loaded[folder] = VoskRecognizer(folder)
        return self._loaded[folder]


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"no such field type: {kind}")


def _encode(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no such field type: {type(value)}")


def encode_job(job: Job) -> bytes:
    """A job as the line the worker reads."""
    return msgspec.json.encode(job, enc_hook=_encode) + b"\n"


def decode_answer(line: bytes) -> Answer:
    """The answer in a line the worker wrote; msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Answer)


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer until `jobs` ends or nobody reads `answers` any more."""
    worker = Worker()
    for line in jobs:
        try:
            answers.write(msgspec.json.encode(worker.answer(line)) + b"\n")
            answers.flush()
        except BrokenPipeError:
            return


def main() -> None:
    """Serve on the standard streams, and die with the parent even in the middle of a job."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the parent's to handle
    # Libraries that print must not spoil the answers: they get stderr as their stdout.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
