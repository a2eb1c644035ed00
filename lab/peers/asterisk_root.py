"""The Asterisk peer's own Debian root, made once under `var/lab/asterisk-root` by debootstrap.

Debian 12 and 13 carry no asterisk package, testing does; a root of its own leaves the host as it is. It takes
about a minute and 500 MB. `asterisk_root()` may be called by several processes at once.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.peers import packages
from lab.peers.process import PeerError

_SUITE = "forky"
_MIRROR = "http://deb.debian.org/debian"
_DEADLINE_S = 540.0
#: The file that debootstrap's last step leaves no trace of: written by us when the root is whole.
_STAMP = "etc/ringward-root"
_RECIPE = f"{_SUITE} minbase asterisk 1\n"


def unavailable() -> str | None:
    """Why the Asterisk peer cannot run here, or None where it can."""
    if not packages.is_root():
        return "the Asterisk peer needs root (a chroot and a private mount): run the tests as root"
    if not packages.have("debootstrap"):
        return packages.reason("debootstrap")
    try:
        subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "the Asterisk peer needs a mount namespace, which this machine does not grant"
    return None


def asterisk_root(cache: Path) -> Path:
    """The folder of a whole root with Asterisk, built under `cache` if it is not there yet.

    A build goes into a folder of its own and is renamed when whole, so a broken one is never mistaken for a
    root; a lock makes a second process wait for the first. Raises PeerError with debootstrap's last words.
    """
    root = cache / "asterisk-root"
    if _whole(root):
        return root
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "asterisk-root.lock"):
        if _whole(root):
            return root
        building = cache / "asterisk-root.building"
        for leftover in (building, root):
            shutil.rmtree(leftover, ignore_errors=True)
        _debootstrap(building, cache / "asterisk-root.log")
        (building / "instance").mkdir()
        (building / _STAMP).write_text(_RECIPE, encoding="ascii")
        building.rename(root)
    return root


def _whole(root: Path) -> bool:
    stamp = root / _STAMP
    return stamp.exists() and stamp.read_text(encoding="ascii") == _RECIPE


def _debootstrap(target: Path, log: Path) -> None:
    # An older debootstrap has no script for this suite; every suite from testing on is built as sid is.
    command = ["debootstrap", "--variant=minbase", "--include=asterisk", _SUITE, str(target), _MIRROR, "sid"]
    environment = {
        **os.environ,
        "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=_DEADLINE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PeerError(f"debootstrap took longer than {_DEADLINE_S:.0f} s; see {log}") from None
    if done.returncode:
        tail = "\n  ".join(log.read_text(encoding="utf-8", errors="replace").rstrip().split("\n")[-10:])
        raise PeerError(f"debootstrap failed; see {log} and {target}/debootstrap; its last lines:\n  {tail}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel frees it even where its holder is killed."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
