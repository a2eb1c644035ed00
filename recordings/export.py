"""Recordings in formats others read: WAV (whole, streamed or by byte range), FLAC, and peaks to draw."""

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from recordings.capture import Capture
from recordings.errors import RecordingError
from recordings.g711 import RATE_HZ

WAV_HEADER_BYTES: Final = 44
Progress = Callable[[int, int], None]
"""Told (samples done, samples in all)."""

_FRAME_BYTES: Final = 4  # two channels of 16 bits
_BLOCK_SAMPLES: Final = 4 * RATE_HZ


def wav_header(samples: int, channels: int = 2) -> bytes:
    """The 44 bytes before `samples` frames of 16-bit PCM at 8 kHz."""
    width = 2 * channels
    size = samples * width
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        WAV_HEADER_BYTES - 8 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        RATE_HZ,
        RATE_HZ * width,
        width,
        16,
        b"data",
        size,
    )


def wav_size(capture: Capture) -> int:
    """Bytes of the whole WAV, for Content-Length and Content-Range."""
    return WAV_HEADER_BYTES + capture.length * _FRAME_BYTES


def wav_range(capture: Capture, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Bytes `start` to `stop` (exclusive) of the WAV, decoding no more than they need. KeyRequired.

    Caller left, callee right.
    """
    end = wav_size(capture) if stop is None else min(stop, wav_size(capture))
    if start < WAV_HEADER_BYTES and start < end:
        yield wav_header(capture.length)[start : min(end, WAV_HEADER_BYTES)]
    low, high = max(start, WAV_HEADER_BYTES) - WAV_HEADER_BYTES, end - WAV_HEADER_BYTES
    if low >= high:
        return
    at = low // _FRAME_BYTES * _FRAME_BYTES
    for block in capture.blocks(_BLOCK_SAMPLES, start=low // _FRAME_BYTES, stop=-(-high // _FRAME_BYTES)):
        data = block.astype("<i2", copy=False).tobytes()
        yield data[max(low - at, 0) : min(high - at, len(data))]
        at += len(data)


def write_wav(capture: Capture, path: Path, progress: Progress | None = None) -> None:
    """Write the call as a WAV file. KeyRequired, OSError."""
    with path.open("wb") as out:
        for data in wav_range(capture):
            out.write(data)
            if progress:
                progress((out.tell() - WAV_HEADER_BYTES) // _FRAME_BYTES, capture.length)


def _write_flac(capture: Capture, out: Path | io.BytesIO, progress: Progress | None = None) -> None:
    if not capture.length:
        raise RecordingError("the recording holds no sound, and FLAC cannot store none")
    try:
        with soundfile.SoundFile(out, "w", RATE_HZ, 2, "PCM_16", format="FLAC") as flac:
            flac.title = capture.meta.recording_id
            flac.date = capture.meta.started_at.isoformat()
            flac.software = "Ringward"
            flac.comment = f"source-sha256={capture.sha256} call={capture.meta.call_id}"
            written = 0
            for block in capture.blocks(_BLOCK_SAMPLES):
                flac.write(block)
                written += len(block)
                if progress:
                    progress(written, capture.length)
    except soundfile.SoundFileError as error:
        raise RecordingError(f"FLAC could not be written: {error}") from None


def write_flac(capture: Capture, path: Path, progress: Progress | None = None) -> None:
    """Write the call as FLAC; its comment names the SHA-256 of the capture.

    KeyRequired, RecordingError (no sound at all, or it cannot be written).
    """
    _write_flac(capture, path, progress)


def flac_bytes(capture: Capture) -> bytes:
    """The same in memory."""
    out = io.BytesIO()
    _write_flac(capture, out)
    return out.getvalue()


def waveform(capture: Capture, buckets: int) -> NDArray[np.int16]:
    """Peaks to draw: int16 of shape (2, n, 2), for each channel n pairs (lowest, highest sample).

    n is `buckets`, or the number of samples where the call is shorter. KeyRequired.
    """
    length = capture.length
    count = min(buckets, length)
    peaks = np.zeros((2, count, 2), dtype=np.int16)
    edges = np.arange(count + 1, dtype=np.int64) * length // max(count, 1)
    group = max(1, _BLOCK_SAMPLES * count // max(length, 1))
    for at in range(0, count, group):
        to = min(at + group, count)
        block = capture.read(int(edges[at]), int(edges[to]))
        cuts = (edges[at:to] - edges[at]).astype(np.intp)
        peaks[:, at:to, 0] = np.minimum.reduceat(block, cuts, axis=0).T
        peaks[:, at:to, 1] = np.maximum.reduceat(block, cuts, axis=0).T
    return peaks
