"""What every measurement stands on: two processors, equal receive buffers, and which interpreter it was."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.peers import packages
from lab.peers.process import PeerError

PROGRAM_CORE, LOAD_CORE = 0, 1
BUFFER_BYTES = 4 * 1024 * 1024
_DEFAULT_BUFFER = Path("/proc/sys/net/core/rmem_default")


@contextmanager
def on_load_core() -> Iterator[None]:
    """This process on the load's processor. Raises PeerError where SIPp or a processor is missing."""
    if not packages.have("sipp"):
        raise PeerError(packages.reason("sipp"))
    before = os.sched_getaffinity(0)
    if not {PROGRAM_CORE, LOAD_CORE} <= before:
        raise PeerError("the comparison needs two processors: one for the program, one for the load")
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def large_buffers() -> Iterator[str]:
    """Give every socket opened meanwhile a receive buffer of 4 MB by default: not every peer can ask for one.

    Yields a line about it. The machine's own setting comes back at the end.
    """
    before = _DEFAULT_BUFFER.read_text(encoding="ascii")
    try:
        _DEFAULT_BUFFER.write_text(str(BUFFER_BYTES), encoding="ascii")
    except OSError:
        yield f"receive buffers: {int(before)} bytes by default, as the machine has it"
        return
    try:
        yield f"receive buffers: {BUFFER_BYTES} bytes for every program"
    finally:
        _DEFAULT_BUFFER.write_text(before, encoding="ascii")


def machine() -> dict[str, object]:
    """The interpreter that runs the engine, and how busy the machine is before anything is measured."""
    return {
        "python": sys.version.split(" ", 1)[0],
        "executable": str(Path(sys.executable).resolve()),
        "optimised_build": optimised_build(),
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def optimised_build() -> str:
    """Whether CPython was built with profile-guided optimisation."""
    told = " ".join(str(sysconfig.get_config_var(name)) for name in ("CONFIG_ARGS", "PY_CORE_CFLAGS"))
    if "--enable-optimizations" in told or "-fprofile-use" in told:
        return "yes"
    # Debian and Fedora optimise theirs by rules of their own, which the interpreter does not tell.
    return "as the distribution builds it" if Path(sys.base_prefix) == Path("/usr") else "no"
