"""Nothing is left untranslated, and every slug the engine knows has words."""

import re
from collections.abc import Iterable

from babel.messages.pofile import read_po

from engine.bus.client import PublishResult
from engine.call.table import State
from engine.console import words
from engine.console.client_words import NAMES
from engine.console.i18n import CATALOGUE
from engine.dissuasion.script import CaseOutcome
from engine.model.outcome import REASONS, Blame
from engine.model.screening import Action, Level
from engine.screening.decide import PRECEDENCE
from engine.warning.announcements import load
from scoring.numbers import Source
from tests.console.extraction import CONSOLE, messages

PLACEHOLDER = re.compile(r"%\(\w+\)s")


def entries() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="zh_CN")
    assert not [message.id for message in catalogue if message.fuzzy and message.id]
    return {str(message.id): str(message.string) for message in catalogue if message.id}


def test_every_text_has_a_translation_and_none_is_left_over() -> None:
    known, used = entries(), set(messages())
    assert len(used) > 300
    assert used - known.keys() == set()
    assert known.keys() - used == set()
    assert [text for text, translated in known.items() if not translated.strip()] == []


def test_translations_keep_their_placeholders() -> None:
    for text, translated in entries().items():
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(translated)), text


def test_the_script_uses_the_texts_it_is_given() -> None:
    source = "".join(path.read_text() for path in sorted((CONSOLE / "ts" / "src").glob("*.ts")))
    used = set(re.findall(r'\bt\("([^"]+)"', source)) | set(re.findall(r'"(player\.\w+)"', source))
    used |= {f"stream.{state}" for state in re.findall(r'show\("(\w+)"\)', source)}
    assert used == NAMES


def missing(slugs: Iterable[str], known: Iterable[str]) -> set[str]:
    return set(slugs) - set(known)


def test_every_slug_of_the_engine_has_words() -> None:
    assert missing(REASONS, words.OUTCOMES) == set()
    assert missing(Blame, words.BLAMES) == set()
    assert missing(Action, words.VERDICTS) == set()
    assert missing(Action, words.ACTIONS) == set()
    assert missing(Action, words.VERDICT_TONES) == set()
    assert missing(Level, words.LEVELS) == set()
    assert missing(Source, words.SOURCES) == set()
    assert missing(PublishResult, words.DELIVERIES) == set()
    assert missing((state.value for state in State), words.STAGES) == set()
    assert missing(words.STAGES, words.STAGE_STEPS) == set()
    assert missing((step.id for step in PRECEDENCE), words.RULES) == set()
    assert missing(CaseOutcome, words.DISSUASION_OUTCOMES) == set()
    announcements = load(CONSOLE.parents[1] / "dialplans" / "announcements.toml")
    assert missing(announcements.popups, words.POPUPS) == set()
    assert missing(announcements.labels, words.REASONS) == set()
