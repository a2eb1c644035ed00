"""The wording lint: the shipped texts pass, and each rule catches what it is for."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.dissuasion.lint import findings, first_sentence_findings, lint
from engine.dissuasion.script import CaseOutcome, Example, Question, load
from engine.warning import announcements

DIALPLANS = Path(__file__).parents[2] / "dialplans"
CATALOGUE = announcements.load(DIALPLANS / "announcements.toml")
PATH = DIALPLANS / "dissuasion" / "general.toml"
SCRIPT = load(PATH, CATALOGUE.announcements)


def messages(text: str, language: str) -> str:
    return "; ".join(str(finding) for finding in findings(text, language, "t"))


def test_everything_shipped_passes() -> None:
    scripts = {
        path: load(path, CATALOGUE.announcements) for path in (DIALPLANS / "dissuasion").glob("*.toml")
    }
    assert lint(CATALOGUE, scripts) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("I am a police officer.", "authority"),
        ("This is the bank.", "authority"),
        ("Hello, we are from the government.", "authority"),
        ("Please tell me your password.", "secret"),
        ("Enter your card number now.", "secret"),
        ("We ask you to share the code.", "secret"),
        ("Never mind that. Read me the code.", "secret"),
        ("You should transfer your money to us.", "transfer"),
        ("Pay a small fee.", "transfer"),
        ("Please install our app.", "install"),
        ("Share your screen with me.", "install"),
        ("Look at www.example.test for help.", "link"),
        ("Go to example.com.", "link"),
        ("Click the button.", "link"),
        ("Call us.", "number to call"),
        ("Dial 4008001234 for help.", "number 4008001234"),
        ("Dial 96110.", "oneself"),
        ("Here is your verification code.", "case word"),
    ],
)
def test_forbidden_in_english(text: str, what: str) -> None:
    assert what in messages(text, "en")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("我是警察。", "authority"),
        ("这里是反诈中心。", "authority"),
        ("请告诉我您的密码。", "secret"),
        ("请把短信里的数字告诉我。", "secret"),
        ("请您转账到这个账户。", "transfer"),
        ("我们让您转账。", "transfer"),
        ("请下载我们的软件。", "install"),
        ("请共享您的屏幕。", "install"),
        ("请点击短信里的内容。", "link"),
        ("请打开www.example.test。", "link"),
        ("请拨打我们的热线。", "number to call"),
        ("请拨打4008001234。", "number 4008001234"),
        ("请拨打九六幺幺零。", "characters"),
        ("请拨打96110。", "oneself"),
        ("您的验证码是晴天。", "核验口令"),
    ],
)
def test_forbidden_in_mandarin(text: str, what: str) -> None:
    assert what in messages(text, "zh-CN")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Did the caller ask you to send money or to share a code?", "en"),
        ("Never share your password. Do not install any program.", "en"),
        ("Please send no money today. Hang up and dial 110 yourself.", "en"),
        ("A real bank never asks for money. Your case word is sunny.", "en"),
        ("对方有没有让您转账，或者让您说出短信里的数字？", "zh-CN"),
        ("请不要转账，不要把密码告诉任何人。", "zh-CN"),
        ("您的核验口令是晴天。请挂断电话，自己拨打96110核实。", "zh-CN"),
    ],
)
def test_advice_and_questions_are_free(text: str, language: str) -> None:
    assert messages(text, language) == ""


@pytest.mark.parametrize("language", CATALOGUE.languages)
@pytest.mark.parametrize(
    ("part", "word"),
    [
        ("organisation", {"en": "Ringward", "zh-CN": "铃卫"}),
        ("automated voice", {"en": "automated", "zh-CN": "自动"}),
        ("recording", {"en": "recorded", "zh-CN": "录音"}),
        ("a person", {"en": "person", "zh-CN": "人工"}),
    ],
)
def test_each_part_of_the_first_sentence_is_missed(language: str, part: str, word: dict[str, str]) -> None:
    greeting = CATALOGUE.announcements["dissuasion_greeting"].text[language]
    assert word[language] in greeting
    (finding,) = first_sentence_findings(greeting.replace(word[language], ""), language, "t")
    assert part in finding.message


def test_an_opening_of_two_sentences_could_be_cut_between_them() -> None:
    greeting = CATALOGUE.announcements["dissuasion_greeting"].text["en"].replace(", this call", ". This call")
    (finding,) = first_sentence_findings(greeting, "en", "t")
    assert "one sentence" in finding.message


def test_scripts_keep_their_promises() -> None:
    greeting, question = SCRIPT.states["greeting"], SCRIPT.states["question"]
    assert question.question is not None
    other_keys = Question({"1": "advice", "4": "safe"}, 5.0, 1, "unchanged")
    broken = replace(
        SCRIPT,
        anytime={},
        states={
            **SCRIPT.states,
            "greeting": replace(greeting, barge_in=True),
            "question": replace(question, question=other_keys),
        },
        examples=(Example(("2",), CaseOutcome.DISSUADED), Example(("1",), CaseOutcome.DISSUADED)),
    )
    found = "\n".join(str(finding) for finding in lint(CATALOGUE, {PATH: broken}))
    for expected in (
        "the first sentence can be interrupted",
        "no key leads to a person",
        "state.question (en): offers key 2, which does nothing",
        "state.question (zh-CN): does not offer key 4",
        "example 1: expected dissuaded, came to busy",
        "example 2: expected dissuaded, came to no outcome",
    ):
        assert expected in found


def test_a_language_without_rules_is_a_finding() -> None:
    found = lint(replace(CATALOGUE, languages=("fr",)), {})
    assert "no rules for fr" in str(found[0])
