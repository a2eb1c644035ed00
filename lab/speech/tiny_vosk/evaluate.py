"""Word (Mandarin: character) error rates of a lab model, through both G.711 laws."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.rtp.g711 import Law
from lab.speech import audio, catalogue, text, voices
from lab.speech.recognise import LabModel, errors
from lab.speech.tiny_vosk import corpus

# Voices heard in training, and some that were not: espeak's m6 and f5, flite's awb.
_VOICES: dict[str, tuple[voices.Voice, ...]] = {
    "en": (
        voices.Flite("rms"),
        voices.Flite("slt"),
        voices.Espeak("en-us"),
        voices.Espeak("en-gb+m6"),
        voices.Espeak("en-us+f5"),
        voices.Flite("awb"),
    ),
    "zh-CN": (
        voices.Espeak("cmn-latn-pinyin", 190),
        voices.Espeak("cmn-latn-pinyin+f2", 185),
        voices.Espeak("cmn-latn-pinyin+m6", 180),
        voices.Espeak("cmn-latn-pinyin+f5", 180),
    ),
}

Case = tuple[list[str], NDArray[np.int16]]


def report(language: str, folder: Path) -> None:
    """Print the table of the README, and what was misheard in the committed files."""
    model = LabModel(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1000:.0f} kB")
    units = "words" if language == "en" else "characters"
    print(f"| speech | {units} | errors |\n|---|---|---|")
    prompts = [item for item in catalogue.prompts() if item.language == language]
    lines = [item for item in catalogue.lines() if item.language == language]
    for name, items in (
        ("prompts", prompts),
        ("caller's lines", [item for item in lines if item.speaker == "caller"]),
        ("callee's lines", [item for item in lines if item.speaker == "callee"]),
    ):
        _row(name, model, _committed(items), language, show=True)
    for voice in _VOICES[language]:
        _row(f"other sentences, {voice.name}", model, _sentences(language, voice), language)


def _row(name: str, model: LabModel, cases: Iterator[Case], language: str, *, show: bool = False) -> None:
    wrong = total = 0
    for wanted, pcm in cases:
        heard = text.units(model.text(pcm), language)
        missed = errors(wanted, heard)
        wrong, total = wrong + missed, total + len(wanted)
        if show and missed:
            print(f"    {' '.join(wanted)}\n →  {' '.join(heard)}")
    print(f"| {name} | {total} | {100 * wrong / total:.1f} % |", flush=True)


def _committed(items: list[catalogue.Utterance]) -> Iterator[Case]:
    for item in items:
        samples, _ = audio.read(item.path)
        for law in Law:
            yield text.units(item.text, item.language), corpus.through_g711(audio.to_pcm(samples), law)


def _sentences(language: str, voice: voices.Voice) -> Iterator[Case]:
    for line in corpus.written(language):
        samples = audio.to_pcm(audio.prompt(*voice.say(line)))
        yield text.units(line, language), corpus.through_g711(samples, Law.PCMU)
