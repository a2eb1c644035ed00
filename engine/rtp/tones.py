"""Call progress tones as China uses them (GF 002-9002: 450 Hz), and DTMF in the band (ITU-T Q.23)."""

from __future__ import annotations

import numpy as np

from engine.rtp.events import DIGITS
from engine.rtp.g711 import RATE_HZ, Samples

LEVEL_DBM0 = -10.0
FULL_SCALE_DBM0 = 3.15
"""A sine at full scale in G.711 (3.14 dBm0 A-law, 3.17 µ-law)."""

_CADENCES_S = {"ringback": (1.0, 4.0), "busy": (0.35, 0.35), "congestion": (0.7, 0.7)}
"""Seconds of 450 Hz and of silence."""
_ROWS_HZ = (697, 770, 852, 941)
_COLUMNS_HZ = (1209, 1336, 1477, 1633)
_KEYPAD = "123A456B789C*0#D"

TONES = tuple(_CADENCES_S)


def sine(frequency_hz: float, duration_s: float, level_dbm0: float = LEVEL_DBM0) -> Samples:
    """A sine that starts at zero phase."""
    peak = 32_767 * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20)
    time = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    wave: Samples = np.rint(peak * np.sin(2 * np.pi * frequency_hz * time)).astype(np.int16)
    return wave


def cycle(tone: str) -> Samples:
    """One period of a supervisory tone, to be repeated; KeyError for an unknown name."""
    on_s, off_s = _CADENCES_S[tone]
    return np.concatenate((sine(450, on_s), np.zeros(round(off_s * RATE_HZ), np.int16)))


def dtmf(digit: str, duration_s: float = 0.1) -> Samples:
    """The two tones of a key; ValueError for what is no key."""
    if len(digit) != 1 or digit not in DIGITS:
        raise ValueError(f"no DTMF key: {digit!r}")
    row, column = divmod(_KEYPAD.index(digit), 4)
    low = sine(_ROWS_HZ[row], duration_s, LEVEL_DBM0 + 1)
    return low + sine(_COLUMNS_HZ[column], duration_s, LEVEL_DBM0 + 3)
