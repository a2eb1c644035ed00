"""The CSV named in the configuration becomes the hot table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from engine.app.config import ConfigError
from engine.model.config import Config
from scoring.numbers import Numbering
from scoring.numbers.hot_publish import origin_of, publish
from scoring.numbers.risk_csv import CsvProblem, csv_origin, load_csv


def publish_csv(config: Config, numbering: Numbering) -> Sequence[CsvProblem]:
    """Build the hot table of `screening.table`; lines that cannot be used are left out and returned.

    A table that takes in this very file stays: the centre's has the store's other rows too. Raises
    ConfigError when the file cannot be read or has no usable line at all.
    """
    path = config.screening.table
    if path is None:
        return ()
    try:
        origin = csv_origin(path, numbering, config.tenant)
        if origin_of(config.hot_table) == origin:
            return ()
        rows, problems = load_csv(path, numbering, config.tenant)
    except OSError as error:
        raise ConfigError(f"screening.table: {error}") from None
    if problems and not rows:
        raise ConfigError(f"screening.table: {problems[0]}")
    config.hot_table.parent.mkdir(parents=True, exist_ok=True)
    publish(rows, config.hot_table, datetime.now(UTC), origin=origin, keep=True)
    return problems
