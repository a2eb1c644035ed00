"""The hot-table file: what is written is found, by the order of precedence, and damage is seen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring.numbers import (
    Action,
    HotEntry,
    Level,
    Number,
    NumberKind,
    Precedence,
    RiskRow,
    Source,
    strongest,
)
from scoring.numbers.hot_build import build, columns
from scoring.numbers.hot_format import HEADER_SIZE, TableError
from scoring.numbers.hot_publish import publish
from scoring.numbers.hot_table import HotTable
from scoring.numbers.rows import entry_of

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

DIGITS = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
# Few digits, few numbers: so that rows meet, in slots and in prefixes.
CROWDED = st.text(alphabet="12", min_size=7, max_size=8)
FULL = (DIGITS | CROWDED).map("+".__add__)
LOCAL = st.from_regex(r"[0-9]{1,14}", fullmatch=True) | st.text(alphabet="12", min_size=1, max_size=4)
PREFIX = st.builds("{}*".format, st.text(alphabet="12", min_size=1, max_size=8).map("+".__add__) | LOCAL)


@st.composite
def rows(draw: st.DrawFn, tenants: tuple[str, ...] = ("a", "b")) -> list[RiskRow]:
    """Rows of a table: several on one number, prefixes of it, expired and lasting, of every source."""
    count = draw(st.integers(0, 30))
    return [
        RiskRow(
            tenant=draw(st.sampled_from(tenants)),
            number=draw(FULL | LOCAL | PREFIX),
            level=draw(st.sampled_from(Level)),
            action=draw(st.none() | st.sampled_from(Action)),
            reason=draw(st.sampled_from(["fraud", "被举报诈骗", "x" * 64])),
            expires=draw(st.none() | st.integers(-3, 3).map(lambda hours: AT + timedelta(hours=hours))),
            source=draw(st.sampled_from(Source)),
            row=place + 1,
            confirmed=draw(st.booleans()),
        )
        for place in range(count)
    ]


def expected(table: list[RiskRow], tenant: str, number: Number, at: datetime) -> HotEntry | None:
    """The definition: of all matching rows in force the weightiest."""
    matching = []
    for row in table:
        named = row.number.removesuffix("*")
        full = number.kind is NumberKind.E164
        if row.tenant != tenant or named.startswith("+") is not full or (row.expires and row.expires <= at):
            continue
        digits = named.removeprefix("+")
        if number.digits.startswith(digits) if row.wildcard else number.digits == digits:
            matching.append(entry_of(row))
    return strongest(matching)


def same(found: HotEntry | None, wanted: HotEntry | None) -> bool:
    """Equal, but for which of two statements of one weight it is."""
    if found is None or wanted is None:
        return found is wanted
    return found.weight == wanted.weight


def written(path: Path, table: list[RiskRow]) -> HotTable:
    path.write_bytes(b"".join(build(columns(table), 1, AT)))
    return HotTable.open(path)


NUMBERS = st.builds(Number, st.just(NumberKind.E164), DIGITS | CROWDED) | st.builds(
    Number, st.just(NumberKind.SHORT_CODE), LOCAL
)


@ONE_FOLDER
@given(table=rows(), asked=st.lists(NUMBERS, max_size=10), tenant=st.sampled_from(["a", "b", "c"]))
def test_lookup_finds_what_the_definition_says(
    tmp_path: Path, table: list[RiskRow], asked: list[Number], tenant: str
) -> None:
    hot = written(tmp_path / "risk.hot", table)
    listed = [
        Number(NumberKind.E164 if "+" in row.number else NumberKind.SHORT_CODE, row.number.strip("+*"))
        for row in table
    ]
    for number in [*asked, *listed]:
        wanted = expected(table, tenant, number, AT)
        found = hot.lookup(tenant, number, AT)
        assert same(found, wanted), number
        if found is not None:
            row = next(row for row in table if row.row == found.row)
            assert entry_of(row) == found
    assert len(hot) == len(table)


@ONE_FOLDER
@given(table=rows(), gone=st.sets(st.integers(1, 30)))
def test_superseded_rows_count_as_absent(tmp_path: Path, table: list[RiskRow], gone: set[int]) -> None:
    hot = written(tmp_path / "risk.hot", table)
    left = [row for row in table if row.row not in gone]
    for row in table:
        kind = NumberKind.E164 if "+" in row.number else NumberKind.SHORT_CODE
        number = Number(kind, row.number.strip("+*"))
        found = hot.lookup(row.tenant, number, AT, gone)
        assert same(found, expected(left, row.tenant, number, AT))


def row(number: str, level: Level = Level.RED, **changes: object) -> RiskRow:
    values: dict[str, object] = {
        "tenant": "lab",
        "number": number,
        "level": level,
        "action": None,
        "reason": "fraud",
        "expires": None,
        "source": Source.PERSON,
        "row": 1,
        "confirmed": True,
    }
    return RiskRow(**{**values, **changes})  # type: ignore[arg-type]


CALLER = Number(NumberKind.E164, "8613900000001")
LATER = AT + timedelta(days=1)

LADDER = [  # each outranks all that follow
    (row("+86139*", source=Source.POLICE, confirmed=False), Precedence.ORDER),
    (row("+8613900000001", Level.GREEN), Precedence.OPERATOR_ALLOW),
    (row("+8613900000001"), Precedence.PERMANENT),
    (row("+8613900000001", expires=LATER, source=Source.PARTNER, confirmed=False), Precedence.TEMPORARY),
    (row("+8613900*", Level.GREEN), Precedence.WILDCARD),
    (row("+86139*"), Precedence.WILDCARD),
    (row("+8613900000001", source=Source.MODEL, confirmed=False), Precedence.MODEL),
    (row("+86139*", source=Source.MODEL, confirmed=False), Precedence.MODEL),
]


def test_precedence_is_a_ladder(tmp_path: Path) -> None:
    numbered = [
        RiskRow(**{name: getattr(each, name) for name in each.__slots__} | {"row": place})
        for place, (each, _) in enumerate(LADDER, start=1)
    ]
    for top in range(len(LADDER)):
        found = written(tmp_path / "risk.hot", [*numbered[:top:-1], numbered[top]]).lookup("lab", CALLER, AT)
        assert found is not None
        assert (found.row, found.precedence) == (top + 1, LADDER[top][1])


def test_an_expired_statement_uncovers_the_next_one(tmp_path: Path) -> None:
    short = row("+8613900000001", expires=AT + timedelta(hours=1), source=Source.COURT, row=1)
    lasting = row("+8613900000001", Level.YELLOW, row=2)
    hot = written(tmp_path / "risk.hot", [lasting, short])
    before, after = (hot.lookup("lab", CALLER, AT + timedelta(hours=hours)) for hours in (0, 1))
    assert (before and before.row, after and after.row) == (1, 2)


def test_tenants_do_not_see_each_other(tmp_path: Path) -> None:
    hot = written(tmp_path / "risk.hot", [row("+8613900000001")])
    assert hot.lookup("other", CALLER, AT) is None


def test_anonymous_callers_are_not_in_the_table(tmp_path: Path) -> None:
    hot = written(tmp_path / "risk.hot", [row("+8613900000001")])
    assert hot.lookup("lab", Number(NumberKind.ANONYMOUS, ""), AT) is None


def test_many_neighbours_are_all_found(tmp_path: Path) -> None:
    start = 8613900000000
    table = [row(f"+{start + place}", row=place + 1) for place in range(20_000)]
    hot = written(tmp_path / "risk.hot", table)
    for place in range(0, 20_000, 7):
        found = hot.lookup("lab", Number(NumberKind.E164, str(start + place)), AT)
        assert found is not None
        assert found.row == place + 1
    assert hot.lookup("lab", Number(NumberKind.E164, str(start + 20_000)), AT) is None


@pytest.mark.parametrize("place", [0, 9, 20, HEADER_SIZE - 1, HEADER_SIZE, -1, "half"])
def test_damage_is_seen(tmp_path: Path, place: int | str) -> None:
    path = tmp_path / "risk.hot"
    data = bytearray(b"".join(build(columns([row("+8613900000001"), row("+8617*", row=2)]), 1, AT)))
    if isinstance(place, int):
        data[place] ^= 0x10
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    with pytest.raises(TableError, match=r"risk\.hot"):
        HotTable.open(path)


@pytest.mark.parametrize("content", [b"", b"number,level\n", b"\0" * 4096])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "risk.hot").write_bytes(content)
    with pytest.raises(TableError, match=r"risk\.hot"):
        HotTable.open(tmp_path / "risk.hot")


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "alice"},
        {"number": "+"},
        {"number": "*"},
        {"number": "+1234567890123456"},
        {"number": "+0123456789"},
        {"number": "１１０"},
        {"number": "+86 139"},
        {"row": 0},
        {"row": 1 << 48},
        {"expires": datetime(1969, 1, 1, tzinfo=UTC)},
    ],
)
def test_rows_that_cannot_be_listed_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    number = str(changes.pop("number", "+8613900000001"))
    with pytest.raises(ValueError, match=r"listed|between"):
        publish([row(number, **changes)], tmp_path / "risk.hot", AT)
    assert not (tmp_path / "risk.hot").exists()


def test_expiries_need_an_offset() -> None:
    with pytest.raises(ValueError, match="offset"):
        row("+8613900000001", expires=AT.replace(tzinfo=None))
