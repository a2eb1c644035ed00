"""Loading scripts: what is shipped is sound, and what is not names its place."""

from pathlib import Path

import pytest

from engine.dissuasion.rehearsal import rehearse
from engine.dissuasion.script import CaseOutcome, ScriptError, load
from engine.warning import announcements

DIALPLANS = Path(__file__).parents[2] / "dialplans"
SLUGS = announcements.load(DIALPLANS / "announcements.toml").announcements.keys()
SHIPPED = sorted((DIALPLANS / "dissuasion").glob("*.toml"))

MINIMAL = """
name = "t"
start = "a"
[state.a]
say = ["goodbye"]
choices = { 1 = "b" }
listen_s = 5
repeats = 1
silence = "b"
hung_up = "refused"
[state.b]
say = ["goodbye"]
outcome = "dissuaded"
"""


def test_there_are_scripts() -> None:
    assert "general.toml" in [path.name for path in SHIPPED]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_inline_example_comes_out(path: Path) -> None:
    script = load(path, SLUGS)
    assert script.examples, "a script carries inline examples"
    for example in script.examples:
        assert rehearse(script, example) is example.outcome, example


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_examples_reach_every_ending(path: Path) -> None:
    script = load(path, SLUGS)
    endings = {state.outcome for state in script.states.values() if state.outcome is not None}
    assert endings <= {example.outcome for example in script.examples}


def read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text, "utf-8")
    load(path, SLUGS)


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ('start = "a"', 'start = "z"', "start", "no state 'z'"),
        ('say = ["goodbye"]\nchoices', 'say = ["nope"]\nchoices', "state.a.say", "no announcement 'nope'"),
        ('say = ["goodbye"]\nchoices', "say = []\nchoices", "state.a.say", "list of texts"),
        ('1 = "b"', 'x = "b"', "state.a.choices", "not a key"),
        ('1 = "b"', '1 = "c"', "state.a", "'c', which is no state"),
        ('silence = "b"', 'silence = "a"', "state.a", "silence never ends the call"),
        ('silence = "b"', "", "state.a.silence", "missing"),
        ("listen_s = 5", "listen_s = 0", "state.a.listen_s", "above 0"),
        ("listen_s = 5", "listen_s = true", "state.a.listen_s", "above 0"),
        ("repeats = 1", "repeats = -1", "state.a.repeats", "0 to"),
        ('hung_up = "refused"', "", "state.a.hung_up", "missing"),
        ('hung_up = "refused"', 'hung_up = "gone"', "state.a.hung_up", "no outcome 'gone'"),
        ('outcome = "dissuaded"', 'outcome = "dissuaded"\nnext = "a"', "state.b", "exactly one of"),
        ('outcome = "dissuaded"', 'outcome = "dissuaded"\nlisten_s = 3', "state.b", "only with choices"),
        ('outcome = "dissuaded"', 'outcome = "dissuaded"\nhung_up = "busy"', "state.b.hung_up", "its own"),
        ('outcome = "dissuaded"', 'outcome = "dissuaded"\nbarge_in = 1', "state.b.barge_in", "true or false"),
        ('outcome = "dissuaded"', 'outcome = "dissuaded"\nrepeat = 1', "state.b", "unknown key 'repeat'"),
        (
            'outcome = "dissuaded"',
            'outcome = "x"\n[state.c]\nsay = ["goodbye"]',
            "state.b.outcome",
            "no outcome",
        ),
        (
            'outcome = "dissuaded"',
            'outcome = "dissuaded"\n[state.c]\nsay = ["goodbye"]\noutcome = "busy"',
            "state.c",
            "cannot be reached",
        ),
        ('name = "t"', 'name = "t"\nanytime = { 0 = "z" }', "anytime", "'z', which is no state"),
        ('name = "t"', 'name = "t"\nanytime = { 10 = "b" }', "anytime", "not a key"),
        ('name = "t"', 'name = "t"\nexample = 3', "example", "list of tables"),
        (
            'name = "t"',
            'name = "t"\nexample = [{ inputs = ["yes"], outcome = "busy" }]',
            "example 1.inputs",
            "'yes'",
        ),
        ('name = "t"', "name = ", "", "Invalid value"),
    ],
)
def test_errors_name_file_and_key(tmp_path: Path, old: str, new: str, where: str, message: str) -> None:
    assert old in MINIMAL
    with pytest.raises(ScriptError) as caught:
        read(tmp_path, MINIMAL.replace(old, new, 1))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 's.toml'}: {where}")
    assert message in text


def test_a_missing_file_is_a_script_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"none\.toml"):
        load(tmp_path / "none.toml", SLUGS)


def test_the_minimal_script_is_sound(tmp_path: Path) -> None:
    read(tmp_path, MINIMAL)


def test_outcomes_are_the_closed_list() -> None:
    assert set(CaseOutcome) == {
        "not_reached",
        "busy",
        "machine",
        "screened",
        "already_safe",
        "dissuaded",
        "still_at_risk",
        "refused",
        "transferred",
        "wrong_person",
    }
