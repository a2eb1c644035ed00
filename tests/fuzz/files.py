"""Files that people or other processes write: policies, scripts, risk numbers, hot tables, bindings."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from engine.app.paths import dialplans_folder
from engine.dissuasion.script import ScriptError
from engine.dissuasion.script import load as load_script
from engine.screening import PolicyError, load_policy
from engine.warning import announcements
from scoring.numbers import Action, Level, Numbering, RiskRow, Source
from scoring.numbers.hot_delta import Put, delta_path, encode_change, read_changes
from scoring.numbers.hot_format import TableError
from scoring.numbers.hot_publish import publish
from scoring.numbers.hot_table import HotTable
from scoring.numbers.risk_csv import read_csv, write_csv
from scoring.numbers.table_view import TableView
from tests.fuzz.kit import CUT, Target

FOLDER = Path(tempfile.mkdtemp(prefix="ringward-fuzz-"))
NUMBERING = Numbering()
_PLANS = dialplans_folder()
SLUGS = frozenset(announcements.load(_PLANS / "announcements.toml").announcements)
AT = datetime(2026, 3, 1, tzinfo=UTC)
NUMBERS = [NUMBERING.normalise(number) for number in ("+8613800000001", "110", "10086", "+12025550123")]
ROWS = [
    RiskRow("lab", "+8613800000001", Level.RED, Action.REJECT, "fraud", None, Source.IMPORT, 1, False),
    RiskRow(
        "lab",
        "+86138*",
        Level.YELLOW,
        None,
        "被举报",
        datetime(2027, 1, 1, tzinfo=UTC),
        Source.IMPORT,
        2,
        True,
    ),
]
TOML = (
    *(b"[[rule]]\n", b"[", b"]", b"=", b'"', b"\n", b"#", b"{", b"}", b"'''", b"true", b"when = ", b"1e400"),
    *(
        b"[" * 3000,
        b"{a=" * 3000,
        b"2026-02-30",
        b"nan",
        b"\0",
        b"\xff",
        "‮".encode(),
        b"id = ",
        b"state.",
        b"a.b.c = 1\n",
    ),
)


def policy(data: bytes) -> None:
    """A policy or one error that names its place."""
    with suppress(UnicodeDecodeError):
        text = data.decode()
        try:
            load_policy(text, "p.toml", NUMBERING)
        except PolicyError as error:
            assert str(error).startswith("p.toml")


def script(data: bytes) -> None:
    path = FOLDER / "script.toml"
    path.write_bytes(data)
    with suppress(ScriptError):
        load_script(path, SLUGS)


def risk_csv(data: bytes) -> None:
    """Each line a row or a problem; what is taken can be read again."""
    text = data.decode("utf-8", "replace")
    rows, problems = read_csv(text, "n.csv", NUMBERING, "lab")
    assert all(str(problem).startswith("n.csv:") for problem in problems)
    again, none = read_csv(write_csv(rows), "m.csv", NUMBERING, "lab")
    assert all("already" in str(problem) for problem in none)  # one number in two spellings
    assert [row.row for row in again] == list(range(1, len(again) + 1))
    assert len(again) <= len(rows)


def hot_table(data: bytes) -> None:
    """A damaged table is refused whole; one that is taken answers every question."""
    path = FOLDER / "damaged.hot"
    path.write_bytes(data)
    try:
        table = HotTable.open(path)
    except TableError as error:
        assert str(error).startswith(str(path))
        return
    for number in NUMBERS:
        table.lookup("lab", number, AT)


def hot_delta(data: bytes) -> None:
    """Torn and foreign lines of a delta file are passed over, whole ones are found."""
    path = FOLDER / "whole.hot"
    if not path.exists():
        publish(ROWS, path, AT)
    delta_path(path).write_bytes(data)
    changes = read_changes(path)
    assert len(changes) <= data.count(b"\n") + 1
    view = TableView.open(path)
    for number in NUMBERS:
        view.lookup("lab", number, AT)
    view.close()


def _table() -> bytes:
    path = FOLDER / "seed.hot"
    publish(ROWS, path, AT)
    return path.read_bytes()


TARGETS = (
    Target("policy", policy, tuple(p.read_bytes() for p in sorted(_PLANS.glob("screening/*.toml"))), TOML),
    Target("script", script, tuple(p.read_bytes() for p in sorted(_PLANS.glob("dissuasion/*.toml"))), TOML),
    Target(
        "risk-csv",
        risk_csv,
        (write_csv(ROWS).encode(), b"number,level\n+8613800000001,red\n"),
        (b",", b'"', b"\n", b"\r", b"\0", b"*", b"+", b"red", b"2026-13-40", "٣".encode(), b"x" * 200_000),
    ),
    Target("hot-table", hot_table, (_table(),), (b"\0" * 8, b"\xff" * 8)),
    Target(
        "hot-delta",
        hot_delta,
        (b"".join(encode_change(Put(place + 2, row)) for place, row in enumerate(ROWS)),),
        (b"\n", b'"', b"{", b"}", b"null", b"\0", b"1e999", CUT),
    ),
)
