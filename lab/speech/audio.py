"""Telephone audio with numpy: resampled, band-limited, trimmed, levelled 8 kHz speech, and G.711."""

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float64]  # mono, full scale ±1

RATE_HZ = 8000
PEAK_DBFS = -12.0
_FRAME = 80  # 10 ms


def read(path: Path) -> tuple[Samples, int]:
    """A mono sound file as samples and rate."""
    samples, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
    return samples.mean(axis=1), int(rate_hz)


def write(path: Path, samples: Samples) -> None:
    """Write 8 kHz 16-bit FLAC, the form in which prompts and lines are committed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE_HZ, format="FLAC", subtype="PCM_16")


def to_telephone_rate(samples: Samples, rate_hz: int) -> Samples:
    """Resample to 8 kHz."""
    return np.asarray(soxr.resample(samples, rate_hz, RATE_HZ, quality="HQ"), dtype=np.float64)


def band_limit(samples: Samples, low_hz: float = 300.0, high_hz: float = 3400.0) -> Samples:
    """Keep the telephone band with a linear-phase FIR (257 taps, 16 ms each way)."""
    t = np.arange(-128, 129) / RATE_HZ
    window = np.hamming(len(t))

    def low_pass(cut_hz: float) -> Samples:
        return np.asarray(2 * cut_hz / RATE_HZ * np.sinc(2 * cut_hz * t) * window)

    return np.convolve(samples, low_pass(high_hz) - low_pass(low_hz), mode="same")


def trim(samples: Samples, floor_db: float = -45.0, keep_ms: int = 60) -> Samples:
    """Cut silence (frames more than `-floor_db` below the loudest) at both ends, leaving `keep_ms`."""
    count = len(samples) // _FRAME
    energy = (samples[: count * _FRAME].reshape(count, _FRAME) ** 2).mean(axis=1)
    loud = np.flatnonzero(energy > energy.max() * 10 ** (floor_db / 10))
    keep = keep_ms * RATE_HZ // 1000
    return samples[max(0, int(loud[0]) * _FRAME - keep) : (int(loud[-1]) + 1) * _FRAME + keep]


def to_peak(samples: Samples, peak_dbfs: float = PEAK_DBFS) -> Samples:
    """Scale so that the loudest sample is at `peak_dbfs`."""
    return np.asarray(samples * (10 ** (peak_dbfs / 20) / np.abs(samples).max()))


def prompt(samples: Samples, rate_hz: int) -> Samples:
    """What a prompt goes through after synthesis."""
    return to_peak(trim(band_limit(to_telephone_rate(samples, rate_hz))))


def to_pcm(samples: Samples) -> NDArray[np.int16]:
    """16-bit samples, saturating."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
