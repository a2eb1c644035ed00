"""Kamailio from Debian's package, unpacked into a folder of its own: nothing is installed or started."""

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.peers.process import PeerError

_FETCH_S = 300.0
_INSTALLED = Path("/usr/sbin/kamailio")
_STAMP = ".whole"


@dataclass(frozen=True, slots=True)
class KamailioFiles:
    """A Kamailio that runs here: its program, its modules and what its environment must have."""

    program: Path
    modules: Path
    environment: dict[str, str]


def kamailio_files(cache: Path) -> KamailioFiles:
    """The installed Kamailio, else Debian's package and what it needs, fetched by apt into `cache`.

    Needs no root. May run in several processes at once. Raises PeerError where there is none to be had.
    """
    if _INSTALLED.exists():
        return _files(Path("/"))
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise PeerError("kamailio is not installed, and there is no apt to fetch it")
    folder = cache / "kamailio"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / _STAMP).exists():
            _fetch(folder)
            (folder / _STAMP).touch()
    return _files(folder / "root")


def _fetch(folder: Path) -> None:
    for name in ("packages", "root"):
        shutil.rmtree(folder / name, ignore_errors=True)
    packages = folder / "packages"
    (packages / "partial").mkdir(parents=True)
    own = ["-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={packages.resolve()}"]
    _run("apt-get", "-q", "--yes", "--no-install-recommends", "--download-only", *own, "install", "kamailio")
    for package in packages.glob("*.deb"):
        _run("dpkg", "--extract", str(package), str(folder / "root"))


def _files(root: Path) -> KamailioFiles:
    found = sorted(root.glob("usr/lib/*/kamailio/modules/tm.so"))
    program = root / "usr/sbin/kamailio"
    if not found or not program.exists():
        raise PeerError(f"kamailio's files are not as expected in {root}")
    modules = found[0].parent
    # Of an unpacked package the libraries lie two folders up; those of an installed one are found anyway.
    libraries = f"{modules.parent}:{modules.parents[1]}"
    environment = {} if root == Path("/") else {"LD_LIBRARY_PATH": libraries}
    _run(str(program), "-v", **environment)
    return KamailioFiles(program, modules, environment)


def _run(*command: str, **environment: str) -> None:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FETCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"{command[0]} took longer than {_FETCH_S:.0f} s") from None
    if done.returncode:
        raise PeerError(
            f"{command[0]} failed: {(done.stderr or done.stdout).rstrip().rpartition(chr(10))[2]}"
        )
