"""Tones for proofs by ear: made as samples, found again by spectrum, in WAV files and in G.711.

The G.711 tables are written out here from the standard on purpose and not taken from the engine: what the
engine relays is judged by arithmetic of our peers' own.
"""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

RATE_HZ = 8000


def tone(frequency_hz: float, seconds: float, level_dbfs: float = -12.0) -> Samples:
    """A sine as 16-bit samples at 8 kHz; the level is that of its peak against full scale."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    peak = 32767 * 10 ** (level_dbfs / 20)
    return (peak * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)


def _mu_law_table() -> Samples:
    """ITU-T G.711 §3.2 and table 2b: complemented bits, sign, three bits of chord, four of step."""
    code = ~np.arange(256, dtype=np.uint8)
    chord, step = (code >> 4) & 7, code & 15
    size = (((2 * step.astype(np.int32) + 33) << chord) - 33) * 4
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _a_law_table() -> Samples:
    """ITU-T G.711 §3.1 and table 1b: even bits inverted, sign set for positive values."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    chord, step = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(chord == 0, 2 * step + 1, (2 * step + 33) << np.maximum(chord - 1, 0)) * 8
    return np.where(code & 0x80, size, -size).astype(np.int16)


PCMU, PCMA = 0, 8
_TABLES = {PCMU: _mu_law_table(), PCMA: _a_law_table()}


def decode(payload: bytes, payload_type: int) -> Samples:
    """G.711 bytes as samples. Raises KeyError for a payload type that is neither PCMU (0) nor PCMA (8)."""
    return _TABLES[payload_type][np.frombuffer(payload, np.uint8)]


def encode(samples: Samples, payload_type: int) -> bytes:
    """Samples as G.711 bytes: each the code whose decoded value is nearest."""
    table = _TABLES[payload_type].astype(np.int32)
    order = np.argsort(table, kind="stable")
    ranks = table[order]
    middles = (ranks[1:] + ranks[:-1]) // 2
    return order[np.searchsorted(middles, samples.astype(np.int32))].astype(np.uint8).tobytes()


def write_wav(path: Path, samples: Samples) -> None:
    """One channel, 16 bit, 8 kHz."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(samples.tobytes())


def read_wav(path: Path) -> Samples:
    """The samples of a one-channel, 16-bit, 8 kHz file. Raises ValueError for any other shape."""
    with wave.open(str(path), "rb") as file:
        shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if shape != (1, 2, RATE_HZ):
            raise ValueError(f"{path}: channels, bytes and rate are {shape}, not (1, 2, {RATE_HZ})")
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a stretch of sound is: its strongest frequency, the share of power within 30 Hz, its level."""

    frequency_hz: float
    purity: float
    level_dbfs: float

    def is_tone(self, frequency_hz: float) -> bool:
        """Whether this is a tone of `frequency_hz` and little else, audible and not hummed away."""
        return abs(self.frequency_hz - frequency_hz) <= 10 and self.purity > 0.8 and self.level_dbfs > -40


def listen(samples: Samples) -> Heard:
    """Measure a stretch of at least 100 ms by its spectrum; level as RMS against full scale."""
    if len(samples) < RATE_HZ // 10:
        raise ValueError(f"{len(samples)} samples are too few to name a frequency")
    signal = samples.astype(np.float64) / 32768
    level = 10 * np.log10(max(float(np.mean(signal**2)), 1e-12))
    power = np.abs(np.fft.rfft((signal - signal.mean()) * np.hanning(len(signal)))) ** 2
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE_HZ)
    peak = float(frequencies[int(np.argmax(power))])
    near = float(power[np.abs(frequencies - peak) <= 30].sum())
    return Heard(peak, near / max(float(power.sum()), 1e-30), level)


def seconds_of_tone(samples: Samples, frequency_hz: float, slice_ms: int = 100) -> float:
    """How long, in seconds, a tone of `frequency_hz` is heard in all, judged slice by slice."""
    size = RATE_HZ * slice_ms // 1000
    slices = (samples[start : start + size] for start in range(0, len(samples) - size + 1, size))
    return sum(listen(part).is_tone(frequency_hz) for part in slices) * slice_ms / 1000


def seconds_of_sound(samples: Samples, slice_ms: int = 100, above_dbfs: float = -45.0) -> float:
    """How long, in seconds, anything at all is heard louder than `above_dbfs`."""
    size = RATE_HZ * slice_ms // 1000
    slices = (samples[start : start + size] for start in range(0, len(samples) - size + 1, size))
    return sum(listen(part).level_dbfs > above_dbfs for part in slices) * slice_ms / 1000
