"""The wording lint: what a voice that calls a victim must say first, and what it must never say.

The rules hold in every language for announcements, popups and scripts, and `findings()` alone can be put
between any generated sentence and the speaker. They err on the strict side, since a refused wording can be
rephrased. Numbers are read from digits, so texts write them as digits.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.dissuasion.rehearsal import rehearse
from engine.dissuasion.script import CaseOutcome, Script
from engine.warning.announcements import Catalogue

PUBLISHED_NUMBERS: Final = frozenset({"96110", "110"})
"""The fraud line and the police: the only numbers that may be named, to be dialled by the person alone."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: where (slug or script state, with language) and what."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A forbidden wording. A match is let off where `unless` matches what precedes it in its sentence."""

    what: str
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one language."""

    first: Mapping[str, re.Pattern[str]]
    forbidden: tuple[_Rule, ...]
    sentence_end: re.Pattern[str]
    own_dialling: re.Pattern[str]
    key: re.Pattern[str]


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_LINK: Final = _Rule("gives a link", _re(r"https?:|www\.|\b[a-z0-9-]+\.(?:com|cn|net|org|io|app)\b"))

# What a third party wants, and what is advised against, may be named: "did they ask you to send money".
_REPORTED_EN: Final = _re(
    r"(?:\b(?:never|not|don't|no one should)(?: \w+){0,2} "
    r"|\b(?:caller|anyone|someone|they|he|she|police|bank)(?: \w+){0,2} (?:asks?|asked|wants?|wanted|told)"
    r" you (?:to|for)\b.*)$"
)
_PRIVATE_EN: Final = r"(?:password|passcode|codes?|pin|(?:card|account|identity|id|security) numbers?)"
_REPORTED_ZH: Final = _re(
    r"(?:(?:不要|不再|别|切勿|绝不)[再先]?(?:把[^，。？！]{0,4})?|(?:对方|有人|他们?|她|来电|警方)[^，。？！]*[让要叫]您.*)$"
)

RULES: Final[Mapping[str, _Rules]] = {
    "en": _Rules(
        first={
            "organisation": _re(r"\bringward\b"),
            "automated voice": _re(r"\bautomated voice\b"),
            "recording": _re(r"\brecorded\b"),
            "a person is available": _re(r"\ba person is available\b"),
        },
        forbidden=(
            _LINK,
            _Rule("gives a link", _re(r"\b(?:link|website|web page|click)\b")),
            _Rule(
                "claims to be an authority",
                _re(
                    r"\b(?:i am|i'm|we are|we're|this is)(?: \w+){0,3} "
                    r"(?:police|officer|detective|inspector|prosecutor|court|bank|government)\b"
                ),
            ),
            _Rule(
                "asks for a secret",
                _re(
                    rf"\b(?:tell|give|enter|say|type|read|share|send|confirm|provide)\b(?: \w+){{0,4}}? "
                    rf"{_PRIVATE_EN}\b"
                ),
                _REPORTED_EN,
            ),
            _Rule(
                "asks for a transfer",
                _re(
                    r"\b(?:send|move|transfer|pay|wire|withdraw)\b(?! no\b)(?: \w+){0,3}? "
                    r"(?:money|funds|savings|cash|fee)\b"
                ),
                _REPORTED_EN,
            ),
            _Rule(
                "asks to install or share a screen",
                _re(
                    r"\b(?:install|download|open)\b(?: \w+){0,3}? (?:app|application|program|software)\b"
                    r"|\bshare(?: \w+){0,2} screen\b"
                ),
                _REPORTED_EN,
            ),
            _Rule("gives a number to call", _re(r"\bcall (?:us|me|this number)\b")),
            _Rule("says verification code: the proof is a case word", _re(r"\bverification code\b")),
        ),
        sentence_end=re.compile(r"[.?!]+(?=\s|$)"),
        own_dialling=_re(r"\bhang up and dial\b.*\byourself\b"),
        key=_re(r"\bpress ([0-9*#])(?![0-9])"),
    ),
    "zh-CN": _Rules(
        first={
            "organisation": _re("铃卫"),
            "automated voice": _re("自动语音"),
            "recording": _re("录音"),
            "a person is available": _re("人工"),
        },
        forbidden=(
            _LINK,
            _Rule("gives a link", _re("链接|网址|网站|点击")),
            _Rule(
                "claims to be an authority",
                _re("(?:我|我们|这里)是[^，。？！]{0,6}(?:警|公安|检察|法院|反诈中心|银行|政府)"),
            ),
            _Rule(
                "asks for a secret",
                _re(
                    "(?:提供|告诉|说出|报出|报上|输入|念出|发送|发给)[^，。？！]{0,10}(?:密码|口令|卡号|账号|证件号|身份证|数字)"
                ),
                _REPORTED_ZH,
            ),
            _Rule(
                "asks for a secret",
                _re(
                    "(?:密码|口令|卡号|账号|证件号|身份证|数字)[^，。？！]{0,6}(?:提供给|告诉|说给|报给|发给|念给)"
                ),
                _REPORTED_ZH,
            ),
            _Rule("asks for a transfer", _re("转账|转钱|汇款|打款|转到|付款"), _REPORTED_ZH),
            _Rule(
                "asks to install or share a screen",
                _re(
                    "(?:下载|安装|打开)[^，。？！]{0,8}(?:应用|软件|程序|APP)|(?:共享|分享)[^，。？！]{0,3}屏幕|屏幕共享"
                ),
                _REPORTED_ZH,
            ),
            _Rule("gives a number to call", _re("(?:拨打|打给|回拨|联系)(?:我们|我|这个号码|以下号码)")),
            _Rule("says 验证码: the proof is a 核验口令", _re("验证码")),
            _Rule(
                "writes a number in characters, where no rule sees it", _re("[零一二三四五六七八九幺]{3,}")
            ),
        ),
        sentence_end=re.compile("[。？！]+"),
        own_dialling=_re("挂断.*自己拨打"),
        key=_re("按([0-9*#])(?![0-9])"),
    ),
}


def findings(text: str, language: str, where: str) -> list[Finding]:
    """Forbidden wordings in one text: every sentence is judged alone.

    KeyError for a language without rules.
    """
    rules = RULES[language]
    found = []
    for sentence in _sentences(text, rules):
        found += [
            Finding(where, f"{rule.what}: {match[0]!r}")
            for rule in rules.forbidden
            for match in rule.pattern.finditer(sentence)
            if rule.unless is None or not rule.unless.search(sentence[: match.start()])
        ]
        for number in re.findall(r"[0-9]{2,}", sentence):
            if number not in PUBLISHED_NUMBERS:
                found.append(Finding(where, f"gives the number {number}"))
            elif not rules.own_dialling.search(sentence):
                found.append(Finding(where, f"names {number} without saying to hang up and dial it oneself"))
    return found


def first_sentence_findings(text: str, language: str, where: str) -> list[Finding]:
    """What the first sentence leaves out, or that it is more than one sentence."""
    rules = RULES[language]
    found = [
        Finding(where, f"the first sentence does not say: {part}")
        for part, pattern in rules.first.items()
        if not pattern.search(text)
    ]
    if len(_sentences(text, rules)) != 1:
        found.append(Finding(where, "the opening must be one sentence"))
    return found


def lint(catalogue: Catalogue, scripts: Mapping[Path, Script]) -> list[Finding]:
    """Everything wrong with the catalogue and the scripts, by slug or by script file."""
    found: list[Finding] = []
    for language in catalogue.languages:
        if language not in RULES:
            found.append(Finding("languages", f"the lint has no rules for {language}"))
            continue
        for slug, announcement in catalogue.announcements.items():
            found += findings(announcement.text[language], language, f"announcement.{slug}.{language}")
        for slug, texts in catalogue.popups.items():
            found += findings(texts[language], language, f"popup.{slug}.{language}")
        for path, script in scripts.items():
            found += _opening(script, catalogue, language, str(path))
            found += _keys(script, catalogue, language, str(path))
    for path, script in scripts.items():
        found += _promises(script, str(path))
    return found


def _sentences(text: str, rules: _Rules) -> list[str]:
    return [part.strip() for part in rules.sentence_end.split(text) if part.strip()]


def _opening(script: Script, catalogue: Catalogue, language: str, path: str) -> Iterable[Finding]:
    state = script.states[script.start]
    text = catalogue.announcements[state.say[0]].text[language]
    return first_sentence_findings(text, language, f"{path}: state.{state.name} ({language})")


def _keys(script: Script, catalogue: Catalogue, language: str, path: str) -> Iterator[Finding]:
    """The keys a question names must be those it understands."""
    for state in script.states.values():
        if state.question is None:
            continue
        text = " ".join(catalogue.announcements[slug].text[language] for slug in state.say)
        named = set(RULES[language].key.findall(text))
        where = f"{path}: state.{state.name} ({language})"
        for key in sorted(named - {*state.question.choices, *script.anytime}):
            yield Finding(where, f"offers key {key}, which does nothing")
        for key in sorted({*state.question.choices, *script.anytime} - named):
            yield Finding(where, f"does not offer key {key}")


def _promises(script: Script, path: str) -> Iterator[Finding]:
    """The first sentence cannot be cut short, a person can be had at any time, the examples come out."""
    if script.states[script.start].barge_in:
        yield Finding(f"{path}: state.{script.start}", "the first sentence can be interrupted")
    if not any(script.states[name].outcome is CaseOutcome.TRANSFERRED for name in script.anytime.values()):
        yield Finding(f"{path}: anytime", "no key leads to a person")
    for index, example in enumerate(script.examples):
        outcome = rehearse(script, example)
        if outcome is not example.outcome:
            came = "no outcome" if outcome is None else outcome.value
            yield Finding(f"{path}: example {index + 1}", f"expected {example.outcome.value}, came to {came}")
