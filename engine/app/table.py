"""The CSV named in the configuration becomes the hot table."""

from __future__ import annotations

from collections.abc import Sequence

from engine.app.config import ConfigError
from engine.model.config import Config
from scoring.numbers import Numbering
from scoring.numbers.csv_job import make_table
from scoring.numbers.hot_table import origin_of
from scoring.numbers.risk_csv import CsvProblem, csv_origin


def publish_csv(config: Config, numbering: Numbering) -> Sequence[CsvProblem]:
    """Have the hot table of `screening.table` built; lines that cannot be used are left out and returned.

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
        config.hot_table.parent.mkdir(parents=True, exist_ok=True)
        return make_table(path, config.hot_table, origin, config.tenant, numbering)
    except (OSError, ValueError) as error:
        raise ConfigError(f"screening.table: {error}") from None
