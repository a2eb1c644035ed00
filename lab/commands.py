"""What the lab adds to `ringward`."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.app.processes import configure_logging, run
from engine.app.supervisor import ChildFailed
from engine.cli.options import Overrides, fail, read_config
from lab.demo.runner import run_demo

MARK = ".demo"
DEMO_CONFIG = Path(__file__).parent / "demo.toml"


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Play the scenario once and exit with the result.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Run the whole system with lab phones and play the scenario: what `make run` does.

    Every call is real SIP and RTP on loopback addresses. Prints one line an event, writes report.json into
    the demo's data folder and, without --once, stays up until Ctrl-C with the console's address shown.
    """
    config = read_config(DEMO_CONFIG, overrides)
    configure_logging(logging.WARNING)
    _empty(config.data.folder)
    try:
        code = run(
            run_demo(config, DEMO_CONFIG, overrides or [], once=once, terminal=Console(highlight=False))
        )
    except ChildFailed as error:
        fail(str(error))
        raise AssertionError from error
    raise typer.Exit(code)


def _empty(folder: Path) -> None:
    """Each demo begins with an empty data folder; one that the demo did not make is left alone."""
    mark = folder / MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        fail(f"{folder} is not empty and was not made by the demo; name another with --set data.folder=…")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()
