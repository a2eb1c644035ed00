"""Exports, measured: what was left comes out left, at the frequency it went in."""

import io
import wave
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recordings.capture import Capture
from recordings.errors import RecordingError
from recordings.export import (
    flac_bytes,
    wav_range,
    wav_size,
    waveform,
    write_flac,
    write_wav,
)
from recordings.g711 import Codec, decode
from recordings.writer import CaptureWriter

Sound = NDArray[np.float64]
KEY = bytes(range(32))


@pytest.fixture(params=[None, KEY], ids=["plain", "sealed"])
def capture(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    encode: Callable[[Codec, Sound], bytes],
    tone: Callable[[float, int], Sound],
) -> Iterator[Capture]:
    """Five seconds of 440 Hz on the left; 1000 Hz on the right from the third second on."""
    writer = CaptureWriter(
        tmp_path / "tones.rwc",
        recording_id="tones",
        tenant="lab",
        call_id="call-1",
        started_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        codecs=(Codec.PCMU, Codec.PCMA),
        key=request.param,
    )
    left, right = encode(Codec.PCMU, tone(440, 40000)), encode(Codec.PCMA, tone(1000, 24000))
    for at in range(0, 40000, 160):
        writer.write(0, at, left[at : at + 160])
        if at >= 16000:
            writer.write(1, at, right[at - 16000 : at - 15840])
    writer.close("bye")
    with Capture.open(writer.path, request.param) as opened:
        yield opened


def loudest_hz(sound: NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * 8000 / len(sound))


def check_tones(pcm: NDArray[np.int16]) -> None:
    assert pcm.shape == (40000, 2)
    assert loudest_hz(pcm[:, 0]) == pytest.approx(440, abs=1)
    assert loudest_hz(pcm[16000:, 1]) == pytest.approx(1000, abs=1)
    assert not pcm[:16000, 1].any()
    assert np.abs(pcm[:, 0]).max() == pytest.approx(8000, rel=0.05)


def test_wav_has_the_right_sizes_channels_and_frequencies(capture: Capture, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_wav(capture, tmp_path / "out.wav", lambda done, total: told.append((done, total)))
    data = (tmp_path / "out.wav").read_bytes()
    assert data == b"".join(wav_range(capture))
    assert len(data) == wav_size(capture) == 44 + 160000
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert told[-1] == (40000, 40000)
    with wave.open(io.BytesIO(data)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, 8000)
        pcm = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    check_tones(pcm)


def test_flac_has_the_same_sound_and_names_its_source(capture: Capture, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_flac(capture, tmp_path / "out.flac", lambda done, total: told.append((done, total)))
    assert told[-1] == (40000, 40000)
    for source in (tmp_path / "out.flac", io.BytesIO(flac_bytes(capture))):
        with soundfile.SoundFile(source) as flac:
            assert (flac.samplerate, flac.format, flac.subtype) == (8000, "FLAC", "PCM_16")
            assert f"source-sha256={capture.sha256}" in flac.comment
            assert flac.title == "tones"
            pcm = flac.read(dtype="int16")
        check_tones(pcm)
        np.testing.assert_array_equal(pcm, capture.pcm()[0])


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (0, 44),
        (10, 50),
        (43, 45),
        (44, 48),
        (45, 47),
        (1001, 70003),
        (128000, None),
        (160043, 160044),
    ],
)
def test_any_byte_range_of_the_wav_is_that_part_of_it(capture: Capture, start: int, stop: int | None) -> None:
    assert b"".join(wav_range(capture, start, stop)) == b"".join(wav_range(capture))[start:stop]


def test_ranges_outside_the_wav_are_empty(capture: Capture) -> None:
    assert b"".join(wav_range(capture, wav_size(capture), None)) == b""
    assert b"".join(wav_range(capture, 300000, 300001)) == b""
    assert b"".join(wav_range(capture, 20, 20)) == b""


@pytest.mark.parametrize("buckets", [1, 7, 100, 1600])
def test_peaks_are_the_extremes_of_each_part(capture: Capture, buckets: int) -> None:
    peaks = waveform(capture, buckets)
    assert peaks.shape == (2, buckets, 2)
    pcm, _ = capture.pcm()
    edges = [len(pcm) * part // buckets for part in range(buckets + 1)]
    for channel in (0, 1):
        wanted = [
            (pcm[low:high, channel].min(), pcm[low:high, channel].max()) for low, high in pairwise(edges)
        ]
        np.testing.assert_array_equal(peaks[channel], wanted)


def test_a_call_without_sound_exports_as_an_empty_file(tmp_path: Path) -> None:
    writer = CaptureWriter(
        tmp_path / "empty.rwc",
        recording_id="empty",
        tenant="lab",
        call_id="c",
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        codecs=(Codec.PCMU, Codec.PCMU),
    )
    writer.close("cancelled")
    with Capture.open(writer.path) as capture:
        assert len(b"".join(wav_range(capture))) == 44
        with pytest.raises(RecordingError, match="no sound"):
            flac_bytes(capture)


def test_flac_that_cannot_be_written_is_an_error_of_ours(capture: Capture, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="could not be written"):
        write_flac(capture, tmp_path / "nowhere" / "out.flac")
        assert waveform(capture, 100).shape == (2, 0, 2)


def test_g711_decodes_to_the_values_of_the_standard() -> None:
    # ITU-T G.711, tables 1a to 2b, scaled to 16 bits: largest, smallest and the two signs of zero.
    mu = decode(Codec.PCMU, b"\x80\x00\xff\x7f\xf0\xaf")
    assert mu.tolist() == [32124, -32124, 0, 0, 120, 4092]
    a = decode(Codec.PCMA, b"\xaa\x2a\xd5\x55\xd4")
    assert a.tolist() == [32256, -32256, 8, -8, 24]
