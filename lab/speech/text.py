"""Written text to spoken words, for the synthesizers and for the recogniser's references."""

import re

_DIGITS_EN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS_ZH = "零一二三四五六七八九"


def spoken(text: str, language: str) -> str:
    """Digits as words, one by one; a Mandarin telephone number reads 1 as 幺."""
    if language == "en":
        return re.sub(r"[0-9]+", lambda match: " ".join(_DIGITS_EN[ord(c) - 48] for c in match[0]), text)
    return re.sub(r"[0-9]+", lambda match: _number_zh(match[0]), text)


def _number_zh(digits: str) -> str:
    words = "".join(_DIGITS_ZH[ord(c) - 48] for c in digits)
    return words.replace("一", "幺") if len(words) > 1 else words


def units(text: str, language: str) -> list[str]:
    """What recognition is scored by: English words, or Chinese characters."""
    joined = " ".join(clauses(text, language))
    return joined.split() if language == "en" else list(joined.replace(" ", ""))


def clauses(text: str, language: str) -> list[str]:
    """The stretches between punctuation marks, digits spelled: lower-case English, or Chinese characters."""
    if language == "en":
        parts = re.split(r"[^a-z' ]+", spoken(text, language).lower())
    else:
        parts = re.split(r"[^\u3400-\u9fff]+", spoken(text, language))
    return [part.strip() for part in parts if part.strip()]
