"""SIPp runs: a caller that places a fixed number of calls, a callee that stays up, and what each counted."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.peers.process import Peer, udp_bound, until
from lab.peers.scenarios import Scenario

_BUFFER_BYTES = 4 * 1024 * 1024

_SEPARATOR = "-----------------------------------------------"
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]+")


@dataclass(frozen=True, slots=True)
class Logged:
    """One message as SIPp logged it, CRLF read as LF."""

    sent: bool
    text: str

    @property
    def start(self) -> str:
        """The request or status line."""
        return self.text.partition("\n")[0]

    def header(self, name: str) -> str:
        """The first value of a header spelt exactly so, or an empty string."""
        head = self.text.partition("\n\n")[0]
        for line in head.split("\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return ""

    @property
    def body(self) -> str:
        """What follows the headers."""
        return self.text.partition("\n\n")[2]


@dataclass(frozen=True, slots=True)
class Result:
    """What one SIPp process counted. `retransmissions` are those it sent."""

    created: int
    succeeded: int
    failed: int
    retransmissions: int
    exit_code: int
    messages: tuple[Logged, ...] = field(repr=False)
    folder: Path

    def received(self, start: str) -> list[Logged]:
        """Messages received whose first line begins so, as `SIP/2.0 608` or `INVITE`, oldest first."""
        return [message for message in self.messages if not message.sent and message.start.startswith(start)]


@dataclass(frozen=True, slots=True)
class Line:
    """A SIPp process's own place, and a folder for everything it writes.

    At `media_port` SIPp sends back what it hears. Its session descriptions name `audio_port` where that is
    not 0, and `codecs`, static payload types in order of preference.
    """

    address: str
    port: int
    folder: Path
    media_port: int = 7000
    audio_port: int = 0
    codecs: str = "8 0"


@dataclass(frozen=True, slots=True)
class Load:
    """How many calls, how fast, how long: every run is bounded.

    `numbers` is a SIPp injection file whose rows `called;caller` replace the two numbers from call to call.
    `core` pins SIPp to one processor; without `trace` no message is kept. Of every hundred messages
    `lost_percent` are lost, both ways.
    """

    calls: int = 1
    per_second: float = 10.0
    pause_ms: int = 200
    deadline_s: float = 30.0
    at_once: int = 0
    numbers: Path | None = None
    core: int | None = None
    trace: bool = True
    lost_percent: int = 0


async def place_calls(
    scenario: Scenario,
    line: Line,
    target: str,
    caller: str,
    called: str,
    load: Load | None = None,
    name: str = "",
    via: tuple[str, int] | None = None,
) -> Result:
    """Call `called` at `target` (address:port) and wait until all are over or `deadline_s` has passed.

    With `via`, messages go to that address and port instead of the target they name.
    """
    load = load or Load()
    parties = ["-s", called, "-key", "caller", caller, "-key", "name", name or caller]
    bound = ["-m", str(load.calls), "-r", f"{load.per_second:g}", "-l", str(load.at_once or load.calls)]
    detour = ["-rsa", f"{via[0]}:{via[1]}"] if via else []
    peer = await _start(scenario, line, load, [target, *parties, *bound, *detour])
    code = await peer.ended(load.deadline_s + 5)
    return _result(peer, line, scenario, code)


class Callee:
    """A SIPp callee that is up. `finish()` lets open calls end and returns its counts."""

    def __init__(self, scenario: Scenario, line: Line, peer: Peer) -> None:
        self._scenario = scenario
        self._line = line
        self._peer = peer

    async def finish(self, deadline_s: float = 10.0) -> Result:
        """Take no more calls, wait for those that are open, and count. May be called once."""
        if self._peer.alive:
            await self._peer.stop(signal.SIGUSR1, deadline_s)
        return _result(self._peer, self._line, self._scenario, await self._peer.ended(1))


@asynccontextmanager
async def answering(scenario: Scenario, line: Line, load: Load | None = None) -> AsyncIterator[Callee]:
    """A SIPp callee, ready when its port is bound, gone when the block is left."""
    peer = await _start(scenario, line, load or Load(deadline_s=110), [])
    try:

        async def bound() -> bool:
            if not peer.alive:
                raise peer.error("ended while starting")
            return udp_bound(line.address, line.port)

        await until(f"UDP {line.address}:{line.port} of SIPp", bound, 5.0)
        yield Callee(scenario, line, peer)
    finally:
        await peer.stop()


async def _start(scenario: Scenario, line: Line, load: Load, arguments: Sequence[str]) -> Peer:
    await asyncio.to_thread(_write, scenario.by_row() if load.numbers else scenario, line.folder)
    own = ["-i", line.address, "-p", str(line.port), "-ci", line.address, "-bind_local"]
    media = ["-mi", line.address, "-mp", str(line.media_port), "-rtp_echo", *_offer(line)]
    rows = ["-inf", str(load.numbers)] if load.numbers else []
    traces = ["-trace_stat", "-stf", "counts.csv", "-trace_err", "-error_file", "errors.log"]
    if load.trace:
        traces += ["-trace_msg", "-message_file", "messages.log"]
    # -aa: it answers what its scenario does not speak of, such as an OPTIONS inside a call
    manner = ["-sf", f"{scenario.name}.xml", "-d", str(load.pause_ms), "-nostdin", "-timer_resol", "1", "-aa"]
    bound = ["-timeout", f"{load.deadline_s:g}s", "-timeout_error", "-buff_size", str(_BUFFER_BYTES)]
    if load.lost_percent:
        bound += ["-lost", str(load.lost_percent)]
    command = ["sipp", *arguments, *own, *media, *rows, *traces, *manner, *bound]
    return await Peer.start("sipp", command, line.folder / "screen.log", cwd=line.folder, core=load.core)


def _offer(line: Line) -> tuple[str, ...]:
    return ("-key", "audio", str(line.audio_port or line.media_port), "-key", "codecs", line.codecs)


def _write(scenario: Scenario, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.log"):
        old.unlink()
    (folder / f"{scenario.name}.xml").write_text(scenario.xml, encoding="utf-8")


def _result(peer: Peer, line: Line, scenario: Scenario, exit_code: int) -> Result:
    """Read the last row of SIPp's statistics and its message log. Raises PeerError where it wrote none."""
    counts = line.folder / "counts.csv"
    rows = counts.read_text(encoding="ascii").rstrip().split("\n") if counts.exists() else []
    if len(rows) < 2:
        raise peer.error(f"wrote no statistics for {scenario.name}, exit code {exit_code}")
    last = dict(zip(rows[0].split(";"), rows[-1].split(";"), strict=False))
    log = line.folder / "messages.log"
    return Result(
        created=int(last["TotalCallCreated"]),
        succeeded=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        exit_code=exit_code,
        messages=read_messages(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else (),
        folder=line.folder,
    )


def read_messages(log: str) -> tuple[Logged, ...]:
    """The messages of a SIPp message log; its remarks on unexpected ones repeat them and are left out."""
    found = []
    for block in log.replace("\r\n", "\n").split(_SEPARATOR)[1:]:
        stamp, _, rest = block.strip("\n").partition("\n")
        what, _, text = rest.partition("\n\n")
        if _STAMP.fullmatch(stamp.strip()) and text:
            found.append(Logged("sent" in what, text))
    return tuple(found)
