from __future__ import annotations

import numpy as np
import pytest

from engine.rtp.tones import cycle, dtmf


def power(samples: np.ndarray, frequency_hz: float) -> float:
    """Share of the power at one frequency."""
    wave = samples.astype(float)
    time = np.arange(len(wave)) / 8000
    found = abs(np.dot(wave, np.exp(-2j * np.pi * frequency_hz * time))) / len(wave) * np.sqrt(2)
    return float((found / np.sqrt(np.mean(wave**2))) ** 2)


@pytest.mark.parametrize(
    ("tone", "on_s", "off_s"), [("ringback", 1, 4), ("busy", 0.35, 0.35), ("congestion", 0.7, 0.7)]
)
def test_cadence_and_pitch(tone: str, on_s: float, off_s: float) -> None:
    samples = cycle(tone)
    on = round(on_s * 8000)
    assert len(samples) == on + round(off_s * 8000)
    assert not samples[on:].any()
    assert power(samples[:on], 450) > 0.99


def test_unknown_tone() -> None:
    with pytest.raises(KeyError):
        cycle("siren")


@pytest.mark.parametrize(
    ("digit", "row_hz", "column_hz"), [("1", 697, 1209), ("#", 941, 1477), ("A", 697, 1633), ("0", 941, 1336)]
)
def test_keys_are_two_tones(digit: str, row_hz: int, column_hz: int) -> None:
    samples = dtmf(digit)
    assert power(samples, row_hz) > 0.3
    assert power(samples, column_hz) > 0.4
    assert np.max(np.abs(samples.astype(int))) < 32_767


def test_no_key() -> None:
    with pytest.raises(ValueError, match="DTMF"):
        dtmf("x")
