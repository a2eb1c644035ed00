"""What the lab adds to `ringward`. Each command imports its own parts only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engine import logs
from engine.app.processes import run
from engine.app.supervisor import ChildFailed
from engine.cli.options import Overrides, fail, read_config

BENCH_FOLDER = Path(__file__).parents[1] / "var" / "bench"
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
    from lab.demo.phones import Missing
    from lab.demo.runner import run_demo

    config = read_config(DEMO_CONFIG, overrides)
    logs.configure("demo", "warning")
    _empty(config.data.folder)
    try:
        code = run(
            run_demo(config, DEMO_CONFIG, overrides or [], once=once, terminal=Console(highlight=False))
        )
    except (ChildFailed, Missing) as error:
        fail(str(error))
    raise typer.Exit(code)


def bench() -> None:
    """Measure: the hot table against a dict, then signalling against Asterisk 22, side by side.

    Prints tables with ratios and writes hot_table.json and signalling.json into var/bench. Takes about seven
    minutes; Asterisk and the delays need root.
    """
    from lab.bench import hot_table
    from lab.bench.cli import bench as bench_signalling

    BENCH_FOLDER.mkdir(parents=True, exist_ok=True)
    found = hot_table.measure(1_000_000)
    (BENCH_FOLDER / "hot_table.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    shown = Table(title="Hot table, 1,000,000 numbers and 8 prefixes")
    for heading in ("", "mapped file", "dict"):
        shown.add_column(heading, justify="left" if not heading else "right")
    for name, ours, theirs in (
        ("look-up that hits, ns", "hit_ns", "dict_hit_ns"),
        ("look-up that misses, ns", "miss_ns", "dict_miss_ns"),
        ("memory, MB", "file_mb", "dict_mb"),
    ):
        shown.add_row(name, f"{found[ours]}", f"{found[theirs]}")
    Console().print(shown)
    bench_signalling(BENCH_FOLDER / "signalling.json")


def _empty(folder: Path) -> None:
    """Each demo begins with an empty data folder; one that the demo did not make is left alone."""
    mark = folder / MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        fail(f"{folder} is not empty and was not made by the demo; name another with --set data.folder=…")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()
