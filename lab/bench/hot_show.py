"""The hot-table part of `ringward bench`: two tables and `hot_table.json`."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.bench.hot_table import measure

NUMBERS = 10_000_000


def bench(output: Path) -> None:
    """Measure, print the tables and write the figures to `output`. Needs 4 GB of memory, some minutes."""
    console = Console()
    found = measure(NUMBERS, console.print)
    output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print(_systems(found))
    console.print(_figures(found))
    console.print(f"figures: {output}")


def _systems(found: dict[str, Any]) -> Table:
    shown = Table(title=f"{found['numbers']:,} numbers; hot table: {found['prefixes']:,} prefixes too")
    shown.add_column("system")
    for heading in ("hit ns", "miss ns", "p99 µs", "MB", "for each worker"):
        shown.add_column(heading, justify="right")
    for each in found["systems"]:
        cells = (each["hit_ns"], each["miss_ns"], each["p99_us"], each["mb"])
        shown.add_row(each["system"], *map(str, cells), "no, shared" if each["shared"] else "yes")
    return shown


def _figures(found: dict[str, Any]) -> Table:
    shown = Table(title="The hot table beside calls")
    for heading in ("", "measured", "wanted"):
        shown.add_column(heading, justify="left" if not heading else "right")
    shown.add_row(f"in memory, {found['workers']} workers together", f"{found['workers_mb']} MB", "≤ 300 MB")
    shown.add_row("start (map, check the header)", f"{found['open_ms']} ms", "≤ 2 s")
    shown.add_row("check of the whole file, beside the loop", f"{found['check_s']} s", "")
    shown.add_row("build and write", f"{found['build_s']} s and {found['write_s']} s", "")
    shown.add_row("look-up that finds a prefix only", f"{found['prefix_hit_ns']} ns", "")
    shown.add_row("from a spelling seen before", f"{found['probe_ns']} ns", "")
    for name, rows in (("small_delta", found["small_delta_rows"]), ("delta", found["delta_rows"])):
        wanted = "≤ 5 ms" if name == "delta" else ""
        shown.add_row(f"{rows:,} changed rows: count after", f"{found[f'{name}_s']} s", "")
        shown.add_row("  longest stall of the loop by itself", _stall(found, f"{name}_own"), wanted)
        shown.add_row("  with waiting for a processor", _stall(found, name), "")
    shown.add_row("no change: longest stall of the loop by itself", _stall(found, "quiet_own"), "")
    shown.add_row("  with waiting for a processor", _stall(found, "quiet"), "")
    stolen = sum(found[f"{name}_stolen"] for name in ("quiet", "small_delta", "delta"))
    shown.add_row("moments left out: the host had taken a processor away", f"{stolen}", "")
    return shown


def _stall(found: dict[str, Any], name: str) -> str:
    return f"{found[f'{name}_stall_ms']} ms (best {found[f'{name}_stall_ms_min']})"
