"""Risk numbers as CSV: good lines are taken, each bad one is named with file and line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.numbers import Action, Level, Numbering, RiskRow, Source
from scoring.numbers.risk_csv import load_csv, read_csv, write_csv

CN = Numbering(short_codes=["1001"])
HEADER = "number,level,action,reason,expires\n"


def read(text: str) -> tuple[list[RiskRow], list[str]]:
    rows, problems = read_csv(text, "numbers.csv", CN, "lab")
    return rows, [str(problem) for problem in problems]


def test_a_good_file() -> None:
    rows, problems = read(
        HEADER + "+86 139-0000-0001,red,reject,reported_fraud,\n"
        "\n"
        "+8617*,Yellow,label,冒充客服,2026-12-31\n"
        "95588,green,,,\n"
        '13900000002,yellow,warn,"one, two",2026-12-31T18:00+08:00\n'
    )
    assert problems == []
    assert [(row.number, row.level, row.action, row.reason, row.row) for row in rows] == [
        ("+8613900000001", Level.RED, Action.REJECT, "reported_fraud", 1),
        ("+8617*", Level.YELLOW, Action.LABEL, "冒充客服", 2),
        ("95588", Level.GREEN, None, "allowed", 3),
        ("+8613900000002", Level.YELLOW, Action.WARN, "one, two", 4),
    ]
    assert [row.expires for row in rows] == [
        None,
        datetime(2027, 1, 1, tzinfo=UTC),
        None,
        datetime(2026, 12, 31, 10, tzinfo=UTC),
    ]
    assert {(row.tenant, row.source, row.confirmed) for row in rows} == {("lab", Source.IMPORT, True)}


def test_columns_in_another_order_and_optional_ones_left_out() -> None:
    rows, problems = read("level,number\nred,+8613900000001\n")
    assert problems == []
    assert (rows[0].number, rows[0].action, rows[0].reason) == ("+8613900000001", None, "reported_fraud")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "numbers.csv:1: the file is empty"),
        ("number,levle\n", "numbers.csv:1: unknown column 'levle', did you mean 'level'?"),
        ("number,level,colour\n", "numbers.csv:1: unknown column 'colour'; the first line must be"),
        ("number,action\n", "numbers.csv:1: no column 'level'"),
        ("number,level,level\n", "numbers.csv:1: a column stands twice"),
        ("+8613900000001,red,reject,,\n", "numbers.csv:1: unknown column '+8613900000001'"),
    ],
)
def test_bad_headers(header: str, message: str) -> None:
    rows, problems = read(header)
    assert rows == []
    assert [problem[: len(message)] for problem in problems] == [message]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("+8613900000001,crimson,,,", "level 'crimson' is not red, yellow or green"),
        ("+8613900000001,red,block,,", "action 'block' is not one of reject, label, warn, allow"),
        ("+8613900000001,red,challenge,,", "action 'challenge' is not one of"),
        ("+8613900000001,green,reject,,", "a green number cannot be given the action 'reject'"),
        ("+8613900000001,red,,,tomorrow", "expires 'tomorrow' is not a date"),
        ("+8613900000001,red,,,2026-02-30", "expires '2026-02-30' is not a date"),
        ("+8613900000001,red,,,9999-12-31", "expires '9999-12-31' is not a date"),
        ("+8613900000001,red,,,1960-01-01", "expiry 1960-01-02T00:00:00+00:00 is not between"),
        ("+8613900000001,red", "2 fields, the header has 5"),
        ("bob,red,,,", "'bob' is not a telephone number"),
        ("8.6139E+12,red,,,", "'8.6139E+12' is not a telephone number"),
        ("１３９０００００００１,red,,,", "is not a telephone number"),
        ("+86139*0001,red,,,", "'+86139*0001' is no prefix"),
        ("*,red,,,", "'*' is no prefix"),
        ("8617*,red,,,", "a prefix of full numbers is written with +"),
        ("017*,red,,,", "a prefix of full numbers is written with +"),
        ("+8613800138000,red,,,", "+8613800138000 stands on line 2 already"),
        ('+8613900000001,red,,"a\tb",', "a reason has at most 64 printable characters"),
        (f"+8613900000001,red,,{'x' * 65},", "a reason has at most 64 printable characters"),
    ],
)
def test_bad_lines_are_left_out_and_named(line: str, message: str) -> None:
    rows, problems = read(f"{HEADER}13800138000,red,,,\n\n{line}\n95588,green,,,\n")
    assert [row.number for row in rows] == ["+8613800138000", "95588"]
    assert [row.row for row in rows] == [1, 2]
    (problem,) = problems
    assert problem.startswith("numbers.csv:4: ")
    assert message in problem


def test_broken_quoting_is_named() -> None:
    rows, problems = read(f'{HEADER}"+8613900000001"x,red,,,\n95588,green,,,\n')
    assert problems[0].startswith("numbers.csv:2: not valid CSV")
    assert [row.number for row in rows] == ["95588"]


def test_spreadsheets_files(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_bytes(("\ufeff" + HEADER.replace("\n", "\r\n") + "+8613900000001,red,,,\r\n").encode())
    rows, problems = load_csv(path, CN, "lab", first_row=100)
    assert ([row.row for row in rows], problems) == ([100], [])


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_bytes((HEADER + "+8613900000001,red,,冒充客服,\n").encode("gb18030"))
    rows, (problem,) = load_csv(path, CN, "lab")
    assert rows == []
    assert str(problem) == f"{path}:2: not UTF-8; save the file as CSV UTF-8"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["+8613900000001", "110", "+8617*", "95*", "1001"]),
            st.sampled_from(Level),
            st.text(min_size=1, max_size=64).filter(lambda text: text.isprintable() and text.strip() == text),
            st.none()
            | st.integers(1, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
        ),
        unique_by=lambda row: row[0],
    )
)
def test_written_files_read_back(values: list[tuple[str, Level, str, datetime | None]]) -> None:
    table = [
        RiskRow(
            "lab",
            number,
            level,
            None if level is Level.GREEN else Action.LABEL,
            reason,
            expires,
            Source.IMPORT,
            place,
            confirmed=True,
        )
        for place, (number, level, reason, expires) in enumerate(values, start=1)
    ]
    assert read(write_csv(table)) == (table, [])


@given(st.text())
def test_any_text_gives_rows_or_problems(text: str) -> None:
    rows, problems = read(HEADER + text)
    assert len(problems) <= text.count("\n") + text.count("\r") + 2
    assert all(row.number for row in rows)
