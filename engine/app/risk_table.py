"""Changes of the risk table: first the store, which keeps and audits them, then the file the workers read."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from engine.console.services import RiskRefused
from engine.model.ids import TenantId
from engine.store.entries import NewRisk, Replaced, RiskEntry
from engine.store.risk import RiskRepository
from scoring.numbers import Numbering, RiskRow, Source
from scoring.numbers.hot_delta import current_version
from scoring.numbers.hot_format import TableError, expiry_seconds
from scoring.numbers.hot_publish import OutdatedError, change, publish
from scoring.numbers.number import text_key
from scoring.numbers.risk_csv import CsvProblem, csv_origin, load_csv

_REBUILDS_MAX: Final = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an import did: to the store, to the file (its version), and the lines it left out."""

    replaced: Replaced
    version: int
    problems: tuple[CsvProblem, ...]


class RiskTable:
    """The risk table of one tenant. File work is done in threads; the event loop never waits for a disk."""

    def __init__(
        self,
        risk: RiskRepository,
        tenant: TenantId,
        path: Path,
        numbering: Numbering,
        now: Callable[[], datetime],
    ) -> None:
        self._risk = risk
        self._tenant = tenant
        self._path = path
        self._numbering = numbering
        self._now = now

    async def load(self, csv: Path, by: str, configured: bool = False) -> Loaded:
        """Make the imported rows exactly those of the file; rows of other sources stay.

        `configured` says that it is the file the configuration names: an engine that starts later sees that
        the table takes it in. Lines that cannot be used are left out and returned. Raises RiskRefused, and
        changes nothing, for a file without a usable header; OSError for one that cannot be read.
        """
        rows, problems = await asyncio.to_thread(load_csv, csv, self._numbering, self._tenant)
        if problems and not rows:
            raise RiskRefused("\n".join(map(str, problems)))
        new = [
            NewRisk(
                number=row.number,
                level=row.level,
                action=row.action,
                reason=row.reason,
                source=Source.IMPORT,
                expires=row.expires,
                evidence=csv.name,
                confirmed_by=by,
            )
            for row in rows
        ]
        replaced = await self._risk.replace_source(self._tenant, Source.IMPORT, new, by=by, now=self._now())
        origin = (
            await asyncio.to_thread(csv_origin, csv, self._numbering, self._tenant) if configured else None
        )
        return Loaded(replaced, await self.rebuild(origin), tuple(problems))

    async def rebuild(self, origin: str | None = None) -> int:
        """Build the file anew from the store and swap it in; returns its version. `origin`: see `publish`.

        Raises OutdatedError when others built the file again and again in the meantime.
        """
        for tried in range(1, _REBUILDS_MAX + 1):
            seen = await asyncio.to_thread(current_version, self._path)
            async with self._risk.snapshot(self._tenant) as (_, rows):
                table = [row async for row in rows]
            try:
                return await asyncio.to_thread(publish, table, self._path, self._now(), seen, origin)
            except OutdatedError:
                if tried == _REBUILDS_MAX:
                    raise
        raise AssertionError("the last try returns or raises")

    async def add(self, new: NewRisk, by: str) -> None:
        """Add a row, or change the one its source has for this number. Raises RiskRefused."""
        await self.put(new, by)

    async def put(self, new: NewRisk, by: str) -> RiskEntry:
        """As `add`; returns the row."""
        try:
            # Before the store has it: what it keeps must be buildable.
            text_key(new.number)
            expiry_seconds(new.expires)
        except ValueError as error:
            raise RiskRefused(str(error)) from None
        entry = await self._risk.put(self._tenant, new, by=by, now=self._now())
        await self._tell([entry.row], [])
        return entry

    async def remove(self, number: str, source: Source, by: str, reason: str) -> None:
        """Remove the row of one source for exactly this number or prefix. Raises RiskRefused."""
        if not await self.remove_all(number, by, reason, source):
            raise RiskRefused(f"{source} has no row for this number any more")

    async def remove_all(
        self, number: str, by: str, reason: str, source: Source | None = None
    ) -> list[RiskEntry]:
        """Remove the rows for exactly this number or prefix, of one source or of all; returns them."""
        gone = await self._risk.remove(self._tenant, number, by=by, now=self._now(), source=source)
        for entry in gone:
            _log.info("risk row %d removed by %s: %s", entry.row.row, by, reason)
        await self._tell([], [(self._tenant, entry.row.row) for entry in gone])
        return gone

    async def _tell(self, puts: list[RiskRow], drops: list[tuple[str, int]]) -> None:
        """Tell the workers, in small changes or, where they have become many, by a new file."""
        try:
            await asyncio.to_thread(change, self._path, self._now(), puts, drops)
        except TableError as error:
            _log.error("the hot table is built anew from the store: %s", error)
            await self.rebuild()
