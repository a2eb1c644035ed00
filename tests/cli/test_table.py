"""`ringward table`: what people do with the risk table, and that engines see it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.cli.table import app
from scoring.numbers import Numbering
from scoring.numbers.table_view import TableView

CN = Numbering()


class Shell:
    """Runs the command on a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "ringward.toml"
        self.config.write_text('tenant = "lab"\n[data]\nfolder = "data"\n')

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(self.config)])

    def csv(self, *lines: str) -> str:
        path = self.folder / "numbers.csv"
        path.write_text("\n".join(("number,level,action,reason,expires", *lines, "")))
        return str(path)

    def level(self, number: str) -> str:
        """What a running engine would find."""
        view = TableView.open(self.folder / "data" / "risk.hot")
        found = view.lookup("lab", CN.normalise(number), datetime.now(UTC))
        view.close()
        return found.level.value if found is not None else "none"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_load_and_look_up(shell: Shell) -> None:
    loaded = shell.run("load", shell.csv("+8617000000001,red,reject,,", "+8617*,yellow,,,"))
    assert loaded.exit_code == 0
    assert "2 added" in loaded.stdout
    assert shell.level("17000000001") == "red"
    found = shell.run("lookup", "17000000001")
    assert found.exit_code == 0
    assert "red, action reject, reported_fraud" in found.stdout
    assert "+8617*" in found.stdout
    answer = json.loads(shell.run("lookup", "17000000001", "--json").stdout)
    assert [row["number"] for row in answer["rows"]] == ["+8617000000001", "+8617*"]
    assert answer["counts"] == answer["rows"][0]["row"]


def test_bad_lines_are_named_and_the_rest_is_loaded(shell: Shell) -> None:
    loaded = shell.run("load", shell.csv("+8617000000001,red,,,", "bob,red,,,"))
    assert loaded.exit_code == 1
    assert "numbers.csv:3: 'bob' is not a telephone number" in loaded.output
    assert shell.level("17000000001") == "red"


def test_add_change_and_remove(shell: Shell) -> None:
    assert shell.run("add", "17000000009", "--level", "red", "--by", "li.na").exit_code == 0
    assert shell.level("17000000009") == "red"
    assert shell.run("add", "17000000009", "--level", "yellow", "--action", "warn").exit_code == 0
    assert shell.level("17000000009") == "yellow"
    removed = shell.run("remove", "+86 170 0000 0009", "--reason", "a mistake")
    assert removed.exit_code == 0
    assert shell.level("17000000009") == "none"
    assert shell.run("remove", "17000000009", "--reason", "again").exit_code == 1
    assert shell.run("lookup", "17000000009").exit_code == 1


def test_export_is_what_load_reads(shell: Shell) -> None:
    file = shell.csv("+8617000000001,red,reject,reported_fraud,", "+8617*,yellow,,suspected_fraud,")
    shell.run("load", file)
    shell.run("add", "17000000009", "--level", "red")
    assert shell.run("export", "--source", "import").stdout == Path(file).read_text()
    out = shell.folder / "out.csv"
    assert "3 rows" in shell.run("export", str(out)).stdout
    assert shell.run("load", str(out)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "bob", "--level", "red"), "'bob' is not a telephone number"),
        (("add", "110", "--level", "red", "--expires", "soon"), "'soon' is not a date"),
        (("add", "110", "--level", "red", "--action", "divert"), "not available yet"),
        (("add", "110", "--level", "green", "--action", "reject"), "green number cannot"),
        (("lookup", "bob"), "'bob' is not a telephone number"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    result = shell.run(*arguments)
    assert result.exit_code in (1, 2)
    assert message in result.output


def test_a_file_without_header_changes_nothing(shell: Shell) -> None:
    shell.run("load", shell.csv("+8617000000001,red,,,"))
    other = shell.folder / "other.csv"
    other.write_text("phone\n")
    result = shell.run("load", str(other))
    assert result.exit_code == 1
    assert "other.csv:1: unknown column 'phone'" in result.output
    assert shell.level("17000000001") == "red"
