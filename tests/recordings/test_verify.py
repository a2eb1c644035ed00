"""The chain and its verification: every change is found, deletion is not a change."""

import hashlib
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recordings.archive import Archive
from recordings.capture import Capture
from recordings.chain import (
    ChainWriter,
    Deed,
    chain_path,
    load_public_key,
    signing_key,
)
from recordings.errors import RecordingError, StillRecording
from recordings.g711 import Codec
from recordings.manifest import Manifest, manifest_path, write_manifest
from recordings.places import heads_path, key_path, public_key_path
from recordings.verify import Kind, Report, verify, verify_recording
from recordings.writer import CaptureWriter

Record = Callable[..., Manifest]
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def check(archive: Archive) -> Report:
    folder = archive.folder
    return verify(folder, heads=heads_path(folder), public_key=public_key_path(key_path(folder)))


def kinds(report: Report) -> set[Kind]:
    return {finding.kind for finding in report.findings}


def path_of(archive: Archive, recording_id: str) -> Path:
    recording = archive.find(recording_id)
    assert recording
    return recording.path


def start(archive: Archive, recording_id: str) -> CaptureWriter:
    return CaptureWriter(
        archive.new_path("lab", recording_id, NOW),
        recording_id=recording_id,
        tenant="lab",
        call_id="call-9",
        started_at=NOW,
        codecs=(Codec.PCMU, Codec.PCMU),
    )


def test_an_untouched_archive_is_intact(archive: Archive, record: Record) -> None:
    for recording_id in ("r1", "r2", "r3"):
        record(recording_id)
    told: list[tuple[int, int]] = []
    folder = archive.folder
    report = verify(
        folder,
        heads=heads_path(folder),
        public_key=public_key_path(key_path(folder)),
        progress=lambda done, total: told.append((done, total)),
    )
    assert report.findings == []
    assert (report.ok, report.signatures, report.recordings, report.entries) == (True, True, 3, 3)
    assert report.bytes == sum(path.stat().st_size for path in folder.rglob("*.rwc"))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_it_verifies_encrypted_audio_without_its_key(archive: Archive, record: Record) -> None:
    record("r1", key=bytes(32))
    assert check(archive).findings == []


def test_every_changed_byte_is_found(archive: Archive, record: Record) -> None:
    record("r1", seconds=0.3)
    record("r2", seconds=0.3)
    with ChainWriter(archive.folder, "centre") as chain:
        recording = archive.find("r2")
        assert recording
        archive.delete(recording, chain, at=NOW, reason="retention")
    files = [path for path in archive.folder.rglob("*") if path.is_file()] + [heads_path(archive.folder)]
    assert len(files) == 6
    random = np.random.default_rng(1)
    for path in files:
        data = path.read_bytes()
        for at in {0, len(data) - 1, *random.integers(0, len(data), 120).tolist()}:
            changed = bytearray(data)
            changed[at] ^= 1 << int(random.integers(0, 8))
            path.write_bytes(changed)
            assert not check(archive).ok, f"byte {at} of {path.name}"
        path.write_bytes(data)
    assert check(archive).findings == []


@pytest.mark.parametrize("where", [0.0, 0.3, 0.5, 0.9])
def test_an_altered_chunk_is_named(archive: Archive, record: Record, where: float) -> None:
    record("r1", seconds=5)
    path = path_of(archive, "r1")
    data = bytearray(path.read_bytes())
    at = 1000 + int(where * (len(data) - 2000))
    data[at] ^= 0x10
    path.write_bytes(data)
    report = check(archive)
    altered = [finding for finding in report.findings if finding.kind is Kind.ALTERED_CHUNK]
    assert len(altered) == 1
    assert kinds(report) == {Kind.ALTERED_CHUNK, Kind.ALTERED_FILE}
    assert altered[0].file == "lab/2026/03/01/r1.rwc"


def test_a_forger_who_mends_every_digest_is_found_by_the_signature(archive: Archive, record: Record) -> None:
    record("r1")
    writer = start(archive, "forged")
    writer.write(0, 0, b"\x12" * 8000)
    forged = writer.close("bye")
    path = path_of(archive, "r1")
    shutil.move(writer.path, path)
    manifest_path(writer.path).unlink()
    forged = msgspec.structs.replace(forged, recording_id="r1")
    write_manifest(manifest_path(path), forged)
    chain_path(archive.folder, "media-1").unlink()
    with ChainWriter(
        archive.folder, "media-1", heads=archive.folder.parent / "own", key=archive.folder.parent / "own.pem"
    ) as chain:
        chain.append(Deed.CLOSED, forged, archive.relative(path), NOW)
    assert kinds(check(archive)) == {Kind.BROKEN_LINK}
    assert verify(archive.folder).ok
    assert not verify(archive.folder).signatures


def test_heads_signed_with_another_key_are_bad(archive: Archive, record: Record) -> None:
    record("r1")
    folder = archive.folder
    ChainWriter(folder, "other", key=folder.parent / "other.pem").close()
    report = verify(folder, heads=heads_path(folder), public_key=public_key_path(folder.parent / "other.pem"))
    assert kinds(report) == {Kind.BAD_SIGNATURE, Kind.UNSIGNED}


def test_a_shortened_chain_is_found(archive: Archive, record: Record) -> None:
    record("r1")
    record("r2")
    path = chain_path(archive.folder, "media-1")
    first, _, _ = path.read_bytes().partition(b"\n")
    path.write_bytes(first + b"\n")
    assert kinds(check(archive)) == {Kind.BROKEN_LINK, Kind.UNCHAINED}


def test_lines_that_changed_places_are_found(archive: Archive, record: Record) -> None:
    for recording_id in ("r1", "r2", "r3"):
        record(recording_id)
    path = chain_path(archive.folder, "media-1")
    first, second, third, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join((first, third, second, b"")))
    assert kinds(check(archive)) == {Kind.BROKEN_LINK}


def test_a_changed_line_breaks_the_chain_even_without_signatures(archive: Archive, record: Record) -> None:
    record("r1", call_id="call-1")
    record("r2")
    path = chain_path(archive.folder, "media-1")
    path.write_bytes(path.read_bytes().replace(b'"call-1"', b'"call-2"', 1))
    report = verify(archive.folder)
    assert kinds(report) == {Kind.BROKEN_LINK}
    assert "line 2" in report.findings[0].detail


@pytest.mark.parametrize(
    ("suffixes", "found"),
    [
        ((".rwc",), {Kind.MISSING_FILE}),
        ((".json",), {Kind.MISSING_FILE}),
        ((".rwc", ".json"), {Kind.MISSING_FILE}),
    ],
)
def test_missing_files_are_found(
    archive: Archive, record: Record, suffixes: tuple[str, ...], found: set[Kind]
) -> None:
    record("r1")
    record("r2")
    for suffix in suffixes:
        path_of(archive, "r1").with_suffix(suffix).unlink()
    assert kinds(check(archive)) == found


def test_swapped_recordings_are_found(archive: Archive, record: Record) -> None:
    record("r1")
    record("other-2")
    one, two = path_of(archive, "r1"), path_of(archive, "other-2")
    kept = one.read_bytes()
    shutil.copy(two, one)
    two.write_bytes(kept)
    assert kinds(check(archive)) == {Kind.ALTERED_FILE}


def test_a_recording_smuggled_in_is_found(archive: Archive, record: Record) -> None:
    record("r1")
    writer = start(archive, "extra")
    writer.write(0, 0, bytes(100))
    writer.close("bye")
    assert kinds(check(archive)) == {Kind.UNCHAINED}
    report = verify_recording(archive.folder, "r1")
    assert (report.findings, report.recordings) == ([], 1)
    assert kinds(verify_recording(archive.folder, "extra")) == {Kind.UNCHAINED}
    with pytest.raises(FileNotFoundError):
        verify_recording(archive.folder, "r9")


# --- deletion ---


def test_deletion_erases_the_audio_and_keeps_the_chain_valid(archive: Archive, record: Record) -> None:
    record("r1")
    kept = record("r2")
    recording = archive.find("r1")
    assert recording
    recording.path.with_suffix(".flac").write_bytes(b"an archive copy")
    with ChainWriter(archive.folder, "centre") as chain:
        manifest = archive.delete(recording, chain, at=NOW, reason="retention")
    assert (manifest.deleted, manifest.deleted_at, manifest.deleted_for) == (True, NOW, "retention")
    left = sorted(path.name for path in recording.path.parent.iterdir())
    assert left == ["r1.json", "r2.json", "r2.rwc"]
    report = check(archive)
    assert (report.findings, report.recordings, report.deleted) == ([], 2, 1)
    found = archive.find("r1")
    assert found
    assert found.manifest == manifest
    assert {r.recording_id: r.manifest for r in archive.list()} == {"r1": manifest, "r2": kept}
    with pytest.raises(FileNotFoundError):
        found.open()
    with ChainWriter(archive.folder, "centre") as chain, pytest.raises(RecordingError, match="already"):
        archive.delete(found, chain, at=NOW, reason="retention")


def test_a_live_recording_cannot_be_deleted_and_an_interrupted_one_can(archive: Archive) -> None:
    writer = start(archive, "r1")
    writer.write(0, 0, bytes(12000))
    recording = archive.find("r1")
    assert recording
    with ChainWriter(archive.folder, "centre") as chain:
        with pytest.raises(StillRecording):
            archive.delete(recording, chain, at=NOW, reason="retention")
        writer.close("bye")
        manifest_path(writer.path).unlink()
        assert archive.delete(recording, chain, at=NOW, reason="retention").deleted
    assert check(archive).findings == []


def test_audio_put_back_after_deletion_is_found(archive: Archive, record: Record) -> None:
    record("r1")
    recording = archive.find("r1")
    assert recording
    audio = recording.path.read_bytes()
    with ChainWriter(archive.folder, "centre") as chain:
        archive.delete(recording, chain, at=NOW, reason="retention")
        recording.path.write_bytes(audio)
        assert kinds(check(archive)) == {Kind.NOT_ERASED}
        again = archive.find("r1")
        assert again
        archive.delete(again, chain, at=NOW, reason="retention")
    assert check(archive).findings == []


# --- crashes ---


def test_an_interrupted_recording_is_a_notice_before_and_after_repair(
    archive: Archive, record: Record
) -> None:
    record("r1")
    writer = start(archive, "r2")
    writer.write(0, 0, bytes(12000))
    running = check(archive)
    assert (running.findings, running.live) == ([], 1)
    with ChainWriter(archive.folder, "media-1") as chain:
        assert list(archive.recover(chain, at=NOW)) == []
    path = writer.path
    data = path.read_bytes()
    writer.close("bye")
    manifest_path(path).unlink()
    path.write_bytes(data)

    report = check(archive)
    assert (kinds(report), report.ok) == ({Kind.INTERRUPTED}, True)
    with ChainWriter(archive.folder, "media-1") as chain:
        manifests = list(archive.recover(chain, at=NOW))
        assert list(archive.recover(chain, at=NOW)) == []
    assert [(manifest.recording_id, manifest.interrupted) for manifest in manifests] == [("r2", True)]
    report = check(archive)
    assert (kinds(report), report.ok, report.entries) == ({Kind.INTERRUPTED}, True, 2)


def test_a_recording_closed_just_before_its_writer_died_is_entered_at_recovery(archive: Archive) -> None:
    """Killed between the manifest and the chain."""
    writer = start(archive, "r1")
    writer.write(0, 0, bytes(12000))
    manifest = writer.close("bye")
    with ChainWriter(archive.folder, "media-2") as chain:
        assert list(archive.recover(chain, at=NOW)) == [manifest]
        assert list(archive.recover(chain, at=NOW)) == []
    assert check(archive).findings == []


def test_a_repair_cannot_launder_altered_audio(archive: Archive, record: Record) -> None:
    record("r1")
    path = path_of(archive, "r1")
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    manifest_path(path).unlink()
    with ChainWriter(archive.folder, "media-1") as chain:
        assert len(list(archive.recover(chain, at=NOW))) == 1
    assert Kind.CONTRADICTION in kinds(check(archive))


def test_an_unreadable_manifest_is_listed_and_never_replaced(archive: Archive, record: Record) -> None:
    record("r1")
    path = manifest_path(path_of(archive, "r1"))
    path.write_bytes(b"{")
    (recording,) = archive.list()
    assert recording.fault
    assert recording.manifest is None
    with ChainWriter(archive.folder, "media-1") as chain:
        assert list(archive.recover(chain, at=NOW)) == []
    assert path.read_bytes() == b"{"
    assert kinds(check(archive)) == {Kind.ALTERED_MANIFEST}


def test_a_chain_line_cut_short_is_dropped_by_the_next_writer(archive: Archive, record: Record) -> None:
    record("r1")
    path = chain_path(archive.folder, "media-1")
    with path.open("ab") as chain_file:
        chain_file.write(b'{"seq":1,"at"')
    assert kinds(check(archive)) == {Kind.BROKEN_LINK}
    record("r2")
    assert check(archive).findings == []


def test_a_line_not_yet_signed_is_covered_by_the_next_head(archive: Archive, record: Record) -> None:
    record("r1")
    record("r2")
    heads = heads_path(archive.folder)
    heads.write_bytes(heads.read_bytes().partition(b"\n")[0] + b"\n")
    assert kinds(check(archive)) == {Kind.UNSIGNED}
    record("r3")
    assert check(archive).findings == []


# --- chain files and keys ---


def test_a_chain_line_holds_the_digest_of_the_line_before(archive: Archive, record: Record) -> None:
    record("r1")
    record("r2")
    first, second = chain_path(archive.folder, "media-1").read_bytes().splitlines()
    assert msgspec.json.decode(second)["prev"] == hashlib.sha256(first).hexdigest()
    entry = msgspec.json.decode(second)
    with Capture.open(path_of(archive, "r2")) as capture:
        assert entry["sha256"] == capture.sha256
    assert entry["sha256"] == hashlib.sha256(path_of(archive, "r2").read_bytes()).hexdigest()


def test_one_process_at_a_time_writes_a_chain(archive: Archive) -> None:
    with (
        ChainWriter(archive.folder, "media-1"),
        pytest.raises(RecordingError, match="another process"),
    ):
        ChainWriter(archive.folder, "media-1")
    ChainWriter(archive.folder, "media-1").close()


def test_the_signing_key_is_its_owners_alone(archive: Archive) -> None:
    ChainWriter(archive.folder, "media-1").close()
    key = key_path(archive.folder)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    load_public_key(public_key_path(key))
    key.chmod(0o644)
    with pytest.raises(RecordingError, match="chmod 600"):
        ChainWriter(archive.folder, "media-1")


def test_workers_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "chain.ed25519"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing_key(path).private_bytes_raw(), range(8)))
    assert len(set(keys)) == 1
    assert sorted(file.name for file in path.parent.iterdir()) == ["chain.ed25519", "chain.ed25519.pub"]


@pytest.mark.parametrize("writer", ["", "../x", "a/b", ".x"])
def test_unsafe_writer_names_are_refused(archive: Archive, writer: str) -> None:
    with pytest.raises(ValueError, match="chain writer"):
        ChainWriter(archive.folder, writer)


# --- the archive ---


def test_recordings_are_found_by_id_day_tenant_and_call(archive: Archive, record: Record) -> None:
    record("r1", call_id="call-1")
    record("r2", call_id="call-2")
    writer = start(archive, "r3")
    assert [r.recording_id for r in archive.list()] == ["r1", "r2", "r3"]
    assert [r.recording_id for r in archive.list(day=NOW.date())] == ["r3"]
    assert [r.recording_id for r in archive.list(call_id="call-2")] == ["r2"]
    assert [r.recording_id for r in archive.list(call_id="call-9")] == ["r3"]
    assert list(archive.list(tenant="nobody")) == []
    found = archive.find("r2")
    assert found
    assert archive.locate(archive.relative(found.path)) == found.path
    assert archive.find("r4") is None
    writer.close("bye")


def test_paths_that_lead_out_of_the_archive_are_refused(archive: Archive) -> None:
    for path in ("../x.rwc", "/etc/passwd", "lab/2026/03/01/r1.json", "lab/../../x.rwc"):
        with pytest.raises(ValueError, match="not a capture"):
            archive.locate(path)
    with pytest.raises(ValueError, match="recording id"):
        archive.find("../x")
    with pytest.raises(ValueError, match="tenant"):
        list(archive.list(tenant="*"))
