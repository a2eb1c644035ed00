"""`ringward` itself: its commands, its help, and its exit codes for what cannot be done."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.cli.commands import COMMANDS, command_line

LOOPBACK = Path(__file__).parents[2] / "lab" / "loopback.toml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line(arguments[0] if arguments else None), list(arguments))


def test_help_names_every_command_for_people() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ("up", "engine", "console", "explain", "table", "recordings", "config", "demo"):
        assert f"│ {command} " in result.output
    assert "│ agent " not in result.output
    assert "ringward demo" in result.output


def test_without_a_command_it_says_how_it_is_used() -> None:
    result = run()
    assert "Usage: ringward" in result.output


@pytest.mark.parametrize("command", [*COMMANDS, "demo"])
def test_every_command_has_help_worth_reading(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage: ringward " + command in result.output
    assert len(result.output.split()) > 25


@pytest.mark.parametrize("arguments", [("nonsense",), ("config", "nonsense"), ("engine", "--nonsense")])
def test_what_is_no_command_is_refused(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "No such" in result.output


@pytest.mark.parametrize("command", ["up", "engine", "console", "agent"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--config", "/nowhere.toml"), "/nowhere.toml: no such file"),
        (("--set", "sip.lisden=1"), "unknown key sip.lisden; did you mean sip.listen?"),
        (("--set", "sip"), "expected key=value"),
        (("--set", "console.host=0.0.0.0"), "without authentication"),
        (("--set", "recording.enabled=true"), "recording stays off"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_exit_code_two(
    command: str, arguments: tuple[str, str], said: str
) -> None:
    result = run(command, *arguments)
    assert result.exit_code == 2
    assert said in result.output.replace("\n", "")
    assert "Traceback" not in result.output
    assert result.output.startswith("ringward: ")


@pytest.mark.parametrize("command", ["check", "show"])
def test_config_of_a_wrong_file(command: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[sip]\nlisten = 5\n")
    result = run("config", command, "--config", str(file))
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    assert "Expected `object`, got `int` at `sip.listen`" in result.output


def test_brackets_in_an_error_are_not_markup() -> None:
    result = run("engine", "--set", "sip.listen=[bold]")
    assert "not '[bold]'" in result.output


def test_a_policy_that_cannot_be_used_is_exit_code_one(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('name = "x"\n[[rule]]\nid = "a"\naction = "shout"\n')
    result = run("config", "check", "--config", str(LOOPBACK), "--set", f"screening.policy={policy}")
    assert result.exit_code == 1
    assert "policy.toml:4" in result.output.replace("\n", "")


def test_lines_of_the_table_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    table = tmp_path / "numbers.csv"
    table.write_text(
        "number,level,action,reason,expires\nx,red,reject,fraud,\n+8617000000001,red,reject,f,\n"
    )
    result = run("config", "check", "--config", str(LOOPBACK), "--set", f"screening.table={table}")
    assert result.exit_code == 1
    assert "1 risk numbers" in result.output
    assert "numbers.csv:2" in result.output.replace("\n", "")


def test_an_address_in_use_is_exit_code_one_without_a_trace(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = subprocess.run(
            [
                *(sys.executable, "-m", "engine", "engine", "--set", f"sip.listen={address}"),
                *("--set", f"data.folder={tmp_path}"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    assert f"sip.listen: {address} cannot be listened on" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
