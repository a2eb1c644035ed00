"""The recordings folder: TENANT/YYYY/MM/DD/RECORDING.rwc with its manifest (.json) beside it, days in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from recordings.capture import Capture
from recordings.chain import ChainWriter, Deed, chained_ids
from recordings.errors import NotACapture, RecordingError, StillRecording
from recordings.ids import check_name
from recordings.manifest import (
    CAPTURE_SUFFIX,
    MANIFEST_SUFFIX,
    Manifest,
    decode_manifest,
    manifest_path,
    write_manifest,
)
from recordings.repair import repair

ERASED_SUFFIXES: Final = (CAPTURE_SUFFIX, ".flac", ".wav")


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of the archive.

    `manifest` is None while it is being written, after a crash, or when it is there but unreadable: then
    `fault` says why.
    """

    recording_id: str
    tenant: str
    day: date
    path: Path
    manifest: Manifest | None
    fault: str | None = None

    def open(self, key: bytes | None = None) -> Capture:
        """The audio; FileNotFoundError once it has been deleted."""
        return Capture.open(self.path, key)


class Archive:
    """The recordings below one folder, which may not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_path(self, tenant: str, recording_id: str, started_at: datetime) -> Path:
        """Where a capture that starts now belongs; makes its folder. ValueError for an unsafe name."""
        check_name("a tenant", tenant)
        check_name("a recording id", recording_id)
        day = started_at.astimezone(UTC)
        folder = self.folder / tenant / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (recording_id + CAPTURE_SUFFIX)

    def relative(self, path: Path) -> str:
        """A capture's path as events and rows carry it."""
        return path.relative_to(self.folder).as_posix()

    def locate(self, relative: str) -> Path:
        """The capture at a path `relative` gave; ValueError if it leads out of the folder."""
        path = self.folder / relative
        if path.suffix != CAPTURE_SUFFIX or not path.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"not a capture of this archive: {relative!r}")
        return path

    def find(self, recording_id: str) -> Recording | None:
        """The recording of this id, deleted ones included; ValueError for an unsafe name."""
        check_name("a recording id", recording_id)
        for suffix in (MANIFEST_SUFFIX, CAPTURE_SUFFIX):
            for path in self.folder.glob(f"*/*/*/*/{recording_id}{suffix}"):
                return self._recording(path.with_suffix(CAPTURE_SUFFIX))
        return None

    def list(
        self, *, tenant: str | None = None, day: date | None = None, call_id: str | None = None
    ) -> Iterator[Recording]:
        """Recordings in order of tenant, day and id, narrowed as asked. Deleted ones are listed too."""
        tenants = "*" if tenant is None else check_name("a tenant", tenant)
        days = "*/*/*" if day is None else f"{day:%Y/%m/%d}"
        for path in sorted(self._captures(tenants, days)):
            recording = self._recording(path)
            if recording and (call_id is None or self._call_id(recording) == call_id):
                yield recording

    def delete(self, recording: Recording, chain: ChainWriter, *, at: datetime, reason: str) -> Manifest:
        """Erase a recording's audio; its manifest stays, flagged, and the chain says when and why.

        A recording interrupted before is repaired first. Safe to repeat after a crash half-way.
        StillRecording, NotACapture, RecordingError (already deleted and gone).
        """
        manifest = recording.manifest or repair(recording.path)
        if not manifest.deleted:
            manifest = msgspec.structs.replace(manifest, deleted_at=at, deleted_for=reason)
        elif not recording.path.exists():
            raise RecordingError(f"recording {recording.recording_id} was deleted already")
        chain.append(Deed.DELETED, manifest, self.relative(recording.path), at)
        write_manifest(manifest_path(recording.path), manifest)
        for suffix in ERASED_SUFFIXES:
            recording.path.with_suffix(suffix).unlink(missing_ok=True)
        return manifest

    def recover(self, chain: ChainWriter, *, at: datetime) -> Iterator[Manifest]:
        """Finish what a killed process left: repair its captures, enter them in the chain, yield manifests.

        Captures that another process is writing are left alone.
        """
        known = chained_ids(self.folder)
        for path in sorted(self._captures("*", "*/*/*")):
            if path.stem in known and manifest_path(path).exists():
                continue
            recording = self._recording(path)
            if recording is None or recording.fault:
                continue
            try:
                manifest = recording.manifest or repair(path)
            except (StillRecording, NotACapture):
                continue
            chain.append(Deed.REPAIRED, manifest, self.relative(path), at)
            yield manifest

    def _captures(self, tenants: str, days: str) -> set[Path]:
        """The capture path of every recording there, audio deleted or not."""
        return {
            path.with_suffix(CAPTURE_SUFFIX)
            for suffix in (CAPTURE_SUFFIX, MANIFEST_SUFFIX)
            for path in self.folder.glob(f"{tenants}/{days}/*{suffix}")
        }

    def _recording(self, path: Path) -> Recording | None:
        try:
            year, month, day = (int(part) for part in path.parts[-4:-1] if part.isascii() and part.isdigit())
            recorded_on = date(year, month, day)
        except ValueError:
            return None
        manifest, fault = None, None
        try:
            manifest = decode_manifest(manifest_path(path).read_bytes())
        except FileNotFoundError:
            pass
        except RecordingError as error:
            fault = str(error)
        return Recording(path.stem, path.parts[-5], recorded_on, path, manifest, fault)

    def _call_id(self, recording: Recording) -> str | None:
        if recording.manifest:
            return recording.manifest.call_id
        try:
            with recording.open() as capture:
                return capture.meta.call_id
        except NotACapture:
            return None
