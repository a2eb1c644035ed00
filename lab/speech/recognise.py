"""Recognition of committed speech with a lab model, and its score."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vosk import KaldiRecognizer, Model, SetLogLevel

RATE_HZ = 8000
_BLOCK = 160 * 2  # bytes of 20 ms


class LabModel:
    """One of `lab/speech/models`, loaded."""

    def __init__(self, folder: Path) -> None:
        SetLogLevel(-1)
        self._model = Model(str(folder))

    def text(self, pcm: NDArray[np.int16], *, lead_s: float = 0.3) -> str:
        """The words of one utterance at 8 kHz, streamed in 20 ms blocks with silence around it."""
        silence = np.zeros(int(lead_s * RATE_HZ), np.int16)
        data = np.concatenate([silence, pcm, silence]).tobytes()
        recogniser = KaldiRecognizer(self._model, RATE_HZ)
        heard = [
            json.loads(recogniser.Result())["text"]
            for first in range(0, len(data), _BLOCK)
            if recogniser.AcceptWaveform(data[first : first + _BLOCK])
        ]
        heard.append(json.loads(recogniser.FinalResult())["text"])
        return " ".join(part for part in heard if part)


def errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Substitutions, insertions and deletions between two sequences of words or characters (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got))
    return row[-1]
