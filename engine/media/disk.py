"""The writer thread: nothing the disk does can hold up the media loop.

The queue is bounded in bytes. A recording whose sound finds it full loses that sound and says so once; to
open and to close is never refused.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from engine.media.failures import BAD_NAME, DISK
from engine.model.ids import RecordingId, SessionId
from engine.model.media import (
    AnyMediaEvent,
    CaptureClosed,
    CaptureStarted,
    MediaFailed,
    StartCapture,
    StopCapture,
)
from engine.rtp.g711 import Law
from recordings.archive import Archive
from recordings.chain import ChainWriter, Deed
from recordings.errors import RecordingError
from recordings.g711 import Codec
from recordings.manifest import Manifest
from recordings.writer import CaptureWriter

log = logging.getLogger("ringward.media")

MAX_QUEUED_BYTES = 64 << 20

Report = Callable[[AnyMediaEvent], None]
"""Called on the writer thread."""

Piece = tuple[int, int, Law, bytes]
"""Channel, position of the first sample, law, payload."""


class Disk:
    """One thread, one chain, every capture file of this worker."""

    def __init__(
        self,
        folder: Path,
        chain: Callable[[], ChainWriter],
        report: Report,
        *,
        most_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self._archive = Archive(folder)
        self._open_chain = chain
        self._chain: ChainWriter | None = None
        self._report = report
        self._jobs: deque[Callable[[], None]] = deque()
        self._most_bytes = most_bytes
        self._queued_bytes = 0
        self._wake = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier, killed worker left unfinished."""
        self._submit(self._recover)
        self._thread.start()

    def capture(self, command: StartCapture, started_at: datetime, laws: tuple[Law, Law]) -> CaptureFile:
        """A new recording; told as `CaptureStarted` or `MediaFailed` when the file is open."""
        file = CaptureFile(self, command, started_at, laws)
        self._submit(file.open)
        return file

    def end(self, timeout_s: float) -> bool:
        """Carry out what is queued and stop; whether that was done in time."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- on the media loop ---

    def _submit(self, job: Callable[[], None], size: int = 0) -> bool:
        with self._wake:
            if size and self._queued_bytes + size > self._most_bytes:
                return False
            self._queued_bytes += size
            self._jobs.append(job)
            self._wake.notify()
        return True

    # --- on the writer thread ---

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._ending:
                    self._wake.wait()
                if not self._jobs:
                    break
                job = self._jobs.popleft()
            try:
                job()
            except Exception:
                log.exception("a job of the writer thread failed")
        if self._chain is not None:
            self._chain.close()

    def _written(self, size: int) -> None:
        with self._wake:
            self._queued_bytes -= size

    def _enter(self, deed: Deed, manifest: Manifest, path: str) -> None:
        """Append to the chain. OSError, RecordingError."""
        if self._chain is None:
            self._chain = self._open_chain()
        self._chain.append(deed, manifest, path, datetime.now(UTC))

    def _recover(self) -> None:
        try:
            if self._chain is None:
                self._chain = self._open_chain()
            for manifest in self._archive.recover(self._chain, at=datetime.now(UTC)):
                path = self._archive.new_path(manifest.tenant, manifest.recording_id, manifest.started_at)
                self._report(_closed(SessionId(""), manifest, self._archive.relative(path)))
        except (OSError, RecordingError) as error:
            log.error("recordings of an earlier worker are not recovered: %s", error)


class CaptureFile:
    """One recording: methods without an underscore are called on the media loop."""

    def __init__(
        self, disk: Disk, command: StartCapture, started_at: datetime, laws: tuple[Law, Law]
    ) -> None:
        self._disk = disk
        self._command = command
        self._started_at = started_at
        self._laws = list(laws)
        self._writer: CaptureWriter | None = None
        self._path = ""
        self._failed = False
        """Told already."""
        self._overrun = False

    def write(self, pieces: list[Piece]) -> None:
        """Queue sound. What finds the queue full is lost, told once."""
        size = sum(len(piece[3]) for piece in pieces)
        if not self._disk._submit(lambda: self._write(pieces, size), size) and not self._overrun:
            self._overrun = True
            self._disk._submit(lambda: self._fail("the disk is too slow"))

    def close(self, reason: str, done: Callable[[], None]) -> None:
        """Finish the file: `CaptureClosed` or `MediaFailed`, then `done`, on the writer thread."""
        self._disk._submit(lambda: self._close(reason, done))

    # --- on the writer thread ---

    def open(self) -> None:
        command, archive = self._command, self._disk._archive
        try:
            path = archive.new_path(command.tenant, command.recording, self._started_at)
            self._writer = CaptureWriter(
                path,
                recording_id=command.recording,
                tenant=command.tenant,
                call_id=command.call_id,
                started_at=self._started_at,
                codecs=(_codec(self._laws[0]), _codec(self._laws[1])),
                number_ids=command.number_ids,
            )
        except ValueError as error:
            self._fail(str(error), BAD_NAME)
        except OSError as error:
            self._fail(str(error))
        else:
            self._path = archive.relative(path)
            self._disk._report(
                CaptureStarted(session=command.session, recording=command.recording, path=self._path)
            )

    def _write(self, pieces: list[Piece], size: int) -> None:
        self._disk._written(size)
        writer = self._writer
        if writer is None:
            return
        for channel, position, law, payload in pieces:
            try:
                if law is not self._laws[channel]:
                    self._laws[channel] = law
                    writer.set_codec(channel, _codec(law))
                writer.write(channel, position, payload)
            except (OSError, ValueError) as error:  # ValueError: beyond the 24 hours of a capture
                self._fail(str(error))

    def _close(self, reason: str, done: Callable[[], None]) -> None:
        if self._writer is not None:
            try:
                manifest = self._writer.close(reason)
                self._disk._enter(Deed.CLOSED, manifest, self._path)
            except (OSError, RecordingError) as error:
                self._failed = False  # how it ended is always told
                self._fail(str(error), command=StopCapture.__name__)
            else:
                event = _closed(self._command.session, manifest, self._path, lossy=self._failed)
                self._disk._report(event)
        done()

    def _fail(self, detail: str, reason: str = DISK, command: str = StartCapture.__name__) -> None:
        if not self._failed:
            self._failed = True
            self._disk._report(
                MediaFailed(
                    session=self._command.session,
                    command=command,
                    reason=reason,
                    detail=detail,
                    recording=self._command.recording,
                )
            )


def _codec(law: Law) -> Codec:
    return Codec[law.name]


def _closed(session: SessionId, manifest: Manifest, path: str, *, lossy: bool = False) -> CaptureClosed:
    return CaptureClosed(
        session=session,
        recording=RecordingId(manifest.recording_id),
        path=path,
        duration_ms=round(manifest.duration_s * 1000),
        size_bytes=manifest.bytes,
        digest=manifest.sha256,
        interrupted=manifest.interrupted or lossy,
    )
