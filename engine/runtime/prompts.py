"""Rendered prompts as samples, for user agents of this process (the media worker reads its own)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import soundfile

from engine.rtp.g711 import RATE_HZ, Samples


@lru_cache(maxsize=256)
def read_samples(path: Path) -> Samples:
    """Mono 8 kHz samples of a FLAC or WAV file. Raises OSError or ValueError."""
    try:
        samples, rate_hz = soundfile.read(path, dtype="int16")
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path}: {error}") from None
    if rate_hz != RATE_HZ or samples.ndim != 1:
        raise ValueError(f"{path}: expected mono at {RATE_HZ} Hz")
    found: Samples = samples
    return found
