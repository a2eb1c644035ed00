"""The capture format: what is written is what is read, whatever happens to the file in between."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.capture import Capture, State
from recordings.chunks import CHUNK_HEADER_BYTES, CHUNK_MAGIC, CHUNK_SAMPLES, MAX_SAMPLES, ChunkHeader, Flags
from recordings.errors import KeyRequired, NotACapture, StillRecording, WrongKey
from recordings.g711 import Codec, decode
from recordings.manifest import decode_manifest, manifest_path
from recordings.repair import repair
from recordings.sealing import PLAIN
from recordings.writer import CaptureWriter

STARTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = bytes(range(32))


def new_writer(path: Path, key: bytes | None = None) -> CaptureWriter:
    return CaptureWriter(
        path,
        recording_id=path.stem,
        tenant="lab",
        call_id="lab.1.7",
        started_at=STARTED,
        codecs=(Codec.PCMU, Codec.PCMA),
        key=key,
        number_ids=("a" * 32, ""),
    )


def rewritten(path: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


writes = st.lists(
    st.tuples(
        st.sampled_from((0, 1)),
        st.integers(0, 3 * CHUNK_SAMPLES) | st.integers(CHUNK_SAMPLES - 200, CHUNK_SAMPLES + 200),
        st.integers(1, 400) | st.just(10000),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(writes=writes, key=st.sampled_from((None, KEY)), flush_after=st.integers(0, 25))
def test_the_first_write_of_a_sample_counts_and_gaps_are_silent(
    writes: list[tuple[int, int, int]], key: bytes | None, flush_after: int
) -> None:
    """Whatever the order, the gaps and the overlaps."""
    noise = np.random.default_rng(0)
    codes = np.full((4 * CHUNK_SAMPLES + 10000, 2), -1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r1.rwc"
        writer = new_writer(path, key)
        for number, (channel, first, size) in enumerate(writes):
            payload = noise.bytes(size)
            writer.write(channel, first, payload)
            if number == flush_after:
                writer.flush()
            lane = codes[first : first + size, channel]
            lane[:] = np.where(lane < 0, np.frombuffer(payload, np.uint8), lane)
        manifest = writer.close("bye")
        with Capture.open(path, key) as capture:
            pcm, rate_hz = capture.pcm()
            streamed = list(capture.blocks(777))
            channels = [capture.channel(0), capture.channel(1)]
            assert capture.state is State.CLOSED
            assert capture.damage == []
            assert (capture.sha256, capture.size) == (manifest.sha256, manifest.bytes)
            assert capture.samples == manifest.samples
    ends = [max(np.flatnonzero(codes[:, channel] >= 0), default=-1) + 1 for channel in (0, 1)]
    assert manifest.samples == tuple(ends)
    assert rate_hz == 8000
    wanted = np.zeros((max(ends), 2), np.int16)
    for channel, codec in enumerate((Codec.PCMU, Codec.PCMA)):
        lane = codes[: max(ends), channel]
        wanted[:, channel] = np.where(lane < 0, 0, decode(codec, lane.astype(np.uint8).tobytes()))
    np.testing.assert_array_equal(pcm, wanted)
    np.testing.assert_array_equal(np.concatenate([np.zeros((0, 2), np.int16), *streamed]), wanted)
    np.testing.assert_array_equal(np.stack(channels, axis=1), wanted)


@settings(deadline=None)
@given(
    number=st.integers(0, 2**32 - 1),
    channel=st.integers(0, 1),
    codec=st.sampled_from(Codec),
    first=st.integers(0, MAX_SAMPLES - CHUNK_SAMPLES),
    count=st.integers(0, CHUNK_SAMPLES),
    late=st.booleans(),
)
def test_chunk_headers_round_trip(
    number: int, channel: int, codec: Codec, first: int, count: int, late: bool
) -> None:
    flags = Flags.LATE if late else Flags.NONE
    header = ChunkHeader(b"t" * 16, number, channel, codec, flags, first, count, count)
    assert ChunkHeader.parse(header.pack(), b"t" * 16) == header
    assert ChunkHeader.parse(header.pack(), b"u" * 16) is None


def test_metadata_and_manifest_say_what_was_recorded(tmp_path: Path) -> None:
    writer = new_writer(tmp_path / "r1.rwc")
    writer.write(0, 0, bytes(12000))
    manifest = writer.close("bye")
    assert decode_manifest(manifest_path(writer.path).read_bytes()) == manifest
    assert (manifest.reason, manifest.interrupted, manifest.duration_s) == ("bye", False, 1.5)
    assert (manifest.ended_at - manifest.started_at).total_seconds() == 1.5
    with Capture.open(writer.path) as capture:
        assert capture.meta == writer.meta
        assert capture.meta.cipher == PLAIN
        assert [(h.first_sample, h.sample_count, len(p)) for h, p in capture.chunks()] == [
            (0, 8000, 8000),
            (8000, 4000, 4000),
        ]


def test_a_codec_change_takes_effect_with_the_next_write(tmp_path: Path) -> None:
    writer = new_writer(tmp_path / "r1.rwc")
    writer.write(0, 0, b"\x10" * 160)
    writer.set_codec(0, Codec.PCMA)
    writer.write(0, 160, b"\x10" * 160)
    writer.close("bye")
    with Capture.open(writer.path) as capture:
        left = capture.channel(0)
    assert set(left[:160]) == set(decode(Codec.PCMU, b"\x10"))
    assert set(left[160:]) == set(decode(Codec.PCMA, b"\x10"))


def test_a_silent_channel_is_stored_when_the_other_moves_on(tmp_path: Path) -> None:
    writer = new_writer(tmp_path / "r1.rwc")
    writer.write(1, 0, b"\x01" * 160)
    for second in range(3):
        writer.write(0, second * CHUNK_SAMPLES, b"\x02" * 160)
    with Capture.open(writer.path) as capture:
        assert capture.samples[1] == 160
        assert capture.state is State.RECORDING
    writer.close("bye")


@pytest.mark.parametrize(
    ("channel", "first", "size"),
    [(2, 0, 1), (-1, 0, 1), (0, -1, 1), (0, MAX_SAMPLES, 1), (1, MAX_SAMPLES - 1, 2)],
)
def test_writes_outside_the_capture_are_refused(tmp_path: Path, channel: int, first: int, size: int) -> None:
    writer = new_writer(tmp_path / "r1.rwc")
    with pytest.raises(ValueError, match=r"channel|outside"):
        writer.write(channel, first, bytes(size))
    assert writer.close("bye").samples == (0, 0)


@pytest.mark.parametrize("recording_id", ["", ".", "..", "a/b", "a..b", "-x", "a\nb", "é", "x" * 65])
def test_unsafe_recording_ids_are_refused(tmp_path: Path, recording_id: str) -> None:
    with pytest.raises(ValueError, match="recording id"):
        CaptureWriter(
            tmp_path / "x.rwc",
            recording_id=recording_id,
            tenant="lab",
            call_id="c",
            started_at=STARTED,
            codecs=(Codec.PCMU, Codec.PCMU),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_number_in_clear_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="number id"):
        CaptureWriter(
            tmp_path / "x.rwc",
            recording_id="x",
            tenant="lab",
            call_id="c",
            started_at=STARTED,
            codecs=(Codec.PCMU, Codec.PCMU),
            number_ids=("8613800138000", ""),
        )


# --- encryption ---


def encrypted(tmp_path: Path, audio: bytes = b"\x42" * 9000) -> Path:
    writer = new_writer(tmp_path / "secret.rwc", KEY)
    writer.write(0, 0, audio)
    writer.close("bye")
    return writer.path


def test_encrypted_audio_is_not_in_the_file(tmp_path: Path) -> None:
    audio = os.urandom(9000)
    assert audio[:64] not in encrypted(tmp_path, audio).read_bytes()


def test_without_the_key_only_metadata_is_readable(tmp_path: Path) -> None:
    with Capture.open(encrypted(tmp_path)) as capture:
        assert capture.meta.call_id == "lab.1.7"
        assert capture.samples == (9000, 0)
        assert capture.damage == []
        with pytest.raises(KeyRequired):
            capture.pcm()


def test_a_wrong_key_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(WrongKey):
        Capture.open(encrypted(tmp_path), bytes(32))
    with pytest.raises(ValueError, match="32 bytes"):
        Capture.open(tmp_path / "secret.rwc", b"short")


def test_the_same_key_makes_other_bytes_of_the_same_audio(tmp_path: Path) -> None:
    """Or else two recordings under one key would share nonces, and their XOR would be in clear."""
    stored = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        data = encrypted(tmp_path / str(number)).read_bytes()
        at = data.index(CHUNK_MAGIC) + CHUNK_HEADER_BYTES
        stored.append(data[at : at + CHUNK_SAMPLES])
    assert stored[0] != stored[1]


# --- crashes ---

_RECORD_FOR_EVER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from recordings.g711 import Codec
from recordings.writer import CaptureWriter

writer = CaptureWriter(Path(sys.argv[1]), recording_id="r1", tenant="lab", call_id="c",
                       started_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC), codecs=(Codec.PCMU, Codec.PCMU))
frame = 0
while True:
    for channel in (0, 1):
        writer.write(channel, frame * 160, bytes([frame % 256]) * 160)
    frame += 1
    if frame == 1000:
        print("going", flush=True)
        sys.stdin.readline()
"""


def test_a_killed_writer_leaves_a_playable_recording(tmp_path: Path) -> None:
    path = tmp_path / "r1.rwc"
    with subprocess.Popen(
        [sys.executable, "-c", _RECORD_FOR_EVER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "going\n"
        with Capture.open(path) as capture:
            assert capture.state is State.RECORDING
        with pytest.raises(StillRecording):
            repair(path)
        process.send_signal(signal.SIGKILL)
    with Capture.open(path) as capture:
        assert capture.state is State.INTERRUPTED
        assert capture.interrupted
        pcm, _ = capture.pcm()
    # At most the last second is lost, and what is there is what was said.
    assert 19 * 8000 <= len(pcm) <= 20 * 8000
    frames = bytes(frame % 256 for frame in range(len(pcm) // 160))
    wanted = np.repeat(decode(Codec.PCMU, frames), 160)
    np.testing.assert_array_equal(pcm[: len(wanted), 0], wanted)
    np.testing.assert_array_equal(pcm[: len(wanted), 1], wanted)
    manifest = repair(path)
    assert (manifest.interrupted, manifest.reason) == (True, "interrupted")
    assert decode_manifest(manifest_path(path).read_bytes()) == manifest == repair(path)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_torn_last_chunk_is_left_out_and_cut_off(tmp_path: Path, key: bytes | None) -> None:
    writer = new_writer(tmp_path / "r1.rwc", key)
    writer.write(0, 0, b"\x11" * 8000)
    writer.write(0, 8000, b"\x22" * 8000)
    writer.close("bye")
    whole = writer.path.read_bytes()
    manifest_path(writer.path).unlink()
    for length in range(len(whole) - 8180, len(whole), 97):
        writer.path.write_bytes(whole[:length])
        with Capture.open(writer.path, key) as capture:
            assert capture.interrupted
            assert capture.samples[0] in (8000, 16000)
            assert capture.damage == []
            assert capture.size + capture.torn_bytes == length
            assert len(capture.pcm()[0]) == capture.samples[0]
            size = capture.size
        manifest = repair(writer.path)
        assert manifest.bytes == writer.path.stat().st_size == size


def test_a_recording_that_died_before_its_manifest_keeps_its_reason(tmp_path: Path) -> None:
    writer = new_writer(tmp_path / "r1.rwc")
    writer.write(0, 0, bytes(100))
    manifest = writer.close("cancelled")
    manifest_path(writer.path).unlink()
    assert repair(writer.path) == manifest


@pytest.mark.parametrize("content", [b"", b"RWCAP", b"RIFF" + bytes(100), b"RWCAP\x01\r\n\x7f\xff\xff\xff"])
def test_other_files_are_not_captures(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r1.rwc"
    path.write_bytes(content)
    with pytest.raises(NotACapture):
        Capture.open(path)
    with pytest.raises(NotACapture):
        repair(path)


@settings(deadline=None)
@given(junk=st.binary(max_size=300), at=st.integers(0, 30000))
def test_junk_in_a_file_never_stops_the_reader(junk: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = new_writer(Path(folder) / "r1.rwc")
        writer.write(0, 0, b"\x33" * 24000)
        writer.close("bye")
        data = writer.path.read_bytes()
        cut = min(at, len(data))
        writer.path.write_bytes(data[:cut] + junk + data[cut:])
        try:
            with Capture.open(writer.path) as capture:
                pcm, _ = capture.pcm()
                assert len(pcm) <= 24000
                assert capture.damage or capture.torn_bytes or not junk
        except NotACapture:
            assert cut < 400


def test_a_damaged_chunk_is_silent_and_the_others_play(tmp_path: Path) -> None:
    writer = new_writer(tmp_path / "r1.rwc")
    writer.write(0, 0, b"\x33" * 24000)
    writer.close("bye")

    def change(data: bytearray) -> None:
        data[data.index(b"\x33" * 8000) + 8500] ^= 1

    with Capture.open(rewritten(writer.path, change)) as capture:
        left = capture.channel(0)
        assert len(capture.damage) == 1
    assert left[:8000].all()
    assert not left[8000:16000].any()
    assert left[16000:].all()


def test_clear_audio_slipped_into_an_encrypted_file_is_not_played(tmp_path: Path) -> None:
    path = encrypted(tmp_path)
    with Capture.open(path) as capture:
        assert capture.chunk_count == 2

    def change(data: bytearray) -> None:
        at = data.index(CHUNK_MAGIC)
        data[at + 26] &= ~Flags.SEALED

    with Capture.open(rewritten(path, change), KEY) as capture:
        assert capture.chunk_count == 1
        assert capture.damage


# --- a full disk ---


_FILL_DISK = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from recordings.g711 import Codec
from recordings.writer import CaptureWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = CaptureWriter(Path(sys.argv[1]), recording_id="r1", tenant="lab", call_id="c",
                       started_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC), codecs=(Codec.PCMU, Codec.PCMU))
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
failures = 0
for second in range(6):
    room = 20000 if second < 4 else limit[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limit[1]))
    try:
        writer.write(0, second * 8000, bytes([second]) * 8000)
    except OSError:
        failures += 1
manifest = writer.close("bye")
print(failures, writer.lost_samples, manifest.samples[0])
"""


def test_a_full_disk_loses_seconds_but_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r1.rwc"
    done = subprocess.run(
        [sys.executable, "-c", _FILL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 8000 48000\n", done.stderr
    with Capture.open(path) as capture:
        assert capture.damage == []
        assert capture.state is State.CLOSED
        left = capture.channel(0)
    heard = [bool(left[second * 8000]) for second in range(6)]
    assert heard == [True, True, False, True, True, True]
