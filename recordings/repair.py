"""After a crash: give an interrupted capture the manifest its writer could not write."""

import fcntl
import os
from pathlib import Path
from typing import Final

from recordings.capture import Capture
from recordings.errors import StillRecording
from recordings.manifest import Manifest, make_manifest, manifest_path, write_manifest

INTERRUPTED: Final = "interrupted"


def repair(path: Path) -> Manifest:
    """Cut the torn bytes off an interrupted capture, write its manifest and return it. No key is needed.

    A capture that was closed, but died before its manifest, gets it too; doing it twice changes nothing.
    FileNotFoundError, NotACapture (not even its header was written), StillRecording.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StillRecording(f"{path.name} is still being recorded") from None
        fcntl.flock(fd, fcntl.LOCK_EX)  # waits at most for a reader's glance at the lock
        with Capture.open(path) as capture:
            if capture.torn_bytes:
                os.ftruncate(fd, capture.size)
                os.fsync(fd)
            manifest = make_manifest(
                capture.meta,
                reason=capture.reason or INTERRUPTED,
                interrupted=capture.reason is None,
                samples=capture.samples,
                chunks=capture.chunk_count,
                damaged_chunks=len(capture.damage),
                size=capture.size,
                sha256=capture.sha256,
                head=capture.head,
            )
        write_manifest(manifest_path(path), manifest)
    finally:
        os.close(fd)
    return manifest
