"""The driver's end of a phone process."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.model.address import Address
from lab.phones.messages import Observation, Order, Quit


class Missing(Exception):
    """What was waited for did not happen in time."""


class PhoneProcess:
    """One phone: give orders, wait for what it notices. `told` hears every observation as it comes."""

    def __init__(self, name: str, process: Process, told: Callable[[Observation], None]) -> None:
        self.name = name
        self._process = process
        self._told = told
        self.observations: list[Observation] = []
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name=f"phone-{name}")

    @classmethod
    async def start(
        cls, name: str, listen: Address, lines: Path, told: Callable[[Observation], None]
    ) -> PhoneProcess:
        """Spawn it and wait until it listens. Raises Missing."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "lab.phones", name, str(listen), str(lines)),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )
        phone = cls(name, process, told)
        await phone.until("ready", limit_s=30)
        return phone

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            observation = msgspec.json.decode(line, type=Observation)
            self.observations.append(observation)
            self._told(observation)
            self._news.set()
        self._news.set()

    def order(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    @property
    def mark(self) -> int:
        """Where the observations stand now; what comes later can be asked for with `since`."""
        return len(self.observations)

    def seen(self, what: str, since: int = 0) -> list[Observation]:
        return [found for found in self.observations[since:] if found.what == what]

    async def until(self, *what: str, since: int = 0, limit_s: float = 20.0) -> Observation:
        """The first observation of one of these kinds after `since`. Raises Missing."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    for found in self.observations[since:]:
                        if found.what in what:
                            return found
                    if self._reader.done():
                        raise Missing(f"the phone {self.name} is gone")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Missing(f"{self.name}: no {' or '.join(what)} in {limit_s:.0f} s") from None

    async def close(self) -> None:
        if self._process.returncode is None and self._process.stdin is not None:
            try:
                self.order(Quit())
                self._process.stdin.close()
                async with asyncio.timeout(5):
                    await self._process.wait()
            except (TimeoutError, ConnectionError):
                self._process.kill()
                await self._process.wait()
        await asyncio.gather(self._reader, return_exceptions=True)
