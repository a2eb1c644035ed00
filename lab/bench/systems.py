"""The programs compared: how each is started on one core, what it calls a refusal, what it has used."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.peers import asterisk
from lab.peers.process import Peer
from lab.peers.ringward import Site, ringward

_HERE = Path(__file__).parent
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")

SITE = Site("127.60")
_PEER_ADDRESS = f"{SITE.prefix}.21.1"
RED = "+86170"
"""Callers whose number begins so are refused."""
RED_CALLERS = 1000


@dataclass(frozen=True, slots=True)
class Running:
    """A program under test: where it listens, and the process whose tree is charged for its work."""

    name: str
    address: str
    refusal: int
    peer: Peer

    def cpu_ms(self) -> float:
        """Processor time of the process and its children so far, in ms (steps of 10 ms a process)."""
        return sum(_used_ms(pid) for pid in _tree(self.peer.pid))


def _used_ms(pid: int) -> float:
    """utime + stime of one process, its threads included (proc(5), fields 14 and 15)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_MS


def _tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(map(int, task.read_text(encoding="ascii").split()))
    return found


@asynccontextmanager
async def ours(folder: Path, core: int) -> AsyncIterator[Running]:
    """The engine from this checkout with a risk table of `RED_CALLERS` numbers, popups left out."""
    table = folder / "numbers.csv"
    rows = [f"{RED}{n:08d},red,reject,police_list," for n in range(RED_CALLERS)]
    await asyncio.to_thread(_write, table, "\n".join(["number,level,action,reason,expires", *rows, ""]))
    # The peer sends no popups either: like is compared with like.
    settings = {"screening.table": str(table), "popup.sip_message": "false"}
    async with ringward(SITE, folder, settings, core) as engine:
        yield Running("ringward", SITE.engine, 608, engine.peer)


@asynccontextmanager
async def asterisk_22(root: Path, folder: Path, core: int) -> AsyncIterator[Running]:
    """Asterisk, dialling through with pjsip, with as few modules as a call needs."""
    values = {"address": _PEER_ADDRESS, "carrier": SITE.carrier, "access": SITE.access, "verbose": "0"}
    asterisk.prepare(root, folder, values, asterisk.TEMPLATES, _HERE / "asterisk")
    peer = await asterisk.launch("asterisk", root, folder, core)
    try:
        await asterisk.booted(peer)
        yield Running("asterisk", _PEER_ADDRESS, 403, peer)
    finally:
        await peer.stop()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
