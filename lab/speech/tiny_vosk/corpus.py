"""What the model learns from: sentences, and those sentences spoken over a telephone by many voices."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.rtp import g711
from lab.speech import audio, catalogue, text, voices
from lab.speech.tiny_vosk import features
from lab.speech.tiny_vosk.lexicon import UNKNOWN

FOLDER = Path(__file__).parents[1] / "corpus"
DIGITS = {
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "zh-CN": list("零一二三四五六七八九幺"),
}

_ESPEAK_EN = [
    f"{accent}+{variant}"
    for accent in ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland")
    for variant in ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f2", "f4")
]
_ESPEAK_ZH = [
    f"cmn-latn-pinyin{variant}" for variant in ("", "+m1", "+m2", "+m3", "+m4", "+f1", "+f2", "+f4")
]
_FLITE = ("slt", "slt", "slt", "rms", "rms", "rms", "kal16", "kal")  # the lab's own voices most


@dataclass(frozen=True, slots=True)
class Spoken:
    """One training utterance."""

    words: tuple[str, ...]
    mfcc: features.Features


def written(language: str) -> list[str]:
    """The lines of the corpus file, words between spaces."""
    return _lines(f"{language}.txt")


def unknown(language: str) -> list[str]:
    """Words the model must not know, spoken in training for its [unk]."""
    known = set(vocabulary(language))
    words = [word for line in _lines(f"{language}.unknown.txt") for word in line.split()]
    return [word for word in words if word not in known]


def _lines(name: str) -> list[str]:
    lines = (FOLDER / name).read_text("utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


def sentences(language: str) -> list[list[str]]:
    """Every sentence of the language model as words: the corpus file, announcements and lab lines.

    A text of several clauses counts once whole and once a clause, since speakers pause between them.
    """
    found = [line.split() for line in written(language)]
    vocabulary = {word for sentence in found for word in sentence}
    for item in [*catalogue.prompts(), *catalogue.lines()]:
        if item.language == language:
            clauses = [_words(clause, language, vocabulary) for clause in text.clauses(item.text, language)]
            found += clauses
            if len(clauses) > 1:
                found.append([word for clause in clauses for word in clause])
    return found


def vocabulary(language: str) -> list[str]:
    """Every word the model knows."""
    return sorted({word for sentence in sentences(language) for word in sentence} | set(DIGITS[language]))


def _words(clause: str, language: str, known: set[str]) -> list[str]:
    return clause.split() if language == "en" else segment(clause, known)


def segment(clause: str, known: set[str]) -> list[str]:
    """Chinese text to words: the fewest known words that make it up. ValueError where none do."""
    best: list[list[str] | None] = [[]]
    for end in range(1, len(clause) + 1):
        ways = [
            [*way, clause[start:end]]
            for start in range(end)
            if (way := best[start]) is not None and clause[start:end] in known
        ]
        best.append(min(ways, key=len) if ways else None)
    if (words := best[-1]) is None:
        raise ValueError(f"{clause}: not made of words in corpus/zh-CN.txt")
    return words


def telephone(samples: audio.Samples, rate_hz: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """A line drawn at random: band, level, silence around, noise and one G.711 law."""
    line = audio.to_telephone_rate(samples, rate_hz)
    if rng.random() < 0.6:
        line = audio.band_limit(line, low_hz=rng.uniform(150, 300))
    line *= 10 ** (rng.uniform(-36, -14) / 20) / np.sqrt((line**2).mean())
    before, after = (np.zeros(int(audio.RATE_HZ * rng.uniform(0.1, 0.4))) for _ in range(2))
    line = np.concatenate([before, line, after]) * 32768
    line += rng.normal(0, 10 ** rng.uniform(-0.5, 1.9), len(line))
    pcm = np.clip(np.rint(line), -32768, 32767).astype(np.int16)
    return through_g711(pcm, g711.Law(int(rng.random() < 0.5)))


def through_g711(pcm: NDArray[np.int16], law: g711.Law) -> NDArray[np.int16]:
    """What the far end hears."""
    return g711.decode(g711.encode(pcm, law), law)


def spoken(language: str, count: int, seed: int) -> Iterator[Spoken]:
    """`count` utterances: half real sentences, the rest digits, words at random, words among unknown ones."""
    choose, rng = random.Random(seed), np.random.default_rng(seed)
    real, words, others = sentences(language), vocabulary(language), unknown(language)
    for _ in range(count):
        kind = choose.random()
        if kind < 0.5:
            said = choose.choice(real)
        elif kind < 0.58:
            said = choose.choices(DIGITS[language], k=choose.randint(1, 6))
        elif kind < 0.88:
            said = choose.choices(words, k=choose.randint(2, 7))
        else:
            said = [choose.choice(choose.choice((words, others))) for _ in range(choose.randint(2, 6))]
        samples, rate_hz = _voice(language, choose).say(_written(said, language))
        # Another speed is another voice, too: pitch and formants move with it.
        speed = choose.choice((0.92, 1.0, 1.0, 1.0, 1.08))
        pcm = telephone(samples, round(rate_hz * speed), rng)
        known = tuple(UNKNOWN if word in others else word for word in said)
        yield Spoken(known, features.mfcc(pcm))


def _written(words: list[str], language: str) -> str:
    return " ".join(words) if language == "en" else "".join(words)


def _voice(language: str, choose: random.Random) -> voices.Voice:
    if language == "en" and choose.random() < 0.5:
        return voices.Flite(choose.choice(_FLITE), stretch=choose.uniform(0.9, 1.15))
    names, slowest, fastest = (_ESPEAK_EN, 120, 180) if language == "en" else (_ESPEAK_ZH, 140, 220)
    return voices.Espeak(choose.choice(names), choose.randint(slowest, fastest), choose.randint(25, 75))
