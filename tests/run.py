"""`make test`: system packages, then every stage of the tests, with the time each took beside its budget.

`python -m tests.run` runs all, `python -m tests.run unit wire` only those; words after `--` go to pytest.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab.peers import packages

ROOT = Path(__file__).parents[1]
WORKERS = "2"


@dataclass(frozen=True)
class Stage:
    """One pytest run. Budgets are for two cores and are printed, never asserted."""

    name: str
    budget_s: int
    arguments: tuple[str, ...]


STAGES = (
    Stage("unit", 240, ("-m", "not wire and not lab and not browser and not fuzz", "-n", WORKERS)),
    Stage("fuzz", 60, ("-m", "fuzz")),
    Stage("wire", 180, ("-m", "wire", "-n", WORKERS)),
    Stage("lab", 360, ("-m", "lab")),
    Stage("browser", 300, ("-m", "browser")),
)
NOTHING_COLLECTED = 5


def main(words: list[str]) -> int:
    more: list[str] = []
    if "--" in words:
        cut = words.index("--")
        words, more = words[:cut], words[cut + 1 :]
    names = [stage.name for stage in STAGES]
    unknown = sorted(set(words) - set(names))
    if unknown:
        print(f"no such stage: {', '.join(unknown)}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    chosen = [stage for stage in STAGES if not words or stage.name in words]
    packages.ensure()
    results = [(stage, *_run(stage, more)) for stage in chosen]
    print("\nstage     result     time     budget")
    for stage, code, took_s in results:
        verdict = {0: "passed", NOTHING_COLLECTED: "EMPTY"}.get(code, "FAILED")
        over = "  over budget" if took_s > stage.budget_s else ""
        print(f"{stage.name:<9} {verdict:<8} {took_s:6.0f} s  {stage.budget_s:6d} s{over}")
    return 0 if all(code == 0 for _, code, _ in results) else 1


def _run(stage: Stage, more: list[str]) -> tuple[int, float]:
    print(f"\n=== {stage.name} ===", flush=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", *stage.arguments, *more]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return code, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
