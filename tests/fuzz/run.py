"""`make fuzz SECONDS=600`: every input path for its share of the time, led by coverage where atheris is.

`python -m tests.fuzz.run 600 [NAME …]`. Inputs that reach new code and inputs that break a target
are kept in var/fuzz/NAME/corpus, and tried first on the next run.
"""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_BYTES = 70_000


def main(words: list[str]) -> int:
    from tests.fuzz.targets import TARGETS

    seconds = float(words[0]) if words else 600.0
    names = words[1:] or list(TARGETS)
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        print(f"no such target: {', '.join(unknown)}; there are: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    guided = importlib.util.find_spec("atheris") is not None
    if not guided:
        print("atheris is not installed (it has wheels for Linux on x86-64): hypothesis makes the inputs")
    failed = []
    for name in names:
        share = max(1, round(seconds / len(names)))
        print(f"=== {name}: {share} s ===", flush=True)
        kind = "guided" if guided else "random"
        command = [sys.executable, "-m", "tests.fuzz.run", f"--{kind}", name, str(share)]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"broken: {', '.join(failed)}" if failed else f"{len(names)} input paths, nothing broken")
    return 1 if failed else 0


def one_random(name: str, seconds: int) -> None:
    from tests.fuzz.kit import run
    from tests.fuzz.targets import TARGETS

    first = random.randrange(2**32)
    print(f"{run(TARGETS[name], seconds, first)} inputs from seed {first}")


def one_guided(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["engine", "scoring"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    folder = ROOT / "var" / "fuzz" / name
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    for place, sample in enumerate(target.seeds):
        (folder / "samples" / str(place)).write_bytes(sample)
    words = "".join(f'"{_quoted(token)}"\n' for token in target.tokens if len(token) < 64)
    (folder / "tokens").write_text(words)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-dict={folder / 'tokens'}",
        f"-artifact_prefix={folder}/corpus/",
        "-timeout=20",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    (folder / "corpus").mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus"), str(folder / "samples")], target.check)
    atheris.Fuzz()


def _quoted(token: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in token)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--random", chosen, share]:
            one_random(chosen, int(share))
        case ["--guided", chosen, share]:
            one_guided(chosen, int(share))
        case arguments:
            sys.exit(main(arguments))
