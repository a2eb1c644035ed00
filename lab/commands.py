"""What the lab adds to `ringward`. Each command imports its own parts only."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine import logs
from engine.app.processes import run
from engine.app.supervisor import ChildFailed
from engine.cli.options import Overrides, fail, read_config

BENCH_FOLDER = Path(__file__).parents[1] / "var" / "bench"
SOAK_FOLDER = Path(__file__).parents[1] / "var" / "soak"
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


class BenchPart(StrEnum):
    HOT_TABLE = "hot-table"
    SIGNALLING = "signalling"
    MEMORY = "memory"
    FLOOD = "flood"


def bench(
    parts: Annotated[
        list[BenchPart] | None, typer.Argument(help="What to measure; without any: everything.")
    ] = None,
    brief: Annotated[
        bool, typer.Option("--brief", help="A few seconds of each, to see that it works; no hot table.")
    ] = False,
    peers: Annotated[bool, typer.Option(help="Measure other programs too.")] = True,
) -> None:
    """Measure beside peers: hot table, signalling, memory of calls, a flood; figures in var/bench.

    Asterisk 22, Kamailio and Sippy's B2BUA are fetched into var/lab where they can be; each that cannot is
    named in a line. All of it takes about forty minutes on a machine that does nothing else, and 4 GB of
    memory for the hot table; Asterisk and the delays need root.
    """
    from lab.bench.cli import BRIEF, FULL, Part
    from lab.bench.cli import bench as bench_programs

    chosen = set(parts or BenchPart)
    BENCH_FOLDER.mkdir(parents=True, exist_ok=True)
    if BenchPart.HOT_TABLE in chosen and not brief:
        from lab.bench.hot_show import bench as bench_hot_table

        bench_hot_table(BENCH_FOLDER / "hot_table.json")
    every: tuple[Part, ...] = ("signalling", "memory", "flood")
    wanted = [part for part in every if BenchPart(part) in chosen]
    if wanted:
        bench_programs(BENCH_FOLDER, wanted, BRIEF if brief else FULL, peers=peers)


def soak(
    calls: Annotated[int, typer.Option(min=1, help="How many in all.")] = 1_000_000,
    rate: Annotated[float, typer.Option(min=1, help="Calls a second.")] = 100.0,
    every: Annotated[int, typer.Option(min=0, help="Print after so many; 0: a tenth, at most 10,000.")] = 0,
    faults: Annotated[
        bool, typer.Option("--faults", help="Fill the store's disk, kill broker and media worker meanwhile.")
    ] = False,
    outage_s: Annotated[float, typer.Option(min=1, help="How long each of these lasts.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Of the mixture.")] = 1,
) -> None:
    """Run very many calls of every kind through the real processes; lost, doubled, leaked is an error.

    Refused, answered, given up, busy, unanswered calls and calls whose packets are lost, by SIPp on loopback.
    Ends with status 1 where a call has not exactly one end in the journal, an event is missing in the store,
    the engine still holds something, or its memory rises.
    """
    import asyncio

    from lab.peers.process import PeerError
    from lab.soak.run import Extent
    from lab.soak.run import soak as run_soak

    console = Console(highlight=False, soft_wrap=True)
    extent = Extent(calls, every or max(min(10_000, calls // 10), 1), rate, faults, outage_s, seed)
    try:
        found = asyncio.run(run_soak(SOAK_FOLDER, extent, lambda line: console.print(line, markup=False)))
    except PeerError as error:
        fail(str(error))
    for line in found:
        console.print(f"soak: {line}", markup=False)
    console.print("soak: all is well" if not found else f"soak: {len(found)} things are wrong")
    raise typer.Exit(1 if found else 0)


def _empty(folder: Path) -> None:
    """Each demo begins with an empty data folder; one that the demo did not make is left alone."""
    mark = folder / MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        fail(f"{folder} is not empty and was not made by the demo; name another with --set data.folder=…")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()
