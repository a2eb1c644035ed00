"""Committed prompts and lab lines: present, short enough, at telephone level, in the telephone band."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from lab.speech import catalogue

ITEMS = [*catalogue.prompts(), *catalogue.lines()]
FOLDERS = (catalogue.DIALPLANS / "prompts", catalogue.LINES)


def read(path: Path) -> NDArray[np.float64]:
    samples: NDArray[np.float64]
    samples, rate_hz = soundfile.read(path, dtype="float64")
    info = soundfile.info(path)
    assert (rate_hz, info.channels, info.subtype, info.format) == (8000, 1, "PCM_16", "FLAC")
    return samples


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.language}-{item.slug}")
def test_every_text_is_rendered(item: catalogue.Utterance) -> None:
    samples = read(item.path)
    peak_dbfs = 20 * np.log10(np.abs(samples).max())
    assert -12.5 <= peak_dbfs <= -11.5
    rms_dbfs = 10 * np.log10((samples**2).mean())
    assert -35 <= rms_dbfs <= -20
    length_s = len(samples) / 8000
    assert 0.3 < length_s <= item.max_s
    # About as long as its words need: a file of another text would not be.
    syllables = len(item.text) if item.language == "zh-CN" else len(item.text) / 3
    assert 0.07 < length_s / syllables < 0.45


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.language}-{item.slug}")
def test_the_telephone_band_holds_all_of_it(item: catalogue.Utterance) -> None:
    samples = read(item.path)
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / 8000)
    outside = power[(hz < 250) | (hz > 3500)].sum() / power.sum()
    assert 10 * np.log10(outside) < -40


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.language}-{item.slug}")
def test_silence_is_trimmed_at_both_ends(item: catalogue.Utterance) -> None:
    samples = read(item.path)
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 30)
    assert loud[0] < 0.3 * 8000
    assert len(samples) - loud[-1] < 0.4 * 8000


def test_nothing_else_is_committed() -> None:
    rendered = {path for folder in FOLDERS for path in folder.rglob("*.flac")}
    assert rendered == {item.path for item in ITEMS}


def test_the_warning_is_heard_within_eight_seconds() -> None:
    warnings = [item for item in catalogue.prompts() if item.slug == "warn_callee"]
    assert {item.language for item in warnings} == {"en", "zh-CN"}
    assert all(len(read(item.path)) <= 8.0 * 8000 for item in warnings)
