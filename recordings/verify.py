"""Checking a recordings folder without any key to the audio: has anything been changed, moved or removed?"""

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recordings.archive import Archive, Recording
from recordings.capture import Capture, State
from recordings.chain import GENESIS, Deed, Entry, Head, chain_path, load_public_key
from recordings.errors import NotACapture
from recordings.ids import check_name
from recordings.manifest import manifest_path

_CHAIN_PREFIX: Final = "chain-"


class Kind(enum.StrEnum):
    """What a finding is about."""

    ALTERED_CHUNK = "altered chunk"
    ALTERED_FILE = "altered file"
    ALTERED_MANIFEST = "altered manifest"
    MISSING_FILE = "missing file"
    NOT_ERASED = "not erased"
    UNCHAINED = "not in any chain"
    CONTRADICTION = "entries contradict"
    BROKEN_LINK = "broken link"
    BAD_SIGNATURE = "bad signature"
    UNSIGNED = "not signed"
    INTERRUPTED = "interrupted"


# Known and harmless: a writer died. Everything else means somebody or something changed the archive.
NOTICES: Final = frozenset({Kind.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something verify has to say about one file (relative to the folder, or the heads file)."""

    kind: Kind
    file: str
    detail: str

    @property
    def notice(self) -> bool:
        return self.kind in NOTICES


@dataclass(slots=True)
class Report:
    """The result of `verify`. `ok` allows notices; `signatures` says whether heads were checked at all."""

    findings: list[Finding] = field(default_factory=list)
    recordings: int = 0
    deleted: int = 0
    live: int = 0
    entries: int = 0
    bytes: int = 0
    signatures: bool = False

    @property
    def ok(self) -> bool:
        return all(finding.notice for finding in self.findings)

    def add(self, kind: Kind, file: str, detail: str) -> None:
        self.findings.append(Finding(kind, file, detail))


@dataclass(frozen=True, slots=True)
class _Chain:
    file: str
    writer: str
    entries: list[Entry | None]
    digests: list[str]


def verify(
    folder: Path,
    *,
    heads: Path | None = None,
    public_key: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check every recording, manifest, chain and signed head below `folder`.

    `heads` is the file the chain writers sign into, `public_key` the PEM file of their public key; without
    them the report's `signatures` is false and a chain rewritten as a whole would go unseen. `progress` is
    told (recordings done, recordings in all). FileNotFoundError, RecordingError (unreadable public key).
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no recordings folder at {folder}")
    report = Report()
    archive = Archive(folder)
    # In this order nothing that a live writer does meanwhile looks like tampering.
    recordings = list(archive.list())
    told = _check_chains(folder, heads, public_key, report)
    for done, recording in enumerate(recordings):
        if progress:
            progress(done, len(recordings))
        _check_recording(archive, recording, told.pop(recording.recording_id, []), report)
    if progress:
        progress(len(recordings), len(recordings))
    for entries in told.values():
        if archive.find(entries[-1].recording_id) is None:
            report.add(Kind.MISSING_FILE, entries[-1].file, "the chain knows it, but it is gone")
    return report


def verify_recording(
    folder: Path, recording_id: str, *, heads: Path | None = None, public_key: Path | None = None
) -> Report:
    """As `verify`, but the bytes of one recording only; the chains are checked whole.

    FileNotFoundError where the folder has no such recording; RecordingError, ValueError (unsafe id).
    """
    recording = Archive(folder).find(recording_id)
    if recording is None:
        raise FileNotFoundError(f"no recording {recording_id} in {folder}")
    report = Report()
    told = _check_chains(folder, heads, public_key, report)
    _check_recording(Archive(folder), recording, told.get(recording_id, []), report)
    return report


def _check_chains(
    folder: Path, heads: Path | None, public_key: Path | None, report: Report
) -> dict[str, list[Entry]]:
    """Check every chain and signed head; what they tell of each recording."""
    signed_before = _count_lines(heads)
    chains = [_read_chain(path, report) for path in sorted(folder.glob(f"{_CHAIN_PREFIX}*.jsonl"))]
    if heads is not None and public_key is not None:
        report.signatures = True
        _check_heads(heads, signed_before, load_public_key(public_key), folder, chains, report)
    return _gather(chains, report)


def _read_chain(path: Path, report: Report) -> _Chain:
    file = path.name
    lines = path.read_bytes().split(b"\n")
    if lines.pop():
        report.add(Kind.BROKEN_LINK, file, "the last line is cut short")
    chain = _Chain(file, path.stem.removeprefix(_CHAIN_PREFIX), [], [])
    previous = GENESIS
    for seq, line in enumerate(lines):
        entry = None
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            report.add(Kind.BROKEN_LINK, file, f"line {seq + 1} is not readable: {error}")
        else:
            if entry.seq != seq or entry.prev != previous:
                report.add(Kind.BROKEN_LINK, file, f"line {seq + 1} does not follow the line before it")
        previous = hashlib.sha256(line).hexdigest()
        chain.entries.append(entry)
        chain.digests.append(previous)
    report.entries += len(lines)
    return chain


def _count_lines(path: Path | None) -> int:
    return path.read_bytes().count(b"\n") if path and path.exists() else 0


def _check_heads(
    path: Path, signed_before: int, key: Ed25519PublicKey, folder: Path, chains: list[_Chain], report: Report
) -> None:
    """Check every signed head; the first `signed_before` lines are older than what was read of the chains."""
    by_writer = {chain.writer: chain for chain in chains}
    signed: dict[str, int] = {}
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    if lines.pop():
        report.add(Kind.BAD_SIGNATURE, path.name, "the last line is cut short")
    for number, line in enumerate(lines, 1):
        try:
            head = msgspec.json.decode(line, type=Head)
            check_name("a chain writer", head.writer)
            signature = bytes.fromhex(head.signature)
            if msgspec.json.encode(head) != line or signature.hex() != head.signature:
                raise ValueError("the same values in other bytes than were written")
            key.verify(signature, head.signed_bytes())
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, InvalidSignature):
            report.add(Kind.BAD_SIGNATURE, path.name, f"line {number} was not signed with this key")
            continue
        signed[head.writer] = max(head.seq, signed.get(head.writer, -1))
        if number > signed_before:
            continue
        chain = by_writer.get(head.writer)
        if chain is None or head.seq >= len(chain.digests):
            name = chain_path(folder, head.writer).name
            report.add(Kind.BROKEN_LINK, name, f"line {head.seq + 1} was signed, but is gone")
        elif chain.digests[head.seq] != head.head:
            report.add(Kind.BROKEN_LINK, chain.file, f"line {head.seq + 1} is not the line that was signed")
    for chain in chains:
        beyond = len(chain.entries) - 1 - signed.get(chain.writer, -1)
        if beyond > 0:
            report.add(Kind.UNSIGNED, chain.file, f"the last {beyond} of its lines are not signed")


def _gather(chains: list[_Chain], report: Report) -> dict[str, list[Entry]]:
    """The entries of each recording in order of time; all must speak of the same bytes."""
    told: dict[str, list[Entry]] = {}
    for chain in chains:
        for entry in chain.entries:
            if entry:
                told.setdefault(entry.recording_id, []).append(entry)
    for entries in told.values():
        entries.sort(key=lambda entry: (entry.deed is Deed.DELETED, entry.at))
        first = entries[0]
        for entry in entries[1:]:
            if (entry.sha256, entry.bytes, entry.file) != (first.sha256, first.bytes, first.file):
                report.add(Kind.CONTRADICTION, entry.file, f"{entry.deed} speaks of other bytes than before")
    return told


def _check_recording(archive: Archive, recording: Recording, entries: list[Entry], report: Report) -> None:
    report.recordings += 1
    file = archive.relative(recording.path)
    entry = entries[-1] if entries else None
    if entry is None:
        _check_unchained(recording, file, report)
        return
    if entry.file != file:
        report.add(Kind.CONTRADICTION, file, f"the chain has it at {entry.file}")
    beside = manifest_path(recording.path)
    if not beside.exists():
        report.add(Kind.MISSING_FILE, file, "the manifest is gone")
    elif hashlib.sha256(beside.read_bytes()).hexdigest() != entry.manifest:
        report.add(Kind.ALTERED_MANIFEST, file, "the manifest is not the one in the chain")
    if entry.deed is Deed.DELETED:
        report.deleted += 1
        if recording.path.exists():
            report.add(Kind.NOT_ERASED, file, "deleted by the chain, but the audio is still there")
    elif not recording.path.exists():
        report.add(Kind.MISSING_FILE, file, "the audio is gone without a deletion in the chain")
    else:
        _check_audio(recording, file, entries[0], report)


def _check_audio(recording: Recording, file: str, entry: Entry, report: Report) -> None:
    try:
        with Capture.open(recording.path) as capture:
            report.bytes += capture.size
            for damage in capture.damage:
                report.add(Kind.ALTERED_CHUNK, file, damage.detail)
            if (capture.sha256, capture.size + capture.torn_bytes) != (entry.sha256, entry.bytes):
                report.add(Kind.ALTERED_FILE, file, "the file is not the one in the chain")
            if capture.state is State.INTERRUPTED:
                report.add(Kind.INTERRUPTED, file, f"ends after {capture.duration_s:.1f} s: its writer died")
    except NotACapture as error:
        report.add(Kind.ALTERED_FILE, file, str(error))


def _check_unchained(recording: Recording, file: str, report: Report) -> None:
    if recording.manifest is None and recording.fault is None and manifest_path(recording.path).exists():
        report.live += 1  # it closed while we were looking
        return
    if manifest_path(recording.path).exists():
        report.add(Kind.UNCHAINED, file, "it has a manifest, but no chain speaks of it")
        return
    try:
        with Capture.open(recording.path) as capture:
            state, damage = capture.state, list(capture.damage)
            report.bytes += capture.size
    except NotACapture as error:
        report.add(Kind.INTERRUPTED, file, f"its writer died at once: {error}")
        return
    for found in damage:
        report.add(Kind.ALTERED_CHUNK, file, found.detail)
    if state is State.RECORDING:
        report.live += 1
    else:
        report.add(Kind.INTERRUPTED, file, "never closed: the media worker repairs it at its next start")
