"""The committed recognition models: small, loadable by Vosk, and right about everything the lab says."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from vosk import KaldiRecognizer, Model

from engine.rtp import g711
from lab.speech import catalogue, text
from lab.speech.recognise import LabModel, errors

MODELS = Path(catalogue.LINES).parent / "models"
SPEAKERS = ("announcer", "caller", "callee")
WORST = 0.05  # error rate; measured ones are in lab/speech/README.md


@pytest.fixture(scope="module", params=catalogue.LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(language: str) -> LabModel:
    return LabModel(MODELS / language)


def heard_through(item: catalogue.Utterance, law: g711.Law) -> NDArray[np.int16]:
    pcm, _ = soundfile.read(item.path, dtype="int16")
    return g711.decode(g711.encode(pcm, law), law)


def items(language: str, speaker: str) -> Iterator[catalogue.Utterance]:
    for item in [*catalogue.prompts(), *catalogue.lines()]:
        if (item.language, item.speaker) == (language, speaker):
            yield item


def test_a_model_is_at_most_a_megabyte(language: str) -> None:
    assert sum(path.stat().st_size for path in (MODELS / language).rglob("*") if path.is_file()) <= 1_000_000


@pytest.mark.parametrize("law", g711.Law, ids=lambda law: law.name)
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_committed_speech_is_recognised(model: LabModel, language: str, speaker: str, law: g711.Law) -> None:
    wrong = total = 0
    for item in items(language, speaker):
        wanted = text.units(item.text, language)
        wrong += errors(wanted, text.units(model.text(heard_through(item, law)), language))
        total += len(wanted)
    assert total > 50
    assert wrong / total <= WORST


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_a_channel_with_pauses_between_sentences_is_recognised(
    model: LabModel, language: str, speaker: str
) -> None:
    """As recorded: one party's sentences with digital silence between them while the other one speaks."""
    pause = np.zeros(3 * 8000, np.int16)
    wanted: list[str] = []
    channel = [pause]
    for item in items(language, speaker):
        wanted += text.units(item.text, language)
        channel += [heard_through(item, g711.Law.PCMU), pause]
    heard = text.units(model.text(np.concatenate(channel)), language)
    assert errors(wanted, heard) / len(wanted) <= WORST


def test_words_carry_times_and_confidence(language: str) -> None:
    recogniser = KaldiRecognizer(Model(str(MODELS / language)), 8000)
    recogniser.SetWords(True)
    item = next(items(language, "callee"))
    pcm = heard_through(item, g711.Law.PCMA)
    recogniser.AcceptWaveform(np.concatenate([np.zeros(8000, np.int16), pcm]).tobytes())
    words = json.loads(recogniser.FinalResult())["result"]
    assert [word["word"] for word in words]
    assert 0.9 <= words[0]["start"] < words[-1]["end"] <= 1.1 + len(pcm) / 8000
    assert all(0 <= word["conf"] <= 1.0001 for word in words)


def test_silence_says_nothing(model: LabModel) -> None:
    assert model.text(np.zeros(5 * 8000, np.int16)) == ""


@pytest.mark.parametrize(
    ("wanted", "got", "count"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("abc", "ac", 1),
        ("abc", "abxc", 1),
        ("abc", "xbc", 1),
        ("", "ab", 2),
        ("ab", "", 2),
    ],
)
def test_errors_are_counted(wanted: str, got: str, count: int) -> None:
    assert errors(wanted, got) == count


@pytest.mark.parametrize(
    ("written", "language", "units"),
    [
        ("Press 1, please.", "en", ["press", "one", "please"]),
        ("Dial 96110.", "en", ["dial", "nine", "six", "one", "one", "zero"]),
        ("请按1。", "zh-CN", ["请", "按", "一"]),
        ("拨打110", "zh-CN", ["拨", "打", "幺", "幺", "零"]),
    ],
)
def test_texts_are_read_as_they_are_spoken(written: str, language: str, units: list[str]) -> None:
    assert text.units(written, language) == units
