"""The manifest beside each capture: what was stored and its digests. It stays when the audio is deleted."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from recordings.chunks import Meta
from recordings.errors import RecordingError
from recordings.g711 import RATE_HZ

CAPTURE_SUFFIX: Final = ".rwc"
MANIFEST_SUFFIX: Final = ".json"
ENGINE_ENDED: Final = "engine-ended"
"""The reason of a recording whose engine died during the call: the file is whole, the call was cut."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recording: `sha256` is of the whole file, `head` its last link, `samples` each channel's end."""

    format: int = 1
    recording_id: str
    tenant: str
    call_id: str
    started_at: datetime
    ended_at: datetime
    codecs: tuple[str, str]
    cipher: str
    number_ids: tuple[str, str]
    reason: str
    interrupted: bool
    samples: tuple[int, int]
    chunks: int
    damaged_chunks: int
    bytes: int
    sha256: str
    head: str
    deleted_at: datetime | None = None
    deleted_for: str | None = None

    @property
    def cut_short(self) -> bool:
        """It holds less than its call: its writer or its engine died."""
        return self.interrupted or self.reason == ENGINE_ENDED

    @property
    def duration_s(self) -> float:
        return max(self.samples) / RATE_HZ

    @property
    def deleted(self) -> bool:
        return self.deleted_at is not None


def make_manifest(
    meta: Meta,
    *,
    reason: str,
    interrupted: bool,
    samples: tuple[int, int],
    chunks: int,
    damaged_chunks: int,
    size: int,
    sha256: str,
    head: str,
) -> Manifest:
    """The manifest of a finished capture; it ends when its longer channel does."""
    return Manifest(
        recording_id=meta.recording_id,
        tenant=meta.tenant,
        call_id=meta.call_id,
        started_at=meta.started_at,
        ended_at=meta.started_at + timedelta(seconds=max(samples) / RATE_HZ),
        codecs=meta.codecs,
        cipher=meta.cipher,
        number_ids=meta.number_ids,
        reason=reason,
        interrupted=interrupted,
        samples=samples,
        chunks=chunks,
        damaged_chunks=damaged_chunks,
        bytes=size,
        sha256=sha256,
        head=head,
    )


def manifest_path(capture: Path) -> Path:
    """Where the manifest of a capture file lies."""
    return capture.with_suffix(MANIFEST_SUFFIX)


def encode_manifest(manifest: Manifest) -> bytes:
    """The exact bytes stored, which the chain's digest covers."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Store a manifest whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(handle, "wb") as out:
        out.write(encode_manifest(manifest))
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)


def decode_manifest(data: bytes) -> Manifest:
    """The manifest in `data`; RecordingError."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"the manifest is not readable: {error}") from None
