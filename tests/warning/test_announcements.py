"""The announcement catalogue: look-ups, popups, and errors that name their place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.warning.announcements import CatalogueError, load

PATH = Path(__file__).parents[2] / "dialplans" / "announcements.toml"
CATALOGUE = load(PATH)


def test_inline_examples() -> None:
    assert CATALOGUE.examples
    for example in CATALOGUE.examples:
        for language, expected in example.expected.items():
            reason = CATALOGUE.label(example.label, language)
            assert CATALOGUE.popup(example.popup, language, number=example.number, reason=reason) == expected


@pytest.mark.parametrize(
    ("wanted", "used"),
    [("en", "en"), ("en-GB", "en"), ("zh-CN", "zh-CN"), ("zh", "zh-CN"), ("fr", "en"), ("", "en")],
)
def test_a_language_falls_back_to_its_kin_and_then_to_the_first(wanted: str, used: str) -> None:
    assert CATALOGUE.language(wanted) == used
    assert CATALOGUE.prompt("goodbye", wanted) == PATH.parent / "prompts" / used / "goodbye.flac"


@given(number=st.text(), reason=st.text())
def test_what_is_inserted_is_never_read_as_a_placeholder(number: str, reason: str) -> None:
    text = CATALOGUE.popup("risk_label", "en", number=number, reason=reason)
    assert text == f"Incoming call from {number}: {reason}."


SMALL = """
languages = ["en", "zh-CN"]
[announcement.hello]
max_s = 2.0
en = "Hello."
zh-CN = "您好。"
[popup.note]
en = "{number}"
zh-CN = "{number}"
[label.bad]
en = "Bad"
zh-CN = "坏"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('languages = ["en", "zh-CN"]', "languages = []", "languages: must be a list"),
        ('zh-CN = "您好。"', "", "announcement.hello.zh-CN: missing"),
        ('zh-CN = "您好。"', 'zh-CN = " "', "announcement.hello.zh-CN: missing"),
        ("max_s = 2.0", "max_s = 0", "announcement.hello: max_s"),
        ("max_s = 2.0", "", "announcement.hello: max_s"),
        ("max_s = 2.0", 'max_s = 2.0\nfr = "Bonjour"', "announcement.hello: unknown key 'fr'"),
        ("[announcement.hello]", "[announcement.Hello-1]", "announcement.Hello-1: a slug"),
        ('en = "{number}"', 'en = "{name}"', "popup.note.en: unknown placeholder {name}"),
        ('en = "Bad"', 'en = "{number}"', "label.bad.en: unknown placeholder"),
        ('en = "Bad"', "en = 3", "label.bad.en: missing"),
        ("[label.bad]", "[labels.bad]", "top level: unknown key 'labels'"),
        ("languages =", "announcement = 3\nlanguages =", ""),
    ],
)
def test_errors_name_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SMALL
    path = tmp_path / "a.toml"
    path.write_text(SMALL.replace(old, new, 1), "utf-8")
    with pytest.raises(CatalogueError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ('popup = "nope"\nlabel = "bad"\nnumber = "1"\nen = "1"\nzh-CN = "1"', "example 1: no popup 'nope'"),
        ('popup = "note"\nlabel = "nope"\nnumber = "1"\nen = "1"\nzh-CN = "1"', "example 1: no label 'nope'"),
        ('popup = "note"\nlabel = "bad"\nnumber = "1"\nen = "1"', "example 1.zh-CN: missing"),
    ],
)
def test_examples_are_checked(tmp_path: Path, example: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f"{SMALL}[[example]]\n{example}\n", "utf-8")
    with pytest.raises(CatalogueError, match=message):
        load(path)
