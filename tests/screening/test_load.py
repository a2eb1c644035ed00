"""Policies are taken whole or refused with file, line and a hint."""

import pytest

from engine.screening import PolicyError, decide, load_policy
from engine.screening.policy import Text
from tests.screening.kit import DIALPLANS, HEAD, facts, shipped

SCREENING = DIALPLANS / "screening"
SUSPECTED = {"suspected_fraud": Text("Suspected fraud", "疑似诈骗")}
LINES = HEAD.count("\n")


@pytest.mark.parametrize("name", sorted(path.stem for path in SCREENING.glob("*.toml")))
def test_shipped_policies_load_and_their_examples_come_out(name: str) -> None:
    assert shipped(name).name == name


def test_the_readme_describes_what_loads() -> None:
    text = (SCREENING / "README.md").read_text()
    sample = text.split("```toml\n")[1].split("```")[0].replace('"…"', '"warn_callee"')
    rules = load_policy(sample, labels=SUSPECTED).rules
    assert [rule.id for rule in rules] == ["night-calls-from-yellow", "many-short-calls"]


def test_every_edit_is_another_version() -> None:
    assert load_policy(HEAD).version == load_policy(HEAD).version
    assert load_policy(HEAD).version != load_policy(HEAD + "# a comment\n").version


def refused(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        load_policy(text)
    return str(caught.value)


RULE = '[[rule]]\nid = "one"\n'
COUNT = RULE + 'action = "warn"\nwhen = { '


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[[rule]]\nid = "x\n', 2, "not valid TOML"),
        ('colour = "red"\n', 1, "unknown key 'colour'; known are en, zh-CN"),
        ('[[rules]]\nid = "x"\n', 1, "unknown key 'rules', did you mean 'rule'?"),
        ('[[rule]]\nid = "one"\nacton = "warn"\n', 3, "unknown key 'acton', did you mean 'action'?"),
        (RULE, 1, "'action' is missing"),
        ('[[rule]]\naction = "warn"\n', 1, "'id' is missing"),
        (RULE + 'action = "wran"\n', 3, "no such action as 'wran', did you mean 'warn'?"),
        (RULE + 'action = "challenge"\n', 3, "'challenge' is not available yet"),
        (RULE + 'action = "monitor"\n', 3, "'monitor' is not available yet"),
        (RULE + 'action = "divert"\n', 3, "'divert' is not available yet"),
        (RULE + "action = 3\n", 3, "must be a text"),
        ('[[rule]]\nid = "No Way"\naction = "warn"\n', 2, "is not a name"),
        ('[[rule]]\nid = "emergency"\naction = "warn"\n', 2, "the name of a built-in rule"),
        (RULE + 'action = "warn"\n\n' + RULE + 'action = "label"\n', 6, "stands above already"),
        (RULE + 'action = "warn"\nwhen = { levle = "red" }\n', 4, "'levle', did you mean 'level'?"),
        (
            RULE + 'action = "warn"\nwhen = { level = "crimson" }\n',
            4,
            "'crimson' is not one of green, yellow, red",
        ),
        (RULE + 'action = "warn"\nwhen = "red"\n', 4, "'when' must be a table"),
        (RULE + 'action = "warn"\nunless = { wildcard = "yes" }\n', 4, "expected true or false"),
        (
            RULE + 'action = "warn"\nwhen = { calling = "139" , called = "bob" }\n',
            4,
            "'bob' is neither a number",
        ),
        (RULE + 'action = "warn"\nwhen = { calling = "１１０" }\n', 4, "is neither a number"),
        (RULE + 'action = "warn"\nwhen = { hours = "22-7" }\n', 4, "expected from-to"),
        (RULE + 'action = "warn"\nwhen = { hours = "25:00-07:00+08:00" }\n', 4, "times run from 00:00"),
        (COUNT + "caller_attempts_60s = { at_least = 0 } }\n", 4, "at least 1"),
        (COUNT + "caller_attempts_60s = { at_least = true } }\n", 4, "whole number"),
        (COUNT + "caller_attempts_60s = 30 }\n", 4, "expected a table such as { at_least = 30 }"),
        (COUNT + "caller_attempts_60s = {} }\n", 4, "expected a table"),
        (COUNT + "caller_attempts_60s = { atleast = 3 } }\n", 4, "'atleast', did you mean 'at_least'?"),
        (COUNT + "caller_attempt_60s = { at_least = 3 } }\n", 4, "did you mean 'caller_attempts_60s'?"),
        (COUNT + "colour = { at_least = 3 } }\n", 4, "such as caller_attempts_60s"),
        (COUNT + 'calling = "sims" }\n', 4, "nor a list of [numbers]"),
        ("[numbers]\nsims = 3\n", 2, "expected a text or a list"),
        ('[numbers]\nsims = ["139x"]\n', 2, "is neither a number"),
        ('[numbers]\n"+86" = ["+86139*"]\n', 2, "is not a name for a list"),
        ('[numbers]\nsims = ["+86139*"]\n' + COUNT + 'calling = "sms" }\n', 6, "did you mean 'sims'?"),
        (RULE + 'action = "reject"\nexpires_in_s = 60\n', 4, "needs a counter with 'at_least'"),
        (COUNT + "caller_attempts_60s = { below = 3 } }\nexpires_in_s = 60\n", 5, "needs a counter"),
        (COUNT + "caller_attempts_60s = { at_least = 3 } }\nexpires_in_s = 0\n", 5, "from 1 to 86400"),
        (
            COUNT + "caller_attempts_60s = { at_least = 3 } }\nexpires_in_s = 9\nexpires = 2030-01-01\n",
            5,
            "not both",
        ),
        (RULE + 'action = "warn"\nwhen = { trunk = [] }\n', 4, "expected a text or a list"),
        (
            RULE + 'action = "warn"\nlabel = "suspct"\n',
            4,
            "no label 'suspct' in this file or the catalogue, did you mean 'suspect'?",
        ),
        (RULE + 'action = "warn"\nrecord = "yes"\n', 4, "'record' must be true or false"),
        (RULE + 'action = "reject"\n', 3, "it needs 'expires' (a date), 'expires_in_s'"),
        (RULE + 'action = "reject"\nwhen = { level = ["red", "none"] }\n', 3, "it needs 'expires'"),
        (RULE + 'action = "reject"\nwhen = { wildcard = false }\n', 3, "it needs 'expires'"),
        (RULE + 'action = "reject"\nexpires = "soon"\n', 4, "'expires' must be a date"),
        (RULE + 'action = "reject"\nexpires = 2026-01-01T00:00:00\n', 4, "'expires' must be a date"),
        ('[on_failure]\naction = "reject"\n', 2, "needs 'confirmed_by'"),
        ('[on_failure]\nacton = "allow"\n', 2, "unknown key 'acton', did you mean 'action'?"),
        ('[inbound.lable]\npopup = "x"\n', 1, "no such action as 'lable', did you mean 'label'?"),
        ('[inbound.allow]\npopup = "x"\n', 1, "an allowed call has no label"),
        ('[inbound.label]\npopup = "a popup"\n', 2, "is not a name"),
        ('[label.x]\nen = "X"\n', 1, "'zh-CN' is missing"),
        ('[label.x]\nen = "' + "x" * 41 + '"\nzh-CN = "x"\n', 2, "at most 40 printable"),
        ('[label.x]\nen = "a\\u0007"\nzh-CN = "x"\n', 2, "at most 40 printable"),
        ('[rule]\nid = "x"\n', 1, "must be written as [[rule]]"),
    ],
)
def test_what_is_wrong_and_where(text: str, line: int, message: str) -> None:
    said = refused(HEAD + text)
    assert message in said
    assert said.startswith(f"policy:{LINES + line}:")


def test_errors_name_the_source() -> None:
    with pytest.raises(PolicyError, match=rf"mine\.toml:{LINES + 3}: no such action"):
        load_policy(HEAD + RULE + 'action = "wran"\n', "mine.toml")


def test_a_label_is_the_catalogues_or_the_policys_own() -> None:
    text = HEAD + RULE + 'action = "label"\nlabel = "suspected_fraud"\n'
    assert "no label 'suspected_fraud'" in refused(text)
    own = text + '[label.suspected_fraud]\nen = "Own"\nzh-CN = "自"\n'
    for policy, label in (
        (load_policy(text, labels=SUSPECTED), "Suspected fraud"),
        (load_policy(own, labels=SUSPECTED), "Own"),
    ):
        assert decide(facts(language="en"), policy).label == label


def test_a_catalogues_label_that_no_display_name_holds_is_refused() -> None:
    text = HEAD + RULE + 'action = "label"\nlabel = "long"\n'
    with pytest.raises(PolicyError, match=rf"policy:{LINES + 4}: .*40 printable"):
        load_policy(text, labels={"long": Text("x" * 41, "长")})


CALL = 'calling = "+8613900000001"\ncalled = "+8613800138000"\n'
EXAMPLE = '[[example]]\nname = "a call"\n'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            CALL + 'expect = { action = "warn" }\n',
            5,
            "action is 'allow', expected 'warn' (decided by no_rule)",
        ),
        (CALL + 'expect = { action = "allow", popup = "x" }\n', 5, "popup is 'none', expected 'x'"),
        (CALL + 'expect = { popup = "x" }\n', 5, "'expect' must name an action"),
        (CALL, 1, "'expect' must name an action"),
        (
            CALL + 'expect = { action = "allow", acton = 1 }\n',
            5,
            "unknown key 'acton', did you mean 'action'?",
        ),
        (
            CALL + 'entry = { levl = "red" }\nexpect = { action = "allow" }\n',
            5,
            "'levl', did you mean 'level'?",
        ),
        (CALL + 'entry = { level = "blue" }\nexpect = { action = "allow" }\n', 5, "'level' must be one of"),
        (
            CALL + 'direction = "up"\nexpect = { action = "allow" }\n',
            5,
            "'direction' must be one of inbound, outbound",
        ),
        (CALL + 'at = 2026-01-01T00:00:00\nexpect = { action = "allow" }\n', 5, "date-time with offset"),
        (CALL + 'kill_switch = "on"\nexpect = { action = "allow" }\n', 5, "'kill_switch' must be a bool"),
        (
            CALL + 'counters = { caller_attempt_60s = 1 }\nexpect = { action = "allow" }\n',
            5,
            "unknown counter 'caller_attempt_60s', did you mean 'caller_attempts_60s'?",
        ),
        (
            CALL + 'counters = { caller_attempts_60s = "1" }\nexpect = { action = "allow" }\n',
            5,
            "table of whole numbers",
        ),
        (
            CALL + 'trunc = "x"\nexpect = { action = "allow" }\n',
            5,
            "unknown key 'trunc', did you mean 'trunk'?",
        ),
        ('called = "110"\nexpect = { action = "allow" }\n', 1, "'calling' must be a str"),
    ],
)
def test_examples_that_do_not_come_out_refuse_the_policy(text: str, line: int, message: str) -> None:
    said = refused(HEAD + EXAMPLE + text)
    assert message in said
    assert "'a call'" in said
    assert said.startswith(f"policy:{LINES + line}: ")


def test_an_example_needs_a_name() -> None:
    assert "needs a 'name'" in refused(HEAD + "[[example]]\n" + CALL + 'expect = { action = "allow" }\n')


def test_examples_see_everything_a_call_can_be() -> None:
    load_policy(
        HEAD
        + RULE
        + 'action = "warn"\nlabel = "suspect"\n'
        + 'when = { trunk = "carrier", diverting = "+8617*", asserted = "10086", '
        + "caller_attempts_60s = { at_least = 3 } }\n"
        + EXAMPLE
        + CALL
        + 'trunk = "carrier"\nasserted = "10086"\ndiversion = ["17000000001"]\n'
        + "counters = { caller_attempts_60s = 3 }\n"
        + 'language = "zh-CN"\nexpect = { action = "warn", rule = "one", label = "可疑" }\n'
    )
