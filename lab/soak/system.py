"""Broker, centre and engine as the processes they are, each of which can be hurt by its process id."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, select

from engine.app.keys import bus_key_path, load_keys
from engine.journal import JournalReader
from engine.model.events import Alarm, Record
from engine.store.database import Database
from engine.store.tables import call as call_table
from engine.store.tables import journal_event
from lab.peers.process import Peer
from lab.peers.ringward import CHECKOUT, Site

READY_S = 60.0
_RINGWARD = Path(sys.executable).with_name("ringward")


class System:
    """One of each, writing only under `folder`. The store is SQLite there, or what `store_url` names."""

    def __init__(self, site: Site, folder: Path, ports: tuple[int, int], store_url: str = "") -> None:
        """`ports` are the broker's and the console's, on loopback."""
        self.site = site
        self.folder = folder
        self.data = folder / "data"
        self.store_url = store_url or f"sqlite+aiosqlite:///{self.data / 'store.sqlite'}"
        self._broker_at = f"127.0.0.1:{ports[0]}"
        self._settings = {
            **site.settings(),
            "data.folder": str(self.data),
            "store.url": self.store_url,
            "bus.url": f"mqtt://{self._broker_at}",
            "bus.embedded": self._broker_at,
            "console.port": str(ports[1]),
            "sip.drain_s": "0",
        }
        self.broker: Peer
        self.centre: Peer
        self.engine: Peer

    async def start(self, **settings: str) -> None:
        """Raises PeerError, with whatever had started still running: `stop` ends it."""
        self._set(settings)
        load_keys(self.data)
        await self.start_broker()
        self.centre = await self._part("console", "centre")
        await self.start_engine()

    async def start_engine_alone(self, **settings: str) -> None:
        """Without broker and centre: nothing is shipped."""
        self._set({"bus__url": "", **settings})
        await self.start_engine()

    def _set(self, settings: Mapping[str, str]) -> None:
        """Dots of keys as two underscores."""
        self._settings |= {key.replace("__", "."): value for key, value in settings.items()}
        self.data.mkdir(parents=True)

    async def start_broker(self) -> None:
        command: list[str | Path] = [sys.executable, "-m", "engine.bus.broker", self._broker_at]
        command.append(bus_key_path(self.data))
        self.broker = await Peer.start("broker", command, self.folder / "broker.log", cwd=CHECKOUT)
        await self.broker.said("listening", READY_S)

    async def start_engine(self) -> None:
        self.engine = await self._part("engine", "engine")

    async def _part(self, command: str, name: str) -> Peer:
        sets = [word for key, value in self._settings.items() for word in ("--set", f"{key}={value}")]
        config = ["--config", str(CHECKOUT / "lab" / "loopback.toml")]
        peer = await Peer.start(
            name, [_RINGWARD, command, *config, *sets], self.folder / f"{name}.log", cwd=CHECKOUT
        )
        await peer.said("listening", READY_S)
        return peer

    async def stop(self) -> None:
        for name in ("engine", "centre", "broker"):
            peer: Peer | None = getattr(self, name, None)
            if peer is not None:
                await peer.stop(grace_s=20.0)

    # --- what can be found out ---

    def media_worker(self) -> int:
        """Its process id. Raises LookupError while there is none."""
        children = Path(f"/proc/{self.engine.pid}/task/{self.engine.pid}/children").read_text().split()
        for child in map(int, children):
            if b"engine.media.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
        raise LookupError("the engine has no media worker")

    def kill_media_worker(self, how: signal.Signals) -> int:
        pid = self.media_worker()
        os.kill(pid, how)
        return pid

    def journal(self) -> list[Record]:
        """Every record that the engine's journals hold, oldest first."""
        found: list[Record] = []
        for path in sorted(self.data.glob("journal/*.sqlite")):
            with closing(JournalReader(path)) as reader:
                cursor = 0
                while rows := reader.after(cursor, limit=1_000):
                    cursor = rows[-1][0]
                    found += [record for _, records in rows for record in records]
        return found

    def alarms(self) -> list[str]:
        """Slugs of the alarms in the journals."""
        return [record.event.slug for record in self.journal() if isinstance(record.event, Alarm)]

    async def stored(self) -> list[tuple[str, int, int]]:
        """(node, boot, seq) of every event in the store."""
        event = journal_event.c
        rows = await self._rows(event.node, event.boot, event.seq)
        return [(str(row.node), int(row.boot), int(row.seq)) for row in rows]

    async def stored_calls(self) -> list[tuple[str, bool, str]]:
        """(call id, whether it has ended, outcome) of every call in the store."""
        call = call_table.c
        rows = await self._rows(call.call_id, call.ended_at, call.outcome)
        return [(str(row.call_id), row.ended_at is not None, str(row.outcome)) for row in rows]

    async def _rows(self, *columns: ColumnElement[Any]) -> list[Row[Any]]:
        database = Database(self.store_url)
        try:
            async with database.read() as connection:
                return list(await connection.execute(select(*columns)))
        finally:
            await database.close()

    async def all_stored(self, limit_s: float = 30.0) -> None:
        """Wait until the store has as many events as the journals. Raises TimeoutError."""
        async with asyncio.timeout(limit_s):
            while True:
                if len(await self.stored()) >= len(await asyncio.to_thread(self.journal)):
                    return
                await asyncio.sleep(0.2)
