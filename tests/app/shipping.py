"""A folder of journals that are shipped into a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from engine.app.shipping import Shipping
from engine.journal import Journal
from engine.model.events import Alarm, Record
from engine.model.ids import TenantId
from engine.store.store import Store

LAB = TenantId("lab")
PATIENCE_S = 20.0
STARTED_AT = 1_700_000_000.0


class World:
    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.shipped: list[str] = []
        self.alarms: list[str] = []
        self.shipping = Shipping(folder, store, LAB, self._new, lambda slug, _: self.alarms.append(slug))
        self._changed = asyncio.Event()
        self._journals: list[Journal] = []
        self._task: asyncio.Task[None] | None = None

    def _new(self, records: Sequence[Record]) -> None:
        self.shipped += [record.event.detail for record in records if isinstance(record.event, Alarm)]
        self._changed.set()

    def node(self, name: str) -> Journal:
        journal = Journal(self.folder, name, STARTED_AT)
        self._journals.append(journal)
        return journal

    def start(self) -> None:
        self._task = asyncio.create_task(self.shipping.run())

    async def until(self, details: list[str]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while sorted(self.shipped) != sorted(details):
                self._changed.clear()
                await self._changed.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        await self.stop()
        self.shipping.close()
        for journal in self._journals:
            await asyncio.to_thread(journal.close)


def tell(journal: Journal, *details: str) -> None:
    journal.extend(LAB, [(Alarm(slug="test", detail=detail), STARTED_AT) for detail in details])
