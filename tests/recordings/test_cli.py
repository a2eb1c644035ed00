"""`ringward recordings` as an operator uses it."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner, Result

from engine.cli.recordings import app
from recordings.archive import Archive
from recordings.manifest import Manifest
from recordings.places import key_path, public_key_path

Record = Callable[..., Manifest]


@pytest.fixture
def run(archive: Archive) -> Callable[..., Result]:
    def call(*arguments: str | Path) -> Result:
        command, *rest = map(str, arguments)
        wide = {"COLUMNS": "200", "TERM": "dumb"}
        return CliRunner().invoke(app, [command, "--folder", str(archive.folder), *rest], env=wide)

    return call


def test_help_shows_examples() -> None:
    for command in ("list", "export", "verify"):
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"})
        assert shown.exit_code == 0
        assert f"ringward recordings {command}" in shown.output


def test_list_shows_each_recording(run: Callable[..., Result], record: Record) -> None:
    record("r1", call_id="call-1")
    record("r2", call_id="call-2", key=bytes(32))
    shown = run("list")
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    (first,) = [line for line in lines if "call-1" in line]
    assert all(part in first for part in ("r1", "lab", "2026-03-01 12:00:00", "0:02.5", "bye", "none"))
    assert any("r2" in line and "aes-256-gcm" in line for line in lines)
    assert "r2" not in run("list", "--call", "call-1").output
    assert run("list", "--day", "2026-03-02").output == "no recordings\n"


def test_the_folder_comes_from_the_configuration(archive: Archive, record: Record, tmp_path: Path) -> None:
    record("r1")
    config = tmp_path / "lab.toml"
    config.write_text(f'[data]\nfolder = "{archive.folder.parent}"\n')
    shown = CliRunner().invoke(app, ["list", "--config", str(config)], env={"COLUMNS": "200"})
    assert "r1" in shown.output
    shown = CliRunner().invoke(app, ["list", "--set", "data.folder=/nowhere/at/all"])
    assert (shown.exit_code, "/nowhere/at/all" in shown.output) == (2, True)


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_export_writes_sound_files(
    run: Callable[..., Result], record: Record, tmp_path: Path, kind: str
) -> None:
    record("r1")
    record("r2")
    (tmp_path / "out").mkdir()
    done = run("export", "r1", "r2", "--format", kind, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    for name in ("r1", "r2"):
        info = soundfile.info(tmp_path / "out" / f"{name}.{kind}")
        assert (info.samplerate, info.channels, info.frames) == (8000, 2, 20000)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_export_does_not_overwrite_unless_told(
    run: Callable[..., Result], record: Record, tmp_path: Path
) -> None:
    record("r1")
    target = tmp_path / "kept.wav"
    target.write_text("kept")
    assert run("export", "r1", "-o", target).exit_code == 2
    assert target.read_text() == "kept"
    assert run("export", "r1", "-o", target, "--force").exit_code == 0
    assert soundfile.info(target).frames == 20000


def test_export_of_encrypted_audio_needs_its_key(
    run: Callable[..., Result], record: Record, tmp_path: Path
) -> None:
    record("r1", key=bytes(range(32)))
    target = tmp_path / "r1.wav"
    refused = run("export", "r1", "-o", target)
    assert (refused.exit_code, "encrypted" in refused.output) == (2, True)
    assert not list(tmp_path.glob("*.wav*"))
    key_file = tmp_path / "key"
    key_file.write_bytes(base64.b64encode(bytes(32)))
    wrong = run("export", "r1", "-o", target, "--key-file", key_file)
    assert (wrong.exit_code, "does not open" in wrong.output) == (2, True)
    key_file.write_bytes(base64.b64encode(bytes(range(32))) + b"\n")
    assert run("export", "r1", "-o", target, "--key-file", key_file).exit_code == 0


@pytest.mark.parametrize("recording_id", ["r9", "../x"])
def test_export_names_what_it_cannot_find(
    run: Callable[..., Result], record: Record, recording_id: str
) -> None:
    record("r1")
    refused = run("export", recording_id)
    assert (refused.exit_code, recording_id in refused.output) == (2, True)


def test_verify_tells_intact_altered_and_unsigned_apart(
    run: Callable[..., Result], record: Record, archive: Archive
) -> None:
    record("r1")
    intact = run("verify")
    assert (intact.exit_code, intact.stdout.startswith("intact: 1 recordings")) == (0, True)

    public_key = public_key_path(key_path(archive.folder))
    aside = public_key.rename(public_key.with_name("aside"))
    unsigned = run("verify")
    assert (unsigned.exit_code, "signatures not checked" in unsigned.output) == (2, True)
    assert run("verify", "--public-key", aside).exit_code == 0

    recording = archive.find("r1")
    assert recording
    data = bytearray(recording.path.read_bytes())
    data[5000] ^= 1
    recording.path.write_bytes(data)
    altered = run("verify", "--public-key", aside)
    assert altered.exit_code == 1
    assert "NOT INTACT" in altered.output
    assert "altered chunk" in altered.output
