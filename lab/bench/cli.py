"""The signalling part of `ringward bench`: a table and `signalling.json`."""

import asyncio
import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from lab.bench.signalling import Figure, measure
from lab.peers import packages
from lab.peers.process import PeerError

_CHECKOUT = Path(__file__).parents[2]
_OURS = "ringward"


def bench(output: Path) -> None:
    """Measure, print the table and write the figures to `output`.

    Runs SIPp on loopback for about six minutes. Needs two processors; Asterisk and the delays need root.
    Raises typer.Exit with status 1, after a line that says why, where it cannot be measured.
    """
    console = Console()
    packages.ensure()
    folder = output.parent / "signalling"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        figures = asyncio.run(measure(folder, _CHECKOUT / "var" / "lab", console.print))
    except PeerError as error:
        console.print(f"bench: {error}")
        raise typer.Exit(1) from None
    output.write_text(json.dumps([figure.row() for figure in figures], indent=2) + "\n", encoding="utf-8")
    console.print(table(figures))
    console.print(f"figures: {output}")


def table(figures: Sequence[Figure]) -> Table:
    """The figures; in brackets their ratio to Asterisk's, where it was measured too."""
    shown = Table(title="Signalling on one processor (in brackets: ringward as a multiple of Asterisk)")
    shown.add_column("path")
    shown.add_column("system", no_wrap=True)
    shown.add_column("calls/s", justify="right")
    for heading in ("CPU ms/call", "clean up to/s", "p50 ms", "p95 ms", "p99 ms"):
        shown.add_column(heading, justify="right")
    peers = {figure.path: _measured(figure) for figure in figures if figure.system != _OURS}
    for figure in figures:
        ours = _measured(figure)
        theirs = peers.get(figure.path, ()) if figure.system == _OURS else ()
        cells = [_cell(value, other) for value, other in zip_longest(ours, theirs)]
        shown.add_row(figure.path, figure.system, f"{figure.rate:g}", *cells)
    return shown


def _measured(figure: Figure) -> tuple[float | None, ...]:
    cost = (figure.cpu_ms_per_call, figure.max_clean_rate)
    return (*cost, figure.p50_ms, figure.p95_ms, figure.p99_ms)


def _cell(value: float | None, other: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:g} ({value / other:.2f}×)" if other else f"{value:g}"
