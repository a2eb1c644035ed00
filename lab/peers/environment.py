"""Virtual environments for peers that are Python programs: made from a lock file, apart from our own."""

import fcntl
import subprocess
import sys
from pathlib import Path

from lab.peers.process import PeerError

_INSTALL_S = 180.0


def environment(folder: Path, lock: Path, *, builds: tuple[str, ...] = ()) -> Path:
    """The Python of the environment in `folder`, made there if it does not fit the lock file.

    `builds` are names in the lock that must be there before the others can be built from source. May run in
    several processes at once. Raises PeerError with pip's last words where it cannot be made.
    """
    python, stamp = folder / "bin" / "python", folder / ".made-from"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        wanted = lock.read_text(encoding="ascii")
        if not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
            _run(sys.executable, "-m", "venv", str(folder))
            pip = (str(python), "-m", "pip", "install", "-q", "--require-hashes", "--no-deps")
            if builds:
                first = folder / "builds.lock"
                first.write_text(only(wanted, builds), encoding="ascii")
                _run(*pip, "-r", str(first))
            _run(*pip, *(["--no-build-isolation"] if builds else []), "-r", str(lock))
            stamp.write_text(wanted, encoding="ascii")
    return python


def only(lock: str, names: tuple[str, ...]) -> str:
    """The entries of a lock file for these names."""
    found, taking = [], False
    for line in lock.rstrip("\n").split("\n"):
        if not line.startswith((" ", "#")):
            taking = line.partition("==")[0] in names
        if taking:
            found.append(line)
    return "\n".join([*found, ""])


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"{command[2]} took longer than {_INSTALL_S:.0f} s") from None
    except OSError as error:
        raise PeerError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        raise PeerError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
