"""`ringward explain`: the verdict the engine would give, from the table it would use."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from engine.app.switches import turn_on
from engine.cli.explain import explain_call
from scoring.numbers import Level, RiskRow, Source
from scoring.numbers.hot_publish import publish

POLICY = Path(__file__).parents[2] / "dialplans" / "screening" / "default.toml"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

app = typer.Typer()
app.command()(explain_call)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "numbers.csv").write_text("number,level,action\n+8617000000001,red,reject\nbob,red,\n")
    path = tmp_path / "ringward.toml"
    path.write_text(
        f'tenant = "lab"\n[data]\nfolder = "data"\n[screening]\ntable = "numbers.csv"\npolicy = "{POLICY}"\n'
        '[trunk.carrier]\nside = "carrier"\nmatch = ["127.0.10.1"]\n'
        '[trunk.official]\nside = "carrier"\nmatch = ["127.0.10.9"]\npublic_service = true\n'
        '[trunk.access]\nside = "access"\nmatch = ["127.0.30.1"]\n'
        '[subscribers]\nlanguage = "en"\n'
    )
    return path


def answer(config: Path, *arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json", "--config", str(config)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_before_an_engine_ran_the_csv_counts(config: Path) -> None:
    found = answer(config, "17000000001", "+8613800138000")
    assert (found["verdict"]["action"], found["verdict"]["status"]) == ("reject", 608)
    assert found["facts"]["calling"]["number"] == "+8617000000001"
    assert [rule["rule"] for rule in found["rules"] if rule["matched"]] == ["named-by-table"]
    assert found["policy"]["version"] == found["verdict"]["policy_version"]


def test_the_engines_table_counts_once_there_is_one(config: Path) -> None:
    row = RiskRow("lab", "+8617000000001", Level.YELLOW, None, "x", None, Source.PERSON, 5, confirmed=True)
    publish([row], config.parent / "data" / "risk.hot", AT)
    verdict = answer(config, "17000000001", "+8613800138000")["verdict"]
    assert (verdict["action"], verdict["entry_row"], verdict["table_version"]) == ("label", 5, 1)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("13800138000", "17000000001", "--direction", "outbound"), "dialled-red"),
        (("13800138000", "17000000001", "--trunk", "access"), "dialled-red"),
        (("17000000001", "010110"), "emergency"),
        (("17000000001", "urn:service:sos.police"), "emergency"),
        (("110", "13800138000"), "spoofed-official"),
        (("110", "13800138000", "--attestation", "full"), "public_service"),
        (("110", "13800138000", "--trunk", "official"), "public_service"),
        (("13700000000", "13800138000"), "no_rule"),
    ],
)
def test_which_rule(config: Path, arguments: tuple[str, ...], rule: str) -> None:
    assert answer(config, *arguments)["verdict"]["rule"] == rule


def test_the_kill_switch_shows(config: Path) -> None:
    now = datetime.now(UTC)
    turn_on(config.parent / "data" / "switches.json", "li.na", "too many", now, now + timedelta(hours=1))
    found = answer(config, "17000000001", "13800138000")
    assert (found["facts"]["kill_switch"], found["verdict"]["downgraded"]) == (True, "kill_switch")


def test_the_page_for_people_names_everything(config: Path) -> None:
    result = CliRunner().invoke(app, ["17000000001", "13800138000", "--config", str(config)])
    assert result.exit_code == 0
    for word in ("Facts", "named-by-table", "matches", "reject", "policy default", "numbers.csv"):
        assert word in result.stdout


def test_another_policy_can_be_tried(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('name = "other"\n[[rule]]\nid = "all"\naction = "warn"\n')
    found = answer(config, "13700000000", "13800138000", "--policy", str(other))
    assert (found["policy"]["name"], found["verdict"]["action"]) == ("other", "warn")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--trunk", "nowhere"), "configured: carrier, official, access"),
        (("--trunk", "access", "--direction", "inbound"), "are outbound"),
        (("--set", "screening.policy=none.toml"), "none.toml: cannot be read"),
        (("--set", "screening.table=none.csv"), "none.csv"),
    ],
)
def test_what_cannot_be_done_is_said(config: Path, arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["17000000001", "13800138000", *arguments, "--config", str(config)])
    assert result.exit_code != 0
    assert message in result.output


def test_counters_stand_as_they_are_given(config: Path) -> None:
    policy = POLICY.with_name("inter-province.toml")
    call = ("+8613602400001", "+8613880000031", "--policy", str(policy))
    counters = ("caller_attempts_3600s=30", "caller_short_calls_3600s=10", "caller_distinct_called_3600s=30")
    found = answer(config, *call, *(part for each in counters for part in ("--counter", each)))
    assert (found["verdict"]["action"], found["verdict"]["rule"]) == ("reject", "far-and-many-rejected")
    assert found["facts"]["counters"]["caller_attempts_3600s"] == 30
    assert answer(config, *call)["verdict"]["action"] == "allow"
    shown = CliRunner().invoke(app, [*call, "--counter", counters[0], "--config", str(config)])
    assert "caller_attempts_3600s" in shown.output


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("caller_attempt_60s=1", "did you mean 'caller_attempts_60s'"),
        ("caller_attempts_60s=-1", "whole number"),
    ],
)
def test_counters_that_cannot_be(config: Path, given: str, message: str) -> None:
    arguments = ["17000000001", "+8613800138000", "--counter", given, "--config", str(config)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())
