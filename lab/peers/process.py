"""A foreign program as a child: its log, the line it says when ready, its end by process id."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_KEPT_LINES = 2000


class PeerError(Exception):
    """A peer did not start, ended too early, or kept silent; the text has its last words."""


class Peer:
    """One running program. Its output goes to `log` and, line by line, to whoever waits for it.

    The child dies with us (parent-death signal), so a killed test run leaves nothing behind.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self.lines: list[str] = []
        self._process = process
        self._said = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        core: int | None = None,
    ) -> "Peer":
        """Start `command` with both outputs into `log`; `core` pins it to one processor.

        Raises PeerError where the program is not installed.
        """
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        program = shutil.which(str(command[0]), path=path)
        if program is None:
            raise PeerError(f"{name}: no program called {command[0]}")
        pin = ["taskset", "--cpu-list", str(core)] if core is not None else []
        log.parent.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            "setpriv",
            "--pdeathsig",
            "KILL",
            *pin,
            program,
            *map(str, command[1:]),
            cwd=cwd,
            env={**os.environ, **(env or {}), "PATH": path},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The program's own process id: every wrapper before it has replaced itself."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def said(self, text: str, deadline_s: float) -> str:
        """The first line that contains `text`. Raises PeerError at the deadline or where it ends first."""

        def spoken() -> bool:
            return any(text in line for line in self.lines) or self._reader.done()

        try:
            async with asyncio.timeout(deadline_s), self._said:
                await self._said.wait_for(spoken)
        except TimeoutError:
            raise self.error(f"did not say {text!r} within {deadline_s:g} s") from None
        for line in self.lines:
            if text in line:
                return line
        raise self.error(f"ended before it said {text!r}")

    async def ended(self, deadline_s: float) -> int:
        """Its exit code (negative for a signal). Raises PeerError at the deadline, after killing it."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._reader
                return await self._process.wait()
        except TimeoutError:
            await self.stop(signal.SIGKILL)
            raise self.error(f"did not end within {deadline_s:g} s") from None

    async def stop(self, first: signal.Signals = signal.SIGTERM, grace_s: float = 5.0) -> int:
        """End it: `first`, then SIGKILL after the grace time. Returns the exit code; harmless twice."""
        if self.alive:
            self._signal(first)
            try:
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
            except TimeoutError:
                self._signal(signal.SIGKILL)
        code = await self._process.wait()
        await self._reader
        return code

    def _signal(self, number: signal.Signals) -> None:
        # Not by the process object: it may collect the exit status itself, and the loop then finds none.
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def error(self, what: str) -> PeerError:
        """An error about this program that carries the end of its log."""
        tail = "\n  ".join(self.lines[-15:])
        return PeerError(f"{self.name} {what}; see {self.log}; its last lines:\n  {tail}")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        with self.log.open("ab", buffering=0) as log:
            while chunk := await self._process.stdout.read(65536):
                log.write(chunk)
                *whole, rest = (rest + chunk).split(b"\n")
                self.lines.extend(line.decode("utf-8", "replace") for line in whole)
                del self.lines[:-_KEPT_LINES]
                async with self._said:
                    self._said.notify_all()
        if rest:
            self.lines.append(rest.decode("utf-8", "replace"))
        async with self._said:
            self._said.notify_all()


async def until(what: str, check: Callable[[], Awaitable[bool]], deadline_s: float) -> None:
    """Ask `check` again every 20 ms until it is true. Raises PeerError naming `what` at the deadline."""
    try:
        async with asyncio.timeout(deadline_s):
            while not await check():  # noqa: ASYNC110 - another program's state gives no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise PeerError(f"{what}: not within {deadline_s:g} s") from None


def udp_bound(address: str, port: int) -> bool:
    """Whether some process on this machine has bound this IPv4 address and UDP port (/proc/net/udp)."""
    octets = bytes(map(int, address.split(".")))
    wanted = f"{octets[::-1].hex().upper()}:{port:04X}"
    rows = Path("/proc/net/udp").read_text(encoding="ascii").split("\n")[1:]
    return any(row.split()[1] == wanted for row in rows if row)
