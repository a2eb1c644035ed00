"""Vosk behind the `Recognizer` protocol.

Vosk ends the whole process, or says only "Failed to create a model", when a file of its model is missing:
everything it needs is looked for before it is called.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recordings.errors import ModelMissing, ModelUnusable
from recordings.g711 import RATE_HZ, Pcm
from recordings.transcripts import Segment, Word

_REQUIRED: Final = ("am/final.mdl", "conf/model.conf", "conf/mfcc.conf", "graph/words.txt")
_WORD_TIMES: Final = "graph/phones/word_boundary.int"
_GRAPHS: Final = (("graph/HCLG.fst",), ("graph/HCLr.fst", "graph/Gr.fst", "graph/disambig_tid.int"))
_UNKNOWN: Final = "[unk]"
_BETWEEN_HAN: Final = re.compile(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])")
_FEED_SAMPLES: Final = RATE_HZ // 5
_WHERE: Final = "put an unpacked Vosk model there, or name another folder under [speech.models]"


class _VoskWord(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float
    conf: float = 0.0


class _VoskResult(msgspec.Struct, frozen=True):
    result: list[_VoskWord] = []


def check_model(folder: Path) -> None:
    """Raise ModelMissing, naming the folder or file and the remedy, unless Vosk can load `folder`."""
    if not folder.is_dir():
        raise ModelMissing(f"there is no speech model at {folder}: {_WHERE}")
    missing = [name for name in (*_REQUIRED, _WORD_TIMES) if not (folder / name).is_file()]
    if not any(all((folder / name).is_file() for name in graph) for graph in _GRAPHS):
        missing.append(" or ".join("+".join(graph) for graph in _GRAPHS))
    if missing:
        raise ModelMissing(f"the speech model at {folder} lacks {', '.join(missing)}: {_WHERE}")


def _sample_rate_hz(folder: Path) -> int:
    match = re.search(
        r"^\s*--sample-frequency=(\d+)(?:\.0*)?\s*$", (folder / "conf/mfcc.conf").read_text(), re.M | re.A
    )
    return int(match[1]) if match else 16000


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as data:
            while block := data.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


@cache
def _doubler() -> NDArray[np.float64]:
    """Taps of a half-band low-pass that fills in every second sample (4 kHz to 8 kHz is removed)."""
    at = np.arange(-31, 32)
    return np.asarray(np.sinc(at / 2) * np.hamming(len(at)))


def doubled(pcm: Pcm) -> Pcm:
    """The same sound at 16 kHz: larger Vosk models know no other rate."""
    spread = np.zeros(2 * len(pcm))
    spread[::2] = pcm
    wide: Pcm = np.clip(np.convolve(spread, _doubler(), "same"), -32768, 32767).astype(np.int16)
    return wide


class VoskRecognizer:
    """Recognises with the Vosk model in `folder`; loading takes from 50 ms (tiny) to several seconds.

    ModelMissing, ModelUnusable.
    """

    def __init__(self, folder: Path) -> None:
        check_model(folder)
        self._rate_hz = _sample_rate_hz(folder)
        if self._rate_hz not in (RATE_HZ, 2 * RATE_HZ):
            raise ModelUnusable(f"the speech model at {folder} wants {self._rate_hz} Hz, not 8000 or 16000")
        # Vosk takes a while to import and brings a web client along: only who recognises pays for it.
        import vosk

        vosk.SetLogLevel(-1)
        self._vosk: Any = vosk
        self.name = "vosk"
        self.model = folder.resolve().name
        self.version = _digest(folder)[:16]
        try:
            self._model: Any = vosk.Model(str(folder))
        except Exception as error:
            raise ModelUnusable(f"Vosk cannot load the speech model at {folder}: {error}") from error

    def transcribe(self, pcm: Pcm, language: str) -> list[Segment]:
        recognizer = self._vosk.KaldiRecognizer(self._model, float(self._rate_hz))
        recognizer.SetWords(True)
        sound = pcm if self._rate_hz == RATE_HZ else doubled(pcm)
        step = _FEED_SAMPLES * self._rate_hz // RATE_HZ
        data = sound.astype("<i2", copy=False).tobytes()
        results = [
            recognizer.Result()
            for at in range(0, len(data), 2 * step)
            if recognizer.AcceptWaveform(data[at : at + 2 * step])
        ]
        results.append(recognizer.FinalResult())
        segments = (parse_result(text, language) for text in results)
        return [segment for segment in segments if segment]


def parse_result(text: str, language: str) -> Segment | None:
    """The segment in one of Vosk's JSON results, or None if it understood nothing in it."""
    result = msgspec.json.decode(text, type=_VoskResult)
    if all(word.word == _UNKNOWN for word in result.result):
        return None
    words = tuple(
        Word(
            "…" if word.word == _UNKNOWN else word.word,
            round(word.start * 1000),
            round(word.end * 1000),
            round(min(word.conf, 1.0), 3),
        )
        for word in result.result
    )
    return Segment(
        start_ms=words[0].start_ms,
        end_ms=words[-1].end_ms,
        channel=0,
        language=language,
        text=_BETWEEN_HAN.sub("", " ".join(word.text for word in words)),
        words=words,
    )
