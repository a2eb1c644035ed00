"""Languages: one gettext catalogue, read when the process starts, and the choice per request.

Message ids are the English texts. `N_` marks a text that is translated later, where it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, cast

from babel.messages.pofile import read_po

Language = Literal["en", "zh-CN"]
LANGUAGES: Final[Mapping[Language, str]] = {"en": "English", "zh-CN": "中文"}
CATALOGUE: Final = Path(__file__).parent / "locale" / "zh_CN" / "LC_MESSAGES" / "console.po"


def N_(text: str) -> str:
    """Mark a text for the catalogue."""
    return text


@dataclass(frozen=True, slots=True)
class Translator:
    language: Language
    messages: Mapping[str, str]

    def __call__(self, text: str, /, **values: object) -> str:
        """The text in this language; `%(name)s` in it is filled from `values`."""
        translated = self.messages.get(text, text)
        return translated % values if values else translated

    def plural(self, one: str, many: str, n: int, /, **values: object) -> str:
        """Chinese has one form: it is filed under the plural."""
        return self(one if n == 1 and self.language == "en" else many, n=n, **values)


@cache
def translator(language: Language) -> Translator:
    if language == "en":
        return Translator(language, {})
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="zh_CN")
    return Translator(
        language,
        {m.id: m.string for m in catalogue if isinstance(m.id, str) and m.id and isinstance(m.string, str)},
    )


def choose_language(cookie: str | None, accept: str | None) -> Language:
    """The viewer's own choice, else the first language of Accept-Language that we have, else English."""
    if cookie in LANGUAGES:
        return cast(Language, cookie)
    for _, tag in sorted(_accepted(accept or ""), key=lambda entry: -entry[0]):
        if tag == "zh" or tag.startswith("zh-"):
            return "zh-CN"
        if tag == "en" or tag.startswith("en-"):
            return "en"
    return "en"


def _accepted(header: str) -> list[tuple[float, str]]:
    """Quality and tag of each range of an Accept-Language header (RFC 9110 §12.5.4)."""
    ranges = []
    for item in header[:500].split(","):
        tag, _, parameters = item.partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            quality = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if quality > 0:
            ranges.append((quality, tag.strip().lower()))
    return ranges
