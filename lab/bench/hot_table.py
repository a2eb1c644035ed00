"""What the hot table costs against a dict: time of a look-up, memory, time to build."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np

from scoring.numbers import HotEntry, Level, Number, NumberKind, Precedence
from scoring.numbers import hot_format as form
from scoring.numbers.hot_build import Columns, build
from scoring.numbers.hot_files import write_atomically
from scoring.numbers.hot_table import HotTable

_TENANT = "bench"
_ASKED = 20_000
_ROUNDS = 5
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST_MOBILE, _MOBILES = 8_613_000_000_000, 7_000_000_000


def measure(count: int) -> dict[str, Any]:
    """Build a table of `count` random Chinese mobile numbers and eight prefixes, and look numbers up.

    Times are the best of five rounds over 20,000 numbers in random order, in CPU ns a look-up; memory in MB
    (10⁶ bytes): of the file, which all workers share, and of a dict with the same 64-bit values in each.
    """
    random = np.random.default_rng(1)
    drawn = np.unique(random.integers(0, _MOBILES, int(count * 1.01) + 100, dtype=np.uint64))
    listed = random.permutation(drawn)[:count] + np.uint64(_FIRST_MOBILE)
    started = perf_counter_ns()
    data = build(_columns(listed), 1, _AT)
    built = perf_counter_ns()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "risk.hot"
        write_atomically(path, *data)
        written = perf_counter_ns()
        table = HotTable.open(path)
        opened = perf_counter_ns()
    size = sum(memoryview(part).nbytes for part in data)
    del data
    hits = _numbers(random.choice(listed, _ASKED))
    strangers = _numbers(random.integers(0, _MOBILES, _ASKED, dtype=np.uint64) + np.uint64(_FIRST_MOBILE))
    misses = [number for number in strangers if table.lookup(_TENANT, number, _AT) is None]
    found = {
        "numbers": count,
        "file_mb": round(size / 1e6, 1),
        "build_s": round((built - started) / 1e9, 2),
        "write_s": round((written - built) / 1e9, 2),
        "open_and_verify_s": round((opened - written) / 1e9, 3),
        "hit_ns": _best(lambda number: table.lookup(_TENANT, number, _AT), hits),
        "miss_ns": _best(lambda number: table.lookup(_TENANT, number, _AT), misses),
    }
    return found | _dict(listed, hits, misses)


def _dict(
    listed: np.ndarray[Any, np.dtype[np.uint64]], hits: Sequence[Number], misses: Sequence[Number]
) -> dict[str, Any]:
    """The same with a dict from key to value, and the entry made on a hit as the table makes it."""
    gc.collect()
    before = _resident_bytes()
    table = {(_TENANT, int(key)): int(key) << 10 for key in listed}
    size = _resident_bytes() - before
    entry = HotEntry(Level.RED, None, None, "fraud", 1, False, True, Precedence.PERMANENT, 13)

    def lookup(number: Number) -> HotEntry | None:
        return entry if table.get((_TENANT, number.key)) is not None else None

    return {
        "dict_mb": round(size / 1e6, 1),
        "dict_hit_ns": _best(lookup, hits),
        "dict_miss_ns": _best(lookup, misses),
    }


def _columns(keys: np.ndarray[Any, np.dtype[np.uint64]]) -> Columns:
    """Red, permanent rows for the numbers, and yellow ones for eight prefixes of three lengths."""
    prefixes = np.array([861700, 861701, 861702, 86170, 86171, 86162, 8616200, 8616201], dtype=np.uint64)
    red = form.LEVEL_SHIFT, Precedence.PERMANENT, 2
    yellow = form.LEVEL_SHIFT, Precedence.WILDCARD, 1
    values = [
        np.full(size, level << shift | precedence << form.PRECEDENCE_SHIFT, dtype=np.uint64)
        for size, (shift, precedence, level) in ((len(keys), red), (len(prefixes), yellow))
    ]
    rows = np.arange(1, len(keys) + len(prefixes) + 1, dtype=np.uint64)
    return Columns(
        tenants=[_TENANT],
        reasons=["fraud"],
        keys=np.concatenate((keys, prefixes)),
        values=np.concatenate(values),
        details=rows << np.uint64(form.ROW_SHIFT) | np.uint64(form.CONFIRMED_BIT),
        wildcards=rows > len(keys),
    )


def _numbers(values: np.ndarray[Any, np.dtype[np.uint64]]) -> list[Number]:
    return [Number(NumberKind.E164, str(value)) for value in values]


def _best(lookup: Callable[[Number], HotEntry | None], numbers: Sequence[Number]) -> int:
    """CPU nanoseconds a look-up, in the best round; the loop's own cost is included."""
    rounds: list[int] = []
    for _ in range(_ROUNDS):
        started = process_time_ns()
        for number in numbers:
            lookup(number)
        rounds.append(process_time_ns() - started)
    return round(min(rounds) / len(numbers))


def _resident_bytes() -> int:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * 4096
