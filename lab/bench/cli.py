"""`ringward bench` against other programs: what is run, in which order, and the JSON files of each part."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console

from lab.bench import flood, memory, show, systems
from lab.bench.figures import Figure, Flooded, Held, PathName
from lab.bench.ground import PROGRAM_CORE, large_buffers, machine, on_load_core
from lab.bench.signalling import SHORT, Bench, Plan
from lab.bench.systems import Running, Start
from lab.peers import packages
from lab.peers.process import PeerError

Part = Literal["signalling", "memory", "flood"]

_CACHE = Path(__file__).parents[2] / "var" / "lab"
_WIDTH = 160
"""Of tables that go into a file."""
_PAUSES = {
    "gc_pause_ms": "ringward_gc_pause_max_seconds",
    "loop_lag_ms": "ringward_event_loop_lag_max_seconds",
}


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of each part is measured."""

    plan: Plan
    held_calls: int = 10_000
    """Of ringward."""
    peer_calls: int = 500
    """Of everybody: Asterisk cannot hold more with the files and ports it has by default."""
    calls_per_s: float = 100.0
    after_s: float = 35.0
    flood_s: float = 8.0


FULL = Extent(Plan())
BRIEF = Extent(SHORT, held_calls=40, peer_calls=20, calls_per_s=20.0, after_s=0.0, flood_s=1.0)
"""To see that everything works, not to measure."""


def bench(folder: Path, parts: Sequence[Part], extent: Extent = FULL, *, peers: bool = True) -> None:
    """Measure the parts, print their tables, write each one's figures to `folder`, which exists.

    Runs SIPp on loopback. Needs two processors; Asterisk and the delays need root. Raises typer.Exit with
    status 1, after a line that says why, where it cannot be measured.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    packages.ensure()
    try:
        asyncio.run(_Parts(folder, extent, console, peers).run(parts))
    except PeerError as error:
        console.print(f"bench: {error}", markup=False)
        raise typer.Exit(1) from None


class _Parts:
    def __init__(self, folder: Path, extent: Extent, console: Console, peers: bool) -> None:
        self._folder = folder
        self._extent = extent
        self._console = console
        self._peers = peers

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False)

    async def run(self, parts: Sequence[Part]) -> None:
        found = machine()
        self._say(
            f"Python {found['python']} ({found['executable']}), optimised build: {found['optimised_build']};"
            f" {found['processors']} processors, load before {found['load_before']}"
        )
        with on_load_core(), large_buffers() as told:
            self._say(told)
            starts: list[Start] = [self._ours]
            if self._peers:
                more, lacking = await asyncio.to_thread(systems.installed, self._folder, _CACHE, PROGRAM_CORE)
                starts += more
                for line in lacking:
                    self._say(line)
            measures = {"signalling": self._signalling, "memory": self._memory, "flood": self._flood}
            for part in parts:
                rows = await measures[part](starts)
                path = self._folder / f"{part}.json"
                written = json.dumps({"machine": found, **rows}, indent=2) + "\n"
                await asyncio.to_thread(path.write_text, written, encoding="utf-8")
                self._say(f"figures: {path}")

    def _ours(self) -> systems.Entered:
        return systems.ours(self._folder / "ringward", PROGRAM_CORE)

    async def _signalling(self, starts: Sequence[Start]) -> dict[str, object]:
        folder = self._folder / "signalling"
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        bench = Bench(folder, self._extent.plan, self._say)
        figures: list[Figure] = []
        pauses: dict[str, dict[str, float]] = {}
        paths: tuple[PathName, ...] = ("reject", "call")
        async with AsyncExitStack() as stack:
            running = [await stack.enter_async_context(start()) for start in starts]

            def note(path: PathName) -> None:
                pauses[path] = _pauses(running[0])

            for path in paths:
                figures += await bench.path(path, running, partial(note, path))
        async with systems.announcing(self._folder / "announcing", PROGRAM_CORE) as program:
            figures += await bench.path("announced", [program])
        self._console.print(show.signalling(figures))
        self._console.print(show.pauses(pauses))
        return {"signalling": [figure.row() for figure in figures], "pauses": pauses}

    async def _memory(self, starts: Sequence[Start]) -> dict[str, object]:
        extent, folder = self._extent, self._folder / "memory"
        rows: list[Held] = []
        for start in starts:
            async with start() as program:
                counts = [extent.peer_calls]
                if program.name == systems.OURS:
                    counts.append(extent.held_calls)
                for calls in counts:
                    held = await memory.hold(
                        program, folder, calls, extent.calls_per_s, after_s=extent.after_s
                    )
                    rows.append(held)
                    self._say(f"memory: {held.system} {held.held_mb:g} MB with {calls} calls")
        self._console.print(show.memory(rows))
        return {"memory": [asdict(row) for row in rows]}

    async def _flood(self, starts: Sequence[Start]) -> dict[str, object]:
        rows: list[Flooded] = []
        for start in starts:
            async with start() as program:
                rows.append(await flood.flooded(program, self._folder / "flood", self._extent.flood_s))
        self._console.print(show.flood(rows))
        return {"flood": [asdict(row) for row in rows]}


def _pauses(program: Running) -> dict[str, float]:
    """The longest so far, in ms."""
    figures = program.figures()
    return {name: round(figures[key] * 1000, 3) for name, key in _PAUSES.items()}
