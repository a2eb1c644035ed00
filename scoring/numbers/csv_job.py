"""Has the hot table of a CSV file made by another process.

Reading and laying out a large file takes much memory and a library for arrays; who only looks numbers up
keeps nothing of either.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from scoring.numbers.numbering import Numbering
from scoring.numbers.risk_csv import CsvProblem


class Job(msgspec.Struct, frozen=True):
    """Which file becomes which table, and how its numbers are read."""

    csv: str
    table: str
    origin: str
    tenant: str
    region: str
    country_code: str
    short_codes: Sequence[str]


class Done(msgspec.Struct, frozen=True):
    """The lines that were left out; `error` says why there is no table, and is empty where there is one."""

    problems: list[CsvProblem] = []
    error: str = ""


def make_table(
    csv: Path, table: Path, origin: str, tenant: str, numbering: Numbering
) -> Sequence[CsvProblem]:
    """Publish the rows of `csv` at `table`, unless that is of this `origin` already; the lines left out.

    Raises ValueError for a file that cannot be read or has no usable line at all, OSError where no process
    can be started.
    """
    codes = sorted(numbering.short_codes)
    job = Job(str(csv), str(table), origin, tenant, numbering.region, numbering.country_code, codes)
    answer = subprocess.run(
        [sys.executable, "-m", "scoring.numbers.csv_table"],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        check=False,
    )
    if answer.returncode:
        raise ValueError(f"{csv}: the process that makes the table ended with {answer.returncode}")
    done = msgspec.json.decode(answer.stdout, type=Done)
    if done.error:
        raise ValueError(done.error)
    return done.problems
