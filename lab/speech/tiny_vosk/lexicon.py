"""Words and their phones, from what the synthesizers themselves would say."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache

from pypinyin import Style, pinyin

Lexicon = Mapping[str, tuple[str, ...]]

SILENCE = "SIL"
UNKNOWN = "[unk]"
"""What is written for speech that is no known word, as in other Vosk models."""
_UNKNOWN_PHONES = ("SPN",) * 3  # Kaldi's name for such a sound; three, so that it is never a mere click

# espeak's IPA told apart more finely than a small model can learn: rare sounds are written as common ones.
_MERGED_EN = {
    "aɪɚ": ("aɪ", "ɚ"),
    "aɪə": ("aɪ", "ə"),
    "əl": ("ə", "l"),
    "n̩": ("ə", "n"),
    "oːɹ": ("ɔː", "ɹ"),
    "ɔːɹ": ("ɔː", "ɹ"),
    "ɑːɹ": ("ɑː", "ɹ"),
    "ɛɹ": ("ɛ", "ɹ"),
    "ɪɹ": ("ɪ", "ɹ"),
    "ʊɹ": ("ʊ", "ɹ"),
    "iə": ("iː", "ə"),
    "ɜː": ("ɚ",),
    "ɐ": ("ə",),
    "ᵻ": ("ɪ",),
    "i": ("iː",),
    "ɾ": ("t",),
    "ʔ": ("t",),
    "o": ("oʊ",),
    "ɔ": ("ɔː",),
    "ɑː": ("ɑː",),
    "ʒ": ("dʒ",),
}


def english(words: Iterable[str]) -> Lexicon:
    """Phones by word, in espeak's IPA for en-us, merged to some forty."""
    return {UNKNOWN: _UNKNOWN_PHONES, **{word: _english(word) for word in words}}


@cache
def _english(word: str) -> tuple[str, ...]:
    command = ["espeak-ng", "-v", "en-us", "-q", "--ipa", "--sep=_", word]
    ipa = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    phones = re.sub("[ˈˌ\u200d\\s]", "", ipa).split("_")
    return tuple(merged for phone in phones if phone for merged in _MERGED_EN.get(phone, (phone,)))


def mandarin(words: Iterable[str]) -> Lexicon:
    """Phones by word: initial and final of each syllable, without tones, which so few words do not need."""
    return {UNKNOWN: _UNKNOWN_PHONES, **{word: _mandarin(word) for word in words}}


def _mandarin(word: str) -> tuple[str, ...]:
    initials = pinyin(word, style=Style.INITIALS, strict=False)
    finals = pinyin(word, style=Style.FINALS, strict=False)
    phones: list[str] = []
    for (initial,), (final,) in zip(initials, finals, strict=True):
        phones += [initial] if initial else []
        phones.append(_final_after(initial, final))
    return tuple(phones)


def _final_after(initial: str, final: str) -> str:
    """Undo two conveniences of pinyin: i after zi and zhi is no [i], and u after j, q, x and y is ü."""
    if final == "i" and initial in {"z", "c", "s"}:
        return "i_z"
    if final == "i" and initial in {"zh", "ch", "sh", "r"}:
        return "i_zh"
    if final.startswith("u") and initial in {"j", "q", "x", "y"}:
        return "v" + final[1:]
    return final


def phones_of(lexicon: Lexicon) -> list[str]:
    """All phones, silence first: a phone's index here is its class."""
    return [SILENCE, *sorted({phone for phones in lexicon.values() for phone in phones})]
