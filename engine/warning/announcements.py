"""The announcement catalogue: what Ringward says and shows, by slug and language.

Reads `announcements.toml` and knows where the rendered prompts lie. Everything is checked on load, so that a
missing translation or a bad placeholder is found at start and not in the middle of a call.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

Language = str  # BCP 47: "en", "zh-CN"

_SLUG = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_POPUP_PLACEHOLDERS = frozenset({"number", "reason"})
_SECTIONS = frozenset({"languages", "announcement", "popup", "label", "example"})


class CatalogueError(ValueError):
    """The catalogue is unusable; the message names file, table and key."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One spoken prompt: its words by language and the longest it may last."""

    slug: str
    text: Mapping[Language, str]
    max_s: float


@dataclass(frozen=True, slots=True)
class PopupExample:
    """One inline case: a popup filled in, and what must come out by language."""

    popup: str
    label: str
    number: str
    expected: Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All texts, complete in every language of `languages`; the first one is the fallback."""

    languages: tuple[Language, ...]
    announcements: Mapping[str, Announcement]
    popups: Mapping[str, Mapping[Language, str]]
    labels: Mapping[str, Mapping[Language, str]]
    examples: tuple[PopupExample, ...]
    folder: Path

    def language(self, wanted: str) -> Language:
        """The language to use for `wanted`: itself, one sharing its primary subtag, or the fallback."""
        if wanted in self.languages:
            return wanted
        primary = wanted.partition("-")[0]
        return next((own for own in self.languages if own.partition("-")[0] == primary), self.languages[0])

    def prompt(self, slug: str, language: str) -> Path:
        """The rendered prompt (FLAC, 8 kHz, mono). KeyError for a slug that is not in the catalogue."""
        announcement = self.announcements[slug]
        return self.folder / "prompts" / self.language(language) / f"{announcement.slug}.flac"

    def popup(self, slug: str, language: str, *, number: str, reason: str) -> str:
        """The text for the callee's phone. `number` and `reason` are inserted as they are."""
        text = self.popups[slug][self.language(language)]
        values = {"number": number, "reason": reason}
        return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

    def label(self, slug: str, language: str) -> str:
        """The display-name label, e.g. "Suspected fraud"."""
        return self.labels[slug][self.language(language)]


def load(path: Path) -> Catalogue:
    """Read and check the catalogue at `path`; prompts are looked for beside it. Raises CatalogueError."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CatalogueError(f"{path}: {error}") from error
    return _Reader(path).catalogue(data)


class _Reader:
    """Turns parsed TOML into a Catalogue; knows the file, for messages."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def catalogue(self, data: dict[str, object]) -> Catalogue:
        self._only(data, _SECTIONS, "top level")
        raw = data.get("languages")
        if not isinstance(raw, list) or not raw or not all(isinstance(item, str) for item in raw):
            raise self._error("languages", "must be a list of language tags")
        languages = tuple(cast("list[str]", raw))
        announcements: dict[str, Announcement] = {}
        for slug, table in self._tables(data, "announcement").items():
            where = f"announcement.{slug}"
            self._only(table, {*languages, "used", "max_s"}, where)
            max_s = table.get("max_s")
            if not isinstance(max_s, int | float) or isinstance(max_s, bool) or max_s <= 0:
                raise self._error(where, "max_s must be a number of seconds above 0")
            announcements[slug] = Announcement(slug, self._texts(table, languages, where), float(max_s))
        popups = self._translated(data, "popup", languages, _POPUP_PLACEHOLDERS)
        labels = self._translated(data, "label", languages, frozenset())
        examples = tuple(self._examples(data, languages, popups, labels))
        return Catalogue(languages, announcements, popups, labels, examples, self._path.parent)

    def _translated(
        self, data: dict[str, object], section: str, languages: tuple[str, ...], placeholders: frozenset[str]
    ) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for slug, table in self._tables(data, section).items():
            where = f"{section}.{slug}"
            self._only(table, {*languages, "used"}, where)
            found[slug] = self._texts(table, languages, where)
            for language, text in found[slug].items():
                for name in _PLACEHOLDER.findall(text):
                    if name not in placeholders:
                        raise self._error(f"{where}.{language}", f"unknown placeholder {{{name}}}")
        return found

    def _examples(
        self,
        data: dict[str, object],
        languages: tuple[str, ...],
        popups: Mapping[str, object],
        labels: Mapping[str, object],
    ) -> list[PopupExample]:
        raw = data.get("example", [])
        if not isinstance(raw, list):
            raise self._error("example", "must be a list of tables: write [[example]]")
        examples = []
        for index, item in enumerate(raw):
            where = f"example {index + 1}"
            table = self._table(item, where)
            self._only(table, {*languages, "popup", "label", "number"}, where)
            popup, label = self._text(table, "popup", where), self._text(table, "label", where)
            if popup not in popups:
                raise self._error(where, f"no popup {popup!r}")
            if label not in labels:
                raise self._error(where, f"no label {label!r}")
            expected = self._texts(table, languages, where)
            examples.append(PopupExample(popup, label, self._text(table, "number", where), expected))
        return examples

    def _tables(self, data: dict[str, object], section: str) -> dict[str, dict[str, object]]:
        tables = self._table(data.get(section, {}), section)
        for slug in tables:
            if not _SLUG.fullmatch(slug):
                raise self._error(f"{section}.{slug}", "a slug has only a–z, 0–9 and _")
        return {slug: self._table(value, f"{section}.{slug}") for slug, value in tables.items()}

    def _texts(self, table: dict[str, object], languages: tuple[str, ...], where: str) -> dict[str, str]:
        return {language: self._text(table, language, where) for language in languages}

    def _text(self, table: dict[str, object], key: str, where: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self._error(f"{where}.{key}", "missing or empty text")
        return value

    def _table(self, value: object, where: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self._error(where, "must be a table")
        return cast("dict[str, object]", value)

    def _only(self, table: Mapping[str, object], allowed: set[str] | frozenset[str], where: str) -> None:
        for key in table:
            if key not in allowed:
                raise self._error(where, f"unknown key {key!r}; known: {', '.join(sorted(allowed))}")

    def _error(self, where: str, message: str) -> CatalogueError:
        return CatalogueError(f"{self._path}: {where}: {message}")
