"""Makes the hot table of one CSV file: `python -m scoring.numbers.csv_table`, a job in, an answer out."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from scoring.numbers.csv_job import Done, Job
from scoring.numbers.hot_publish import publish
from scoring.numbers.numbering import Numbering
from scoring.numbers.risk_csv import load_csv


def do(job: Job) -> Done:
    """Publish, unless the table is of this origin by now."""
    numbering = Numbering(job.region, job.country_code, job.short_codes)
    table = Path(job.table)
    try:
        rows, problems = load_csv(Path(job.csv), numbering, job.tenant)
        if problems and not rows:
            return Done(problems, str(problems[0]))
        publish(rows, table, datetime.now(UTC), origin=job.origin, keep=True)
    except (OSError, ValueError) as error:
        return Done(error=str(error))
    return Done(problems)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(do(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))))
