"""Journals into the store: every journal of this host's data folder, as they grow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from engine.journal import JournalDamaged, JournalReader
from engine.model.events import Record
from engine.model.ids import TenantId
from engine.store.shipper import Shipper
from engine.store.store import Store

IDLE_S = 0.25
"""Without a wake-up from the bus the journals are looked at so often."""
RETRY_S = 2.0
STORE_S = 30.0
"""A store that has not taken a batch by then hangs: tried anew, on another connection."""

_log = logging.getLogger(__name__)


class Shipping:
    """Tails the journals in `folder`; `on_shipped` gets what is newly in the store, in order.

    `on_alarm(slug, detail)` is told `store_failing` once, and `store_recovered` when it takes events again.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        tenant: TenantId,
        on_shipped: Callable[[Sequence[Record]], None],
        on_alarm: Callable[[str, str], None] = lambda slug, detail: None,
    ) -> None:
        self._folder = folder
        self._store = store
        self._tenant = tenant
        self._on_shipped = on_shipped
        self._on_alarm = on_alarm
        self._failing = False
        self._shippers: dict[Path, tuple[JournalReader, Shipper]] = {}
        self._troubles: dict[Path, str] = {}
        """What has been told of journals that cannot be read."""
        self._wake = asyncio.Event()
        self.shipped = 0
        """Events brought into the store."""
        self.delay_s = 0.0
        """How old the last of them was then."""

    def wake(self) -> None:
        """A journal has grown."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. A store or journal that fails is tried again; nothing is skipped."""
        while True:
            try:
                shipped = await self._round()
            except (SQLAlchemyError, OSError) as error:
                self._failed(error)
                await asyncio.sleep(RETRY_S)
                continue
            if not shipped:
                await self._idle()

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            what = str(error) or type(error).__name__
            _log.error("nothing is shipped, tried again every %.0f s: %s", RETRY_S, what)
            self._on_alarm("store_failing", what)

    def _took(self) -> None:
        if self._failing:
            self._failing = False
            _log.warning("the store takes events again")
            self._on_alarm("store_recovered", "what waited in the journals is being stored")

    async def _round(self) -> bool:
        shipped = False
        for path in sorted(self._folder.glob("journal-*.sqlite")):
            try:
                shipper = self._shipper(path)
            except FileNotFoundError:
                continue  # its node is just making it
            except (OSError, sqlite3.Error) as error:
                self._journal_failed(path, error)
                continue
            try:
                async with asyncio.timeout(STORE_S):
                    new = await shipper.ship_next()
            except JournalDamaged as error:
                self._journal_failed(path, error)
                continue
            self._troubles.pop(path, None)
            if new is not None:
                shipped = True
                self._took()
                self._note(new)
                self._on_shipped(new)
        return shipped

    def _journal_failed(self, path: Path, error: Exception) -> None:
        """Told once; the others are shipped all the same."""
        if self._troubles.get(path) != str(error):
            _log.error("%s is not shipped: %s", path.name, error)
        self._troubles[path] = str(error)

    def _note(self, new: Sequence[Record]) -> None:
        if new:
            self.shipped += len(new)
            self.delay_s = max(0.0, time.time() - new[-1].at)

    def behind(self) -> dict[str, int]:
        """Node → rows of its journal that are not in the store. Reads the journals: not for an event loop."""
        found: dict[str, int] = {}
        for reader, shipper in list(self._shippers.values()):
            with contextlib.suppress(JournalDamaged):
                found[reader.node] = max(0, reader.newest() - shipper.cursor)
        return found

    def _shipper(self, path: Path) -> Shipper:
        """Raises FileNotFoundError, or sqlite3.Error for what is no journal."""
        if path not in self._shippers:
            reader = JournalReader(path)
            self._shippers[path] = (reader, Shipper(reader, self._store, self._tenant))
        return self._shippers[path][1]

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def close(self) -> None:
        for reader, _ in self._shippers.values():
            reader.close()
