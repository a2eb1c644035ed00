"""The programs compared: how each is started on one core, what it calls a refusal, where it tells figures."""

import asyncio
import shutil
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from lab.bench.processes import cpu_ms
from lab.peers import asterisk
from lab.peers.asterisk_root import asterisk_root, unavailable
from lab.peers.environment import environment
from lab.peers.kamailio_files import KamailioFiles, kamailio_files
from lab.peers.process import Peer, PeerError, udp_bound, until
from lab.peers.ringward import Site, ringward

_HERE = Path(__file__).parent

SITE = Site("127.200")
RED = "+86170"
"""Callers whose number begins so are refused."""
RED_CALLERS = 1000
OURS = "ringward"
_METRICS_PORT = 9100
_READY_S = 20.0
_SIPPY_BUILDS = ("setuptools", "wheel", "packaging")
_UNTHROTTLED = "1000000"


@dataclass(frozen=True, slots=True)
class Running:
    """A program under test: where it listens, and the process whose tree is charged for its work."""

    name: str
    address: str
    refusal: int
    peer: Peer
    to_contact: bool = True
    """Requests of a dialog may go to its Contact; Sippy's cannot be used by SIPp."""
    metrics: str = ""
    """Where it tells its figures as Prometheus text, as address:port."""

    def cpu_ms(self) -> float:
        """Processor time of its process tree so far, in ms."""
        return cpu_ms(self.peer.pid)

    def figures(self) -> dict[str, float]:
        """Its own figures by name and labels' values, as `read_figures`; empty where it tells none."""
        if not self.metrics:
            return {}
        return fetch_figures(self.metrics)


def fetch_figures(address: str) -> dict[str, float]:
    """What the process whose metrics are at address:port tells now. Raises OSError."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return read_figures(answer.read().decode("utf-8"))


def read_figures(text: str) -> dict[str, float]:
    """The samples of Prometheus text: name, or name/label value/… → value."""
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return {"/".join((sample.name, *sample.labels.values())): float(sample.value) for sample in samples}


Entered = AbstractAsyncContextManager[Running]
"""Started on entering, stopped on leaving."""
Start = Callable[[], Entered]


@asynccontextmanager
async def ours(
    folder: Path, core: int, address: str = SITE.engine, **settings: str
) -> AsyncIterator[Running]:
    """The engine from this checkout with a risk table of `RED_CALLERS` numbers, popups left out.

    `folder` is emptied first. `settings`: further keys, with two underscores for dots.
    """
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    table = folder / "numbers.csv"
    rows = [f"{RED}{n:08d},red,reject,police_list," for n in range(RED_CALLERS)]
    await asyncio.to_thread(_write, table, "\n".join(["number,level,action,reason,expires", *rows, ""]))
    metrics = f"{address}:{_METRICS_PORT}"
    chosen = {
        "sip.listen": f"{address}:5060",
        "screening.table": str(table),
        # The peers send no popups either: like is compared with like.
        "popup.sip_message": "false",
        # The whole load comes from one trunk's address.
        "limits.trunk_messages_per_s": _UNTHROTTLED,
        "metrics.listen": metrics,
        **{key.replace("__", "."): value for key, value in settings.items()},
    }
    async with ringward(SITE, folder, chosen, core) as engine:
        yield Running(OURS, address, 608, engine.peer, metrics=metrics)


def announcing(folder: Path, core: int) -> AbstractAsyncContextManager[Running]:
    """The engine once more; callers that do not know 608 hear why first."""
    return ours(folder, core, f"{SITE.prefix}.24.1", trunk__carrier__announce_608="true")


@asynccontextmanager
async def asterisk_22(root: Path, folder: Path, core: int) -> AsyncIterator[Running]:
    """Asterisk, dialling through with pjsip, with as few modules as a call needs."""
    address = f"{SITE.prefix}.21.1"
    values = {"address": address, "carrier": SITE.carrier, "access": SITE.access, "verbose": "0"}
    asterisk.prepare(root, folder, values, asterisk.TEMPLATES, _HERE / "asterisk")
    peer = await asterisk.launch("asterisk", root, folder, core)
    try:
        await asterisk.booted(peer)
        yield Running("asterisk", address, 403, peer)
    finally:
        await peer.stop()


@asynccontextmanager
async def kamailio(files: KamailioFiles, folder: Path, core: int) -> AsyncIterator[Running]:
    """Kamailio: refuses in a transaction, else is a stateful proxy that stays in the path (Record-Route)."""
    address = f"{SITE.prefix}.22.1"
    values = {"address": address, "access": SITE.access, "modules": str(files.modules)}
    template = (_HERE / "kamailio.cfg").read_text(encoding="ascii")
    config = folder / "kamailio.cfg"
    await asyncio.to_thread(_write, config, asterisk.render(template, values))
    memory = ["-x", "fm", "-X", "fm", "-m", "4096", "-M", "64"]
    buffer = ["-b", str(4 * 1024 * 1024)]
    command: list[str | Path] = [files.program, "-DD", "-E", "-f", config, "-Y", folder, *memory, *buffer]
    peer = await Peer.start("kamailio", command, folder / "log", env=files.environment, core=core)
    async with _ready(Running("kamailio", address, 603, peer)) as running:
        yield running


@asynccontextmanager
async def sippy(python: Path, folder: Path, core: int) -> AsyncIterator[Running]:
    """Sippy's B2BUA with the same rule, in an environment of its own, its log turned off."""
    address = f"{SITE.prefix}.23.1"
    place = ["-f", "-l", address, "-p", "5060", "-n", f"{SITE.access}:5060"]
    command: list[str | Path] = [python, _HERE / "sippy_driver.py", *place]
    silent = {"SIPLOG_BEND": "none", "SIPLOG_LVL": "ERR"}
    peer = await Peer.start("sippy", command, folder / "log", env=silent, core=core)
    async with _ready(Running("sippy", address, 603, peer, to_contact=False)) as running:
        yield running


@asynccontextmanager
async def _ready(running: Running) -> AsyncIterator[Running]:
    """The program once it has bound its port; stopped afterwards."""
    peer = running.peer

    async def bound() -> bool:
        if not peer.alive:
            raise peer.error("ended while starting")
        return udp_bound(running.address, 5060)

    try:
        await until(f"UDP {running.address}:5060 of {peer.name}", bound, _READY_S)
        yield running
    finally:
        await peer.stop()


def installed(folder: Path, cache: Path, core: int) -> tuple[list[Start], list[str]]:
    """What starts each peer that this machine can run, and a line for each that it cannot.

    Fetches what is missing into `cache`; this may take minutes.
    """
    found: list[Start] = []
    lacking: list[str] = []
    for name, prepare in (("asterisk", _asterisk), ("kamailio", _kamailio), ("sippy", _sippy)):
        try:
            found.append(prepare(cache, folder / name, core))
        except PeerError as error:
            lacking.append(f"without {name}: {str(error).split(chr(10), 1)[0]}")
    return found, lacking


def _asterisk(cache: Path, folder: Path, core: int) -> Start:
    why_not = unavailable()
    if why_not is not None:
        raise PeerError(why_not)
    root = asterisk_root(cache)
    return lambda: asterisk_22(root, folder, core)


def _kamailio(cache: Path, folder: Path, core: int) -> Start:
    files = kamailio_files(cache)
    return lambda: kamailio(files, folder, core)


def _sippy(cache: Path, folder: Path, core: int) -> Start:
    python = environment(cache / "sippy", _HERE / "sippy.lock", builds=_SIPPY_BUILDS)
    return lambda: sippy(python, folder, core)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
