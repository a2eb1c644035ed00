"""The tables of `ringward bench`: what each program took, in brackets ringward as a multiple of it."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from lab.bench.figures import Delays, Figure, Flooded, Held, Served, ratio
from lab.bench.systems import OURS

WANTED_GC_MS = 5.0
WANTED_MB = 300.0
_WANTED_SHARE = 0.95


def signalling(figures: Sequence[Figure]) -> Table:
    """One row for each path and program."""
    shown = Table(title="Signalling on one processor (in brackets: ringward as a multiple of this peer)")
    shown.add_column("path")
    shown.add_column("system", no_wrap=True)
    for heading in ("calls/s", "CPU ms/call", "clean up to/s"):
        shown.add_column(heading, justify="right")
    shown.add_column("added at the low rate, p50/p95/p99 ms", justify="right")
    shown.add_column("at half of the highest", justify="right")
    ours = {figure.path: figure for figure in figures if figure.system == OURS}
    for figure in figures:
        mine = ours.get(figure.path) if figure.system != OURS else None
        most = f"{figure.max_clean_rate:g}{' or more' if figure.at_ceiling else ''}"
        shown.add_row(
            figure.path,
            figure.system,
            f"{figure.rate:g}",
            f"{figure.cpu_ms_per_call:g}"
            + _times(mine.cpu_ms_per_call if mine else None, figure.cpu_ms_per_call),
            most + _times(mine.max_clean_rate if mine else None, figure.max_clean_rate),
            _delays(figure.slow),
            _delays(figure.half),
        )
    return shown


def _times(ours: float | None, theirs: float) -> str:
    found = ratio(ours, theirs)
    return "" if found is None else f" ({found:.2f}×)"


def _delays(found: Delays | None) -> str:
    if found is None:
        return "–"
    return f"{found.p50_ms:.2f} / {found.p95_ms:.2f} / {found.p99_ms:.2f} at {found.rate:g}/s"


def pauses(found: Mapping[str, Mapping[str, float]]) -> Table:
    """ringward's longest pauses after the rounds at the fixed rate of each path, in ms."""
    shown = Table(title="ringward's longest pauses so far, at the fixed rates")
    for heading in ("after path", "garbage collection ms", "wanted", "event loop late by ms"):
        shown.add_column(heading, justify="right" if heading != "after path" else "left")
    for path, row in found.items():
        shown.add_row(path, f"{row['gc_pause_ms']:g}", f"≤ {WANTED_GC_MS:g}", f"{row['loop_lag_ms']:g}")
    return shown


def memory(rows: Sequence[Held]) -> Table:
    """Memory of the whole process tree."""
    shown = Table(title="Memory with calls up at once, in MB (all processes, what they share counted once)")
    shown.add_column("system")
    for heading in ("calls", "before", "with them", "kB a call", "after", "wanted", "all went well"):
        shown.add_column(heading, justify="right")
    for row in rows:
        wanted = f"≤ {WANTED_MB:g}" if row.system == OURS and row.calls >= 10_000 else ""
        each = (row.held_mb - row.before_mb) * 1000 / row.calls
        cells = (
            f"{row.calls:,}",
            f"{row.before_mb:g}",
            f"{row.held_mb:g}",
            f"{each:.1f}",
            f"{row.after_mb:g}",
        )
        shown.add_row(row.system, *cells, wanted, "yes" if row.whole else "no")
    return shown


def flood(rows: Sequence[Flooded]) -> Table:
    """Who was served while one source flooded."""
    shown = Table(title=f"One source floods; others want to be served (≥ {_WANTED_SHARE:.0%})")
    shown.add_column("system")
    for heading in ("flood messages/s", "OPTIONS answered", "calls put through", "memory MB, before → most"):
        shown.add_column(heading, justify="right")
    for row in rows:
        memory_mb = f"{row.memory_before_mb:g} → {row.memory_most_mb:g}"
        shown.add_row(
            row.system, f"{row.flood_per_s:,.0f}", _served(row.options), _served(row.calls), memory_mb
        )
    return shown


def _served(found: Served) -> str:
    return f"{found.good} of {found.attempts} ({found.share:.0%})"
