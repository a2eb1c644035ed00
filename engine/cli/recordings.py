"""`ringward recordings`: list, export and verify what the media workers have stored."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from engine.cli.options import ConfigFile, Overrides, fail, read_config
from recordings.archive import Archive, Recording
from recordings.capture import Capture
from recordings.errors import RecordingError
from recordings.export import write_flac, write_wav
from recordings.places import heads_path, key_path, public_key_path
from recordings.verify import Report, verify

app = typer.Typer(
    name="recordings",
    help="List, export and verify recordings.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="The recordings folder, instead of the configured one.")
]

FAULTS_FOUND = 1
CANNOT = 2


class Format(StrEnum):
    wav = "wav"
    flac = "flac"


def _folder(config: Path | None, overrides: list[str] | None, folder: Path | None) -> Path:
    folder = folder or read_config(config, overrides).recordings_folder
    if not folder.is_dir():
        _fail(f"there is no recordings folder at {folder}; name one with --folder or --config")
    return folder


def _fail(message: str) -> NoReturn:
    fail(message, CANNOT)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


@app.command("list")
def list_recordings(
    config: ConfigFile = None,
    overrides: Overrides = None,
    folder: FolderOption = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this day's (UTC), e.g. 2026-03-01.")
    ] = None,
    call: Annotated[str | None, typer.Option(help="Only those of this call id.")] = None,
) -> None:
    """List recordings, deleted ones included.

    Examples:

      ringward recordings list --config lab/loopback.toml

      ringward recordings list --day 2026-03-01 --tenant lab
    """
    archive = Archive(_folder(config, overrides, folder))
    table = Table(header_style="bold")
    for column in ("Recording", "Tenant", "Started (UTC)", "Length", "State", "Cipher", "Call"):
        table.add_column(column, overflow="fold")
    table.columns[2].no_wrap = True
    table.columns[3].justify = "right"
    try:
        for recording in archive.list(tenant=tenant, day=day.date() if day else None, call_id=call):
            table.add_row(*_row(recording))
    except ValueError as error:
        _fail(str(error))
    if table.row_count:
        Console().print(table)
    else:
        Console().print("no recordings")


def _row(recording: Recording) -> tuple[str | Text, ...]:
    manifest = recording.manifest
    head = (recording.recording_id, recording.tenant)
    if manifest:
        state = "deleted" if manifest.deleted else "interrupted" if manifest.interrupted else manifest.reason
        started, seconds = manifest.started_at, manifest.duration_s
        return (*head, *_times(started, seconds), state, manifest.cipher, manifest.call_id)
    if recording.fault:
        return (*head, "", "", Text(recording.fault, "red"), "", "")
    try:
        with recording.open() as capture:
            times = _times(capture.meta.started_at, capture.duration_s)
            return (*head, *times, capture.state, capture.meta.cipher, capture.meta.call_id)
    except RecordingError as error:
        return (*head, "", "", Text(str(error), "red"), "", "")


def _times(started: datetime, seconds: float) -> tuple[str, str]:
    minutes, rest = divmod(seconds, 60)
    return f"{started.astimezone(UTC):%Y-%m-%d %H:%M:%S}", f"{minutes:.0f}:{rest:04.1f}"


@app.command("export")
def export(
    recording_ids: Annotated[list[str], typer.Argument(metavar="RECORDING...", help="Ids, see `list`.")],
    format_: Annotated[Format, typer.Option("--format", "-f", help="Kind of file.")] = Format.wav,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder, or file name for a single recording.")
    ] = Path(),
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Key of encrypted audio: 32 bytes, in base64.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    folder: FolderOption = None,
) -> None:
    """Write recordings as two-channel sound files, caller left, callee right.

    A FLAC file carries the SHA-256 of the capture it was made from.

    Examples:

      ringward recordings export 01JABC --format flac --output /tmp

      ringward recordings export 01JABC -o evidence.wav --folder var/demo/recordings
    """
    archive = Archive(_folder(config, overrides, folder))
    key = _read_key(key_file) if key_file else None
    single = len(recording_ids) == 1 and not output.is_dir()
    if not single and not output.is_dir():
        _fail(f"--output {output} must be a folder when several recordings are exported")
    with _progress() as progress:
        for recording_id in recording_ids:
            target = output if single else output / f"{recording_id}.{format_}"
            try:
                _export_one(archive, recording_id, target, format_, key, force, progress)
            except (RecordingError, ValueError, OSError) as error:
                _fail(f"{recording_id}: {error}")
            progress.console.print(f"wrote {target}", highlight=False, soft_wrap=True)


def _export_one(
    archive: Archive,
    recording_id: str,
    target: Path,
    format_: Format,
    key: bytes | None,
    force: bool,
    progress: Progress,
) -> None:
    recording = archive.find(recording_id)
    if recording is None:
        raise RecordingError(f"not found below {archive.folder}")
    if recording.manifest and recording.manifest.deleted:
        raise RecordingError(f"deleted on {recording.manifest.deleted_at:%Y-%m-%d}")
    if target.exists() and not force:
        raise RecordingError(f"{target} exists; --force overwrites it")
    task = progress.add_task(recording_id)
    partial = target.with_name(f".{target.name}.partial")
    with Capture.open(recording.path, key) as capture:
        write = write_wav if format_ is Format.wav else write_flac
        try:
            write(capture, partial, lambda done, total: progress.update(task, completed=done, total=total))
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def _read_key(path: Path) -> bytes:
    try:
        return base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, binascii.Error) as error:
        _fail(f"the key file {path} cannot be used: {error}")


@app.command("verify")
def verify_recordings(
    config: ConfigFile = None,
    overrides: Overrides = None,
    folder: FolderOption = None,
    heads: Annotated[
        Path | None, typer.Option("--heads", help="Signed chain heads; default: beside the folder.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="Public key (PEM); default: beside the folder.")
    ] = None,
) -> None:
    """Check that nothing was changed, moved or removed; needs no key to the audio.

    Exit status: 0 intact (an interrupted recording is only a notice); 1 something was changed; 2 it could not
    be checked, or not the signatures.

    Examples:

      ringward recordings verify --config lab/loopback.toml

      ringward recordings verify --folder copy/recordings --heads safe/heads.jsonl --public-key safe/key.pub
    """
    where = _folder(config, overrides, folder)
    heads = heads or heads_path(where)
    public_key = public_key or public_key_path(key_path(where))
    checked = public_key.exists()
    try:
        with _progress() as progress:
            task = progress.add_task("recordings", total=None)
            report = verify(
                where,
                heads=heads if checked else None,
                public_key=public_key if checked else None,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    except (RecordingError, OSError) as error:
        _fail(str(error))
    _print_report(report, public_key)
    if not report.ok:
        raise typer.Exit(FAULTS_FOUND)
    if report.entries and not report.signatures:
        raise typer.Exit(CANNOT)


def _print_report(report: Report, public_key: Path) -> None:
    console = Console()
    if report.findings:
        table = Table("Finding", "File", "What", header_style="bold")
        for finding in report.findings:
            kind = Text(finding.kind, "yellow" if finding.notice else "red")
            table.add_row(kind, Text(finding.file), Text(finding.detail))
        console.print(table)
    if report.entries and not report.signatures:
        console.print(
            Text(f"signatures not checked: no public key at {public_key}", "yellow"), soft_wrap=True
        )
    verdict = Text("intact", "green") if report.ok else Text("NOT INTACT", "red")
    counts = f"{report.recordings} recordings ({report.deleted} deleted, {report.live} in progress)"
    amounts = f"{report.entries} chain entries, {report.bytes / 1e6:.1f} MB checked"
    console.print(verdict.append(f": {counts}, {amounts}", "default"), soft_wrap=True)
