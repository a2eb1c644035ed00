"""`ringward engine`: one engine worker with its media worker."""

from __future__ import annotations

import sys

import typer

from engine.app.config import ConfigError
from engine.app.engine import run_engine
from engine.app.processes import configure_logging, run, stop_event
from engine.cli.options import ConfigFile, Overrides, fail, read_config
from engine.model.config import Config


def engine(config_file: ConfigFile = None, overrides: Overrides = None) -> None:
    """Run one engine worker and its media worker until Ctrl-C or SIGTERM.

    Prints one line with the word "listening" when it takes calls. Console, broker and the other processes
    are started by [bold]ringward up[/].

    Example: ringward engine --config lab/loopback.toml --set screening.table=numbers.csv
    """
    config = read_config(config_file, overrides)
    configure_logging()
    try:
        code = run(_main(config))
    except (ConfigError, OSError, ValueError) as error:
        fail(str(error))
    raise typer.Exit(code)


async def _main(config: Config) -> int:
    stop = stop_event()

    def say(line: str) -> None:
        sys.stdout.write(f"ringward engine {line}\n")
        sys.stdout.flush()

    return await run_engine(config, stop, say)
