"""Risk numbers as CSV, the form in which people exchange them.

    number,level,action,reason,expires
    +8613900000001,red,reject,reported_fraud,
    +8617*,yellow,label,suspected_fraud,2026-12-31
    95588,green,,,

The header is required; `action`, `reason` and `expires` may be left out. A number is written in any spelling
the tenant's numbering knows; a prefix ends in `*` and is written with the plus. Level is red, yellow or
green; action reject, label, warn, allow, or empty for what the policy decides. An expiry is a date (to its
end, UTC) or an ISO date and time (UTC where no offset is given).

Importing a file is a person's confirmation of its rows, and is recorded as such: a block in it may stand
without an expiry.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Final

from scoring.numbers.hot_format import expiry_seconds
from scoring.numbers.number import NumberKind, text_key
from scoring.numbers.numbering import Numbering
from scoring.numbers.rows import Action, Level, RiskRow, Source

COLUMNS: Final = ("number", "level", "action", "reason", "expires")
_REQUIRED: Final = ("number", "level")
_ACTIONS: Final = ("reject", "label", "warn", "allow")
_DEFAULT_REASON: Final = {
    Level.RED: "reported_fraud",
    Level.YELLOW: "suspected_fraud",
    Level.GREEN: "allowed",
}
_PREFIX: Final = re.compile(r"\+?[0-9]+\*", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_REASON_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class CsvProblem:
    """A line that was left out, and why."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def load_csv(
    path: Path, numbering: Numbering, tenant: str, first_row: int = 1
) -> tuple[list[RiskRow], list[CsvProblem]]:
    """The rows of a file, numbered from `first_row`, and its problems; the caller decides what those mean.

    Without a usable header there are no rows and one problem. Raises OSError for a file that cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        return [], [CsvProblem(str(path), line, "not UTF-8; save the file as CSV UTF-8")]
    return read_csv(text, str(path), numbering, tenant, first_row)


def csv_origin(path: Path, numbering: Numbering, tenant: str) -> str:
    """What names this content, so read, as the origin of a hot table. Raises OSError."""
    read_as = f"{tenant}\0{numbering.region}\0{','.join(sorted(numbering.short_codes))}\0"
    return "csv:" + hashlib.sha256(read_as.encode() + path.read_bytes()).hexdigest()


def read_csv(
    text: str, source: str, numbering: Numbering, tenant: str, first_row: int = 1
) -> tuple[list[RiskRow], list[CsvProblem]]:
    """As `load_csv`, for a text; `source` names it in problems."""
    rows: list[RiskRow] = []
    problems: list[CsvProblem] = []
    seen: dict[str, int] = {}
    records = _records(text, source, problems)
    line, header = next(records, (1, []))
    names = [name.strip().lower() for name in header]
    wrong = _wrong_header(names)
    if wrong:
        return [], [*problems, CsvProblem(source, line, wrong)]
    for line, record in records:
        try:
            if len(record) != len(names):
                raise ValueError(f"{len(record)} fields, the header has {len(names)}")
            fields = dict(zip(names, (field.strip() for field in record), strict=True))
            row = _row(fields, numbering, tenant, first_row + len(rows))
            first = seen.setdefault(row.number, line)
            if first != line:
                raise ValueError(f"{row.number} stands on line {first} already")
        except ValueError as error:
            problems.append(CsvProblem(source, line, str(error)))
        else:
            rows.append(row)
    return rows, problems


def write_csv(rows: Iterable[RiskRow]) -> str:
    """The rows as a CSV text that `read_csv` reads back; what CSV has no column for is left out."""
    out = StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        expires = row.expires.astimezone(UTC).isoformat() if row.expires is not None else ""
        writer.writerow((row.number, row.level.value, row.action or "", row.reason, expires))
    return out.getvalue()


def _records(text: str, source: str, problems: list[CsvProblem]) -> Iterator[tuple[int, list[str]]]:
    """Records that are not empty, each with its last line; a broken one is a problem and is passed over."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(CsvProblem(source, reader.line_num, f"not valid CSV: {error}"))
            continue
        if any(field.strip() for field in record):
            yield reader.line_num, record


def _wrong_header(names: list[str]) -> str:
    if not names:
        return f"the file is empty; the first line must be {','.join(COLUMNS)}"
    for name in names:
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, n=1)
            hint = f", did you mean {near[0]!r}?" if near else f"; the first line must be {','.join(COLUMNS)}"
            return f"unknown column {name!r}{hint}"
    if len(set(names)) != len(names):
        return "a column stands twice in the header"
    missing = [name for name in _REQUIRED if name not in names]
    return f"no column {missing[0]!r}; the first line must be {','.join(COLUMNS)}" if missing else ""


def _row(fields: dict[str, str], numbering: Numbering, tenant: str, row: int) -> RiskRow:
    level = fields["level"].lower()
    if level not in [each.value for each in Level]:
        raise ValueError(f"level {fields['level']!r} is not red, yellow or green")
    action = fields.get("action", "").lower()
    if action and action not in _ACTIONS:
        raise ValueError(f"action {fields['action']!r} is not one of {', '.join(_ACTIONS)}, nor empty")
    if level == Level.GREEN and action not in ("", Action.ALLOW):
        raise ValueError(f"a green number cannot be given the action {action!r}")
    reason = fields.get("reason", "") or _DEFAULT_REASON[Level(level)]
    if len(reason) > _REASON_MAX or not reason.isprintable():
        raise ValueError(f"a reason has at most {_REASON_MAX} printable characters")
    expires = parse_expiry(fields.get("expires", ""))
    expiry_seconds(expires)
    return RiskRow(
        tenant=tenant,
        number=canonical(fields["number"], numbering),
        level=Level(level),
        action=Action(action) if action else None,
        reason=reason,
        expires=expires,
        source=Source.IMPORT,
        row=row,
        confirmed=True,
    )


def canonical(text: str, numbering: Numbering) -> str:
    """How a number or prefix is listed: `+8613800138000`, `110`, `+8617*`. Raises ValueError."""
    if "*" in text:
        if not _PREFIX.fullmatch(text):
            raise ValueError(
                f"{text!r} is no prefix: digits, with plus unless of a short code, and one * at the end"
            )
        if text.startswith(("0", "00", numbering.country_code)):
            raise ValueError(
                f"a prefix of full numbers is written with +, such as +{numbering.country_code}17*"
            )
        text_key(text)
        return text
    number = numbering.normalise(text)
    if not number.key or (number.kind is NumberKind.UNKNOWN and "+" in text):
        raise ValueError(f"{text!r} is not a telephone number")
    return number.display


def parse_expiry(text: str) -> datetime | None:
    """An expiry in UTC: empty for none, a date (to its end), or an ISO date and time. Raises ValueError."""
    if not text:
        return None
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"expires {text!r} is not a date such as 2026-12-31 or 2026-12-31T18:00+08:00"
        ) from None
