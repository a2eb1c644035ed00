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
    shutil.rmtree(config.data.folder, ignore_errors=True)  # each demo begins with an empty store
    try:
        code = run(
            run_demo(config, DEMO_CONFIG, overrides or [], once=once, terminal=Console(highlight=False))
        )
    except ChildFailed as error:
        fail(str(error))
        raise AssertionError from error
    raise typer.Exit(code)
