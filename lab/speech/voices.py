"""The synthesizers, each as a process of its own: flite (English) and espeak-ng (GPL, so never linked)."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pypinyin import Style, lazy_pinyin

from lab.speech import audio, text


@dataclass(frozen=True, slots=True)
class Flite:
    """A flite voice: `slt`, `rms`, `awb`, `kal16` or `kal`. `stretch` above 1 is slower."""

    voice: str
    stretch: float = 1.0

    @property
    def name(self) -> str:
        """For tables."""
        return f"flite {self.voice}"

    def say(self, sentence: str) -> tuple[audio.Samples, int]:
        """Speak an English sentence; samples and rate in Hz."""
        return _run(
            ["flite", "-voice", self.voice, "--setf", f"duration_stretch={self.stretch}"],
            ["-t", text.spoken(sentence, "en"), "-o"],
        )


@dataclass(frozen=True, slots=True)
class Espeak:
    """An espeak-ng voice such as `en-us+f2` or `cmn-latn-pinyin`; rate in words a minute, pitch 0–99."""

    voice: str
    rate_wpm: int = 150
    pitch: int = 50

    @property
    def name(self) -> str:
        """For tables."""
        return f"espeak {self.voice}"

    def say(self, sentence: str) -> tuple[audio.Samples, int]:
        """Speak a sentence (Chinese characters where the voice is Mandarin); samples and rate in Hz."""
        words = pinyin(sentence) if self.voice.startswith("cmn") else text.spoken(sentence, "en")
        arguments = ["-v", self.voice, "-s", str(self.rate_wpm), "-p", str(self.pitch), words]
        return _run(["espeak-ng"], [*arguments, "-w"])


Voice = Flite | Espeak


def pinyin(sentence: str) -> str:
    """Chinese text as numbered pinyin with commas between clauses, for espeak's `cmn-latn-pinyin`.

    espeak-ng's `cmn` voice in Debian reads characters as English; pypinyin settles polyphones by word.
    """
    return ", ".join(
        " ".join(lazy_pinyin(clause, style=Style.TONE3, neutral_tone_with_five=True))
        for clause in text.clauses(sentence, "zh-CN")
    )


def _run(head: list[str], tail: list[str]) -> tuple[audio.Samples, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run([*head, *tail, str(path)], check=True, stdout=subprocess.DEVNULL)
        return audio.read(path)
