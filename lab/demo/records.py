"""What the system itself says of a call: its journal, and its console's JSON."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from engine.journal import JournalReader
from engine.model.events import AnyEvent, CallEnded, CallScreened, CallStarted, Event, Record
from lab.demo.phones import Missing

E = TypeVar("E", bound=Event)
POLL_S = 0.05


class JournalTail:
    """Reads the engine's journal as it grows."""

    def __init__(self, folder: Path, told: Callable[[Record], None]) -> None:
        self._folder = folder
        self._told = told
        self._reader: JournalReader | None = None
        self._row = 0
        self.records: list[Record] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            self.poll()

    def poll(self) -> None:
        if self._reader is None:
            path = next(iter(self._folder.glob("journal-*.sqlite")), None)
            if path is None:
                return
            try:
                self._reader = JournalReader(path)
            except FileNotFoundError:
                return
        for row, records in self._reader.after(self._row):
            self._row = row
            for record in records:
                self.records.append(record)
                self._told(record)

    @property
    def mark(self) -> int:
        self.poll()
        return len(self.records)

    def find(self, kind: type[E], since: int, call_id: str | None = None) -> E | None:
        for record in self.records[since:]:
            event: AnyEvent = record.event
            if isinstance(event, kind) and call_id in (None, getattr(event, "call_id", None)):
                return event
        return None

    async def until(self, kind: type[E], since: int, call_id: str | None = None, limit_s: float = 20.0) -> E:
        """The first such event after `since`. Raises Missing."""
        for _ in range(round(limit_s / POLL_S)):
            found = self.find(kind, since, call_id)
            if found is not None:
                return found
            await asyncio.sleep(POLL_S)
        raise Missing(f"no {kind.__name__} in the journal in {limit_s:.0f} s")

    async def call(self, since: int, limit_s: float = 20.0) -> tuple[CallStarted, CallScreened, CallEnded]:
        """The next call after `since`, from its beginning to its end."""
        started = await self.until(CallStarted, since, limit_s=limit_s)
        screened = await self.until(CallScreened, since, started.call_id, limit_s)
        ended = await self.until(CallEnded, since, started.call_id, limit_s)
        return started, screened, ended

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


class Console:
    """The console's own JSON, over HTTP."""

    def __init__(self, base: str) -> None:
        self._base = base

    async def json(self, path: str) -> Any:
        """Raises OSError, also for any status but 200."""
        return msgspec.json.decode(await asyncio.to_thread(self._get, path))

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._base + path, timeout=10) as answer:  # noqa: S310 (our own, on loopback)
            body: bytes = answer.read()
            return body


class PopupStream:
    """The console's event stream as a handset page hears it; notes when each popup arrived."""

    def __init__(self, host: str, port: int, clock: Callable[[], float]) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self.arrived: list[tuple[float, str]] = []
        """(monotonic seconds, JSON of the event)."""
        self.ready = asyncio.Event()

    async def run(self, number: str) -> None:
        """Until cancelled or the console is gone."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        path = f"/events?topics=popup&number={quote(number)}"
        head = f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAccept: text/event-stream\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        kind = ""
        try:
            while line := await reader.readline():
                self.ready.set()
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if text.startswith("event:"):
                    kind = text.removeprefix("event:").strip()
                elif text.startswith("data:") and kind == "popup":
                    self.arrived.append((self._clock(), text.removeprefix("data:").strip()))
        finally:
            writer.close()
