"""What the hot table costs: memory, start, look-ups beside its peers, and changes beside a running loop."""

from __future__ import annotations

import gc
import multiprocessing
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import Any

import numpy as np

from lab.bench.hot_stalls import stalls
from scoring.numbers import HotEntry, Level, Number, Numbering, NumberKind, Precedence
from scoring.numbers import hot_format as form
from scoring.numbers.hot_build import Columns, build
from scoring.numbers.hot_files import write_atomically
from scoring.numbers.hot_table import HotTable
from scoring.numbers.table_view import TableView

TENANT = "bench"
PREFIXES = 100_000
AT = datetime(2026, 1, 1, tzinfo=UTC)
_WORKERS = 3
_ASKED = 20_000
_ROUNDS = 5
_FIRST_MOBILE, _MOBILES = 8_613_000_000_000, 7_000_000_000

Words = np.ndarray[Any, np.dtype[np.uint64]]
Lookup = Callable[[Number], object]


@dataclass(frozen=True, slots=True)
class Asked:
    """Numbers to look up, in random order: listed ones, and others."""

    hits: Sequence[Number]
    misses: Sequence[Number]


def measure(count: int, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """A table of `count` random Chinese mobile numbers and 100,000 prefixes, and peers with the same keys.

    Look-ups: nanoseconds each, the best of five rounds over 20,000 numbers, and the 99th percentile of single
    ones in microseconds. Memory in MB (10⁶ bytes). Stalls in milliseconds, see `hot_stalls`.
    """
    random = np.random.default_rng(1)
    listed = _draw(random, count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "risk.hot"
        say(f"building a hot table of {count:,} numbers and {PREFIXES:,} prefixes …")
        started = perf_counter()
        parts = build(_columns(listed, random), 1, AT)
        built = perf_counter()
        write_atomically(path, *parts)
        written = perf_counter()
        del parts
        found: dict[str, Any] = {
            "numbers": count,
            "prefixes": PREFIXES,
            "file_mb": round(path.stat().st_size / 1e6, 1),
            "build_s": round(built - started, 2),
            "write_s": round(written - built, 2),
            "open_ms": round(min(_seconds(lambda: TableView.open(path)) for _ in range(_ROUNDS)) * 1e3, 2),
            "check_s": round(min(_seconds(HotTable.open(path, verify=False).sound) for _ in range(3)), 2),
            "workers": _WORKERS,
            "workers_mb": _mapped_by_workers(path),
        }
        table = HotTable.open(path, verify=False)
        others = random.integers(0, _MOBILES, 2 * _ASKED, dtype=np.uint64)
        strangers = _numbers(others + np.uint64(_FIRST_MOBILE))
        misses = [number for number in strangers if table.lookup(TENANT, number, AT) is None][:_ASKED]
        asked = Asked(_numbers(random.choice(listed, _ASKED)), misses)
        under = [each for each in strangers if (entry := table.lookup(TENANT, each, AT)) and entry.wildcard]
        say("looking numbers up …")
        found["systems"] = [
            {"system": "hot table", "mb": found["file_mb"], "shared": True}
            | _times(lambda number: table.lookup(TENANT, number, AT), asked),
            *_peers(listed, asked, Path(folder)),
        ]
        found["prefix_hit_ns"] = _best(lambda number: table.lookup(TENANT, number, AT), under)
        found["probe_ns"] = _best_probe(table, asked.hits)
        say("changing 100,000 rows beside a running loop …")
        found |= stalls(path, listed)
    return found


def _draw(random: np.random.Generator, count: int) -> Words:
    drawn = np.unique(random.integers(0, _MOBILES, int(count * 1.01) + 100, dtype=np.uint64))
    listed: Words = random.permutation(drawn)[:count] + np.uint64(_FIRST_MOBILE)
    return listed


def _columns(keys: Words, random: np.random.Generator) -> Columns:
    """Red, permanent rows for the numbers, yellow ones for prefixes of eight to twelve digits."""
    lengths = random.integers(8, 13, PREFIXES).astype(np.uint64)
    whole = random.integers(0, _MOBILES, PREFIXES, dtype=np.uint64) + np.uint64(_FIRST_MOBILE)
    prefixes = whole // np.uint64(10) ** (np.uint64(13) - lengths)
    red, yellow = (2, Precedence.PERMANENT), (1, Precedence.WILDCARD)
    values = [
        np.full(size, level << form.LEVEL_SHIFT | precedence << form.PRECEDENCE_SHIFT, dtype=np.uint64)
        for size, (level, precedence) in ((len(keys), red), (len(prefixes), yellow))
    ]
    rows = np.arange(1, len(keys) + len(prefixes) + 1, dtype=np.uint64)
    return Columns(
        tenants=[TENANT],
        reasons=["fraud"],
        keys=np.concatenate((keys, prefixes)),
        values=np.concatenate(values),
        details=rows << np.uint64(form.ROW_SHIFT) | np.uint64(form.CONFIRMED_BIT),
        wildcards=rows > len(keys),
    )


# --- memory ------------------------------------------------------------------


def _mapped_by_workers(path: Path) -> float:
    """MB that the table takes in all of several processes together, each having read every page of it."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(_WORKERS)
    answers = context.Queue()
    workers = [context.Process(target=_map, args=(path, barrier, answers)) for _ in range(_WORKERS)]
    for worker in workers:
        worker.start()
    proportional = sum(answers.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join()
    return float(round(proportional / 1e6, 1))


def _map(path: Path, barrier: Any, answers: Any) -> None:
    table = HotTable.open(path)
    barrier.wait(120)
    answers.put(_proportional_bytes(path))
    barrier.wait(120)
    del table


def _proportional_bytes(path: Path) -> int:
    """This process's part of the pages of a mapped file: a page of three processes counts a third."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().split("\n"):
        if "-" in line.partition(" ")[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Pss:"):
            total += int(line.split()[1]) * 1024
    return total


# --- peers -------------------------------------------------------------------


def _peers(listed: Words, asked: Asked, folder: Path) -> list[dict[str, Any]]:
    return [_dict(listed, asked), _sorted(listed, asked), _sqlite(listed, asked, folder)]


def _dict(listed: Words, asked: Asked) -> dict[str, Any]:
    """From key to value; the entry is made on a hit as the table makes it. No prefixes."""
    gc.collect()
    before = _resident_bytes()
    table = dict(zip(listed.tolist(), (listed << np.uint64(10)).tolist(), strict=True))
    size = _resident_bytes() - before
    times = _times(lambda number: _entry(table[number.key]) if number.key in table else None, asked)
    return {"system": "dict", "mb": round(size / 1e6, 1), "shared": False} | times


def _sorted(listed: Words, asked: Asked) -> dict[str, Any]:
    keys = np.sort(listed)
    values = keys << np.uint64(10)

    def lookup(number: Number) -> object:
        place = keys.searchsorted(np.uint64(number.key))
        return _entry(int(values[place])) if place < len(keys) and keys[place] == number.key else None

    size = (keys.nbytes + values.nbytes) / 1e6
    return {"system": "sorted array", "mb": round(size, 1), "shared": True} | _times(lookup, asked)


def _sqlite(listed: Words, asked: Asked, folder: Path) -> dict[str, Any]:
    path = folder / "risk.sqlite"
    database = sqlite3.connect(path)
    database.executescript(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA mmap_size=4000000000;"
        "CREATE TABLE risk (key INTEGER PRIMARY KEY, value INTEGER)"
    )
    database.executemany("INSERT INTO risk VALUES (?, ?)", ((key, key) for key in np.sort(listed).tolist()))
    database.commit()

    def lookup(number: Number) -> object:
        row = database.execute("SELECT value FROM risk WHERE key = ?", (number.key,)).fetchone()
        return _entry(row[0]) if row is not None else None

    found = {"system": "SQLite", "mb": round(path.stat().st_size / 1e6, 1), "shared": True}
    found |= _times(lookup, asked)
    database.close()
    return found


def _entry(value: int) -> HotEntry:
    return HotEntry(Level.RED, None, None, "fraud", value, False, True, Precedence.PERMANENT, 13)


# --- time --------------------------------------------------------------------


def _times(lookup: Lookup, asked: Asked) -> dict[str, Any]:
    singles = [
        sorted(_single_ns(lookup, number) for number in [*asked.hits, *asked.misses]) for _ in range(_ROUNDS)
    ]
    return {
        "hit_ns": _best(lookup, asked.hits),
        "miss_ns": _best(lookup, asked.misses),
        "p99_us": round(median(each[len(each) * 99 // 100] for each in singles) / 1e3, 2),
    }


def _best(lookup: Lookup, numbers: Sequence[Number]) -> int:
    """Nanoseconds a look-up, in the best round; the loop's own cost is included."""
    rounds: list[int] = []
    for _ in range(_ROUNDS):
        started = perf_counter_ns()
        for number in numbers:
            lookup(number)
        rounds.append(perf_counter_ns() - started)
    return round(min(rounds) / len(numbers))


def _best_probe(table: HotTable, numbers: Sequence[Number]) -> int:
    """From a spelling that was seen before; every number is listed."""
    of_user = Numbering(cache_size=len(numbers)).of_user
    users = {number.display: number.display for number in numbers}
    return _best(lambda number: table.lookup(TENANT, of_user(users[number.display]), AT), numbers)


def _single_ns(lookup: Lookup, number: Number) -> int:
    started = perf_counter_ns()
    lookup(number)
    return perf_counter_ns() - started


def _seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _numbers(values: Words) -> list[Number]:
    return [Number(NumberKind.E164, str(value)) for value in values]


def _resident_bytes() -> int:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * 4096
