"""Numbers as a trunk writes them: formats, and rules that strip and prefix. Pure.

Formats are made from the number that was screened, rules work on text. A protected number is never changed:
`translated` and `formatted` are not asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import phonenumbers

from engine.model.trunk_sections import TranslationSection
from scoring.numbers import Number, NumberKind

Format = Literal["dialled", "e164", "international", "national"]
INTERNATIONAL: Final = "00"
_NUMBER_BEGINS: Final = frozenset("+0123456789*#")
LENGTH_MAX: Final = 64
"""Of a number that a rule has made; a longer one is left as it was."""


def translated(text: str, rules: Sequence[TranslationSection]) -> str:
    """What the first rule that matches makes of a number; without one, or with nothing left, the same.

    What is no number (anonymous, a name, a URN) is left alone.
    """
    if text[:1] not in _NUMBER_BEGINS:
        return text
    for rule in rules:
        if text.startswith(rule.match):
            changed = rule.prefix + text[rule.strip :]
            return changed if 0 < len(changed) <= LENGTH_MAX else text
    return text


def formatted(number: Number, text: str, wanted: Format, country_code: str) -> str:
    """A full number in the form wanted; anything else stays the text that it was."""
    if wanted == "dialled" or number.kind is not NumberKind.E164:
        return text
    if wanted == "e164":
        return number.display
    if wanted == "national" and number.digits.startswith(country_code):
        return _national(number.display) or INTERNATIONAL + number.digits
    return INTERNATIONAL + number.digits


@lru_cache(4_096)
def _national(display: str) -> str:
    """As dialled within the country: 13900000002, 01012345678; empty where it cannot be read."""
    try:
        parsed = phonenumbers.parse(display, None)
    except phonenumbers.NumberParseException:
        return ""
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(each for each in text if each in "0123456789")


def failed_example(rules: Sequence[TranslationSection]) -> str:
    """What is wrong with the first example that the rules do not keep; empty: all hold."""
    for rule in rules:
        for number, expected in rule.examples.items():
            found = translated(number, rules)
            if found != expected:
                return f"{number} becomes {found}, the example says {expected}"
    return ""
