"""The processes that run until told to stop, without the libraries of the command line.

Those would stay in an engine worker's memory, and be most of the time it takes to start.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine import logs
from engine.app.config import ConfigError, load_config
from engine.app.processes import Stop, run, stop_event
from engine.model.config import Config
from recordings.parent import die_with_parent

Serve = Callable[[Config, Stop, Callable[[str], None]], Awaitable[int]]
Part = tuple[Serve, tuple[type[Exception], ...]]
"""What runs, and its errors that are told in a line, beside those of configuration, files and ports."""


def _engine() -> Part:
    from engine.app.engine import run_engine
    from engine.media.port import MediaWorkerError

    return run_engine, (MediaWorkerError,)


def _console() -> Part:
    from sqlalchemy.exc import SQLAlchemyError

    from engine.app.centre import run_centre
    from engine.console.render import AssetsMissing

    return run_centre, (AssetsMissing, SQLAlchemyError)


def _agent() -> Part:
    from engine.app.agent import run_agent

    return run_agent, ()


def _edge() -> Part:
    from engine.app.edge import run_edge

    return run_edge, ()


PARTS: Final[dict[str, Callable[[], Part]]] = {
    "engine": _engine,
    "console": _console,
    "agent": _agent,
    "edge": _edge,
}
"""Each process imports its own parts only."""


@dataclass(frozen=True, slots=True)
class Options:
    """What every one of them is told."""

    config_file: Path | None = None
    overrides: tuple[str, ...] = ()
    supervised: bool = False
    """Started by `up`: ends when that dies."""


def plain_options(arguments: Sequence[str]) -> Options | None:
    """`--config FILE`, `--set KEY=VALUE` and `--supervised`, so spelt; None where there is more to it."""
    config_file: Path | None = None
    overrides: list[str] = []
    supervised = False
    rest = iter(arguments)
    for argument in rest:
        if argument == "--supervised":
            supervised = True
            continue
        value = next(rest, None)
        if value is None or argument not in ("--config", "--set"):
            return None
        if argument == "--set":
            overrides.append(value)
        else:
            config_file = Path(value)
    return Options(config_file, tuple(overrides), supervised)


def serve(name: str, options: Options) -> int:
    """Run that part to its end; the exit code. What keeps it from starting is one line on standard error."""
    if options.supervised:
        die_with_parent()
    try:
        config = load_config(options.config_file, options.overrides)
    except ConfigError as error:
        tell(str(error))
        return 2
    logs.configure(name, config.logging.level, config.logging.format)
    part, expected = PARTS[name]()

    async def main() -> int:
        return await part(config, stop_event(), lambda line: say(f"ringward {name} {line}"))

    told: tuple[type[Exception], ...] = (ConfigError, OSError, ValueError, *expected)
    try:
        return run(main())
    except told as error:
        tell(str(error) or type(error).__name__)
        return 1


def say(line: str) -> None:
    """On standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tell(error: str) -> None:
    """On standard error."""
    sys.stderr.write(f"ringward: {error}\n")
