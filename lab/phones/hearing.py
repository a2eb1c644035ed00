"""Telling speech from silence well enough to take turns: level over 20 ms frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.rtp.g711 import FRAME_MS, Samples

SPEECH_RMS = 250.0
"""About −40 dBFS: prompts are at −20, line noise of G.711 silence below −60."""
PAUSE_MS = 700
LEAST_SPEECH_MS = 300


class Hearing:
    """Calls `on_pause` when somebody has spoken and then is silent for `PAUSE_MS`."""

    def __init__(self, on_pause: Callable[[], None]) -> None:
        self._on_pause = on_pause
        self._speech_ms = 0
        self._silence_ms = 0
        self.heard_s = 0.0

    def listen(self, samples: Samples) -> None:
        """One packet's samples, in order."""
        level = float(np.sqrt(np.mean(np.square(samples.astype(np.float32))))) if len(samples) else 0.0
        if level >= SPEECH_RMS:
            self._speech_ms += FRAME_MS
            self._silence_ms = 0
            self.heard_s += FRAME_MS / 1000
            return
        self._silence_ms += FRAME_MS
        if self._silence_ms >= PAUSE_MS and self._speech_ms >= LEAST_SPEECH_MS:
            self._speech_ms = 0
            self._on_pause()

    def quiet(self) -> None:
        """The network sends nothing: as good as a frame of silence."""
        if self._speech_ms:
            self.listen(np.zeros(0, np.int16))
