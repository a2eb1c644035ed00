"""What is rendered: announcements and lab lines by language, with their words, voices and files."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from engine.warning import announcements

ROOT = Path(__file__).parents[2]
DIALPLANS = ROOT / "dialplans"
LINES = Path(__file__).parent / "lines"
LANGUAGES = ("en", "zh-CN")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence to render: `speaker` is announcer, caller or callee; `max_s` bounds its length."""

    slug: str
    language: str
    speaker: str
    text: str
    path: Path
    max_s: float


def prompts() -> list[Utterance]:
    """Every announcement in every language."""
    catalogue = announcements.load(DIALPLANS / "announcements.toml")
    return [
        Utterance(slug, language, "announcer", text, catalogue.prompt(slug, language), announcement.max_s)
        for slug, announcement in catalogue.announcements.items()
        for language, text in announcement.text.items()
    ]


def lines() -> list[Utterance]:
    """Every sentence of the lab's phones in every language."""
    data = tomllib.loads((LINES / "lines.toml").read_text("utf-8"))
    return [
        Utterance(slug, language, line["who"], line[language], LINES / language / f"{slug}.flac", 10.0)
        for slug, line in data["line"].items()
        for language in LANGUAGES
    ]
