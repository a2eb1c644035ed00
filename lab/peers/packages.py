"""System packages of the tests: which there are, whether each is here, and how to get it.

`make test` calls `ensure()` first. A test that needs one of them asks `have(name)` and skips visibly, with
`reason(name)` as its explanation, where the package cannot be installed.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_APT_DEADLINE_S = 900.0
_NO_EXPIRY = "Acquire::Check-Valid-Until=false"


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing the tests use: `probe` is a program in PATH, or an absolute path that must exist."""

    name: str
    package: str
    probe: str
    purpose: str


TOOLS: tuple[Tool, ...] = (
    Tool("sipp", "sip-tester", "sipp", "SIP scenarios against the engine"),
    Tool("debootstrap", "debootstrap", "debootstrap", "builds the Asterisk peer's own root"),
    Tool(
        "debian-keyring",
        "debian-archive-keyring",
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "checks what debootstrap fetches",
    ),
    Tool("postgresql", "postgresql", "pg_virtualenv", "the store's tests on PostgreSQL"),
    Tool("mosquitto", "mosquitto", "mosquitto", "the bus's tests on an independent broker"),
    Tool("chromium", "chromium", "chromium", "the console in a headless browser"),
    Tool(
        "cjk-font",
        "fonts-wqy-microhei",
        "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
        "Chinese text in the browser's pictures",
    ),
)

_BY_NAME = {tool.name: tool for tool in TOOLS}


def have(name: str) -> bool:
    """Whether the tool called `name` in `TOOLS` is installed. Raises KeyError for another name."""
    probe = _BY_NAME[name].probe
    if probe.startswith("/"):
        return Path(probe).exists()
    # Debian keeps debootstrap and mosquitto in sbin, which a plain user's PATH leaves out.
    return shutil.which(probe, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") is not None


def reason(name: str) -> str:
    """Why a test that needs `name` is skipped, and what to do about it."""
    tool = _BY_NAME[name]
    return f"{tool.probe} is not installed ({tool.purpose}); sudo apt install {tool.package}"


def is_root() -> bool:
    """Whether this process may install packages, make roots and mount."""
    return os.geteuid() == 0


def missing() -> tuple[Tool, ...]:
    """The tools that are not installed, in the order of `TOOLS`."""
    return tuple(tool for tool in TOOLS if not have(tool.name))


def ensure() -> tuple[Tool, ...]:
    """Install what is missing through apt where possible, else say what to type.

    Returns the tools still missing. Never raises for a package that cannot be had: its tests are skipped.
    """
    wanted = missing()
    if not wanted:
        return ()
    names = [tool.package for tool in wanted]
    if shutil.which("apt-get") is None:
        print(f"tests: not installed here, their tests are skipped: {' '.join(names)}")
        return wanted
    if not is_root():
        print(f"tests: some need system packages. To run them too: sudo apt install {' '.join(names)}")
        return wanted
    print(f"tests: installing {' '.join(names)} …", flush=True)
    _install(names)
    left = missing()
    for tool in left:
        print(f"tests: {tool.package} could not be installed; skipped: {tool.purpose}")
    return left


def _install(names: list[str]) -> None:
    """Ask apt for all of them; after a failure refresh the package list, then try each alone."""
    if _apt("install", *names):
        return
    # A machine whose list was never fetched knows no package; an old one asks for versions that are gone.
    if not _apt("update"):
        _apt("update", "-o", _NO_EXPIRY)
    if _apt("install", *names):
        return
    for name in names:
        _apt("install", name)


def _apt(verb: str, *arguments: str) -> bool:
    """One quiet apt-get command; its last lines are shown where it fails."""
    options = (
        ["--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"] if verb == "install" else []
    )
    command = ["apt-get", "-q", verb, *options, *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_APT_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"tests: apt-get {verb} took longer than {_APT_DEADLINE_S:.0f} s and was stopped")
        return False
    if done.returncode:
        tail = "\n".join(done.stdout.rstrip().split("\n")[-5:])
        print(f"tests: apt-get {verb} failed:\n{tail}")
    return done.returncode == 0
