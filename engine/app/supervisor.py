"""`ringward up`: starts the processes in order, restarts one that dies, stops them in the opposite order.

Children are spawned, never forked, and die with the supervisor. Each prints one line when it is ready.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass

READY_WORD = b"listening"
READY_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0
RESTART_AFTER_S = 0.5
RESTART_AFTER_MOST_S = 30.0
STEADY_S = 30.0
"""Up for so long, the next restart is a quick one again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running: `arguments` follow the Python interpreter."""

    name: str
    arguments: tuple[str, ...]


class ChildFailed(Exception):
    """A child did not become ready; its own message has gone to standard error."""


class Supervisor:
    """Keeps children running. `say` gets their ready lines and what else they print."""

    def __init__(
        self,
        children: Sequence[Child],
        say: Callable[[str], None],
        *,
        ready_limit_s: float = READY_LIMIT_S,
        stop_limit_s: float = STOP_LIMIT_S,
        hurry: asyncio.Event | None = None,
        restart_after_s: float = RESTART_AFTER_S,
    ) -> None:
        self._children = children
        self._say = say
        self._ready_limit_s = ready_limit_s
        self._stop_limit_s = stop_limit_s
        self._hurry = hurry or asyncio.Event()
        self._restart_after_s = restart_after_s
        self._running: dict[str, Process] = {}
        self._stopping = False
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start each when the one before is ready. Raises ChildFailed, with none left running."""
        try:
            for child in self._children:
                process = await self._spawn(child)
                self._keepers.append(asyncio.create_task(self._keep(child, process), name=child.name))
        except ChildFailed:
            await self.stop()
            raise

    def pid(self, name: str) -> int | None:
        process = self._running.get(name)
        return process.pid if process is not None and process.returncode is None else None

    async def stop(self) -> None:
        """SIGTERM in the opposite order, each waited for; SIGKILL for one that does not end.

        When `hurry` is set, each gets a second one.
        """
        self._stopping = True
        for child in reversed(self._children):
            process = self._running.get(child.name)
            if process is None or process.returncode is not None:
                continue
            process.send_signal(signal.SIGTERM)
            hurrying = asyncio.create_task(self._hurry_up(process))
            try:
                async with asyncio.timeout(self._stop_limit_s):
                    await process.wait()
            except TimeoutError:
                _log.error("%s did not end in %.0f s and was killed", child.name, self._stop_limit_s)
                process.kill()
                await process.wait()
            finally:
                hurrying.cancel()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _hurry_up(self, process: Process) -> None:
        await self._hurry.wait()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)

    async def _spawn(self, child: Child) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *child.arguments,
            stdout=PIPE,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is ours to handle, in order
        )
        self._running[child.name] = process
        assert process.stdout is not None
        if not self._stopping:  # otherwise it began while this one was waiting or being made
            try:
                async with asyncio.timeout(self._ready_limit_s):
                    while line := await process.stdout.readline():
                        self._say(line.decode("utf-8", "replace").rstrip())
                        if READY_WORD in line:
                            return process
                    await process.wait()
            except TimeoutError:
                pass
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise ChildFailed(f"{child.name} did not start (exit code {process.returncode})")

    async def _keep(self, child: Child, process: Process) -> None:
        pause_s = self._restart_after_s
        loop = asyncio.get_running_loop()
        while not self._stopping:
            started = loop.time()
            await self._drain(process)
            if self._stopping:
                return
            if loop.time() - started > STEADY_S:
                pause_s = self._restart_after_s
            _log.error("%s ended with code %s; restarted in %.1f s", child.name, process.returncode, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RESTART_AFTER_MOST_S)
            try:
                process = await self._spawn(child)
            except ChildFailed as error:
                _log.error("%s", error)

    async def _drain(self, process: Process) -> None:
        """Until it ends; what it prints beside its ready line is passed on."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._say(line.decode("utf-8", "replace").rstrip())
        await process.wait()
