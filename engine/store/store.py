"""The store as others see it: one object with the repositories."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from sqlalchemy import select

from engine.model.events import Record
from engine.model.ids import TenantId
from engine.store import tables as t
from engine.store.calls import CallRepository
from engine.store.database import Database
from engine.store.entries import LeadRule
from engine.store.leads import LeadRepository
from engine.store.projection import Projection
from engine.store.recordings import JobRepository, RecordingRepository
from engine.store.risk import FileNumber, RiskRepository


class Store:
    """An open database, its schema up to date.

    An SQLite file is the centre's; a command that opens it too must be brief, since writers wait for each
    other for ten seconds at most. PostgreSQL is for any number of processes.
    """

    def __init__(self, database: Database, file_number: FileNumber, lead_rule: LeadRule) -> None:
        self._database = database
        self._projection = Projection(database, lead_rule)
        self.calls: Final = CallRepository(database)
        self.recordings: Final = RecordingRepository(database)
        self.jobs: Final = JobRepository(database)
        self.leads: Final = LeadRepository(database)
        self.risk: Final = RiskRepository(database, file_number)

    @classmethod
    async def open(cls, url: str, *, file_number: FileNumber, lead_rule: LeadRule | None = None) -> Store:
        """Connect to `url` (sqlite+aiosqlite:///… or postgresql+asyncpg://…) and migrate.

        Raises SQLAlchemy's errors where the database cannot be reached.
        """
        database = Database(url)
        try:
            await database.migrate()
        except BaseException:
            await database.close()
            raise
        return cls(database, file_number, lead_rule or LeadRule())

    async def ship(self, records: Sequence[Record]) -> list[Record]:
        """Apply journal records in one transaction; returns those that had not been applied before."""
        return await self._projection.ship(records)

    async def ship_from(
        self, tenant: TenantId, node: str, journal_id: str, row: int, records: Sequence[Record]
    ) -> list[Record]:
        """As `ship`, and remember in the same transaction that this journal is shipped up to `row`."""
        async with self._database.write() as connection:
            new = await self._projection.apply(connection, records)
            statement = self._database.insert(t.shipper_cursor).values(
                tenant_id=tenant, node=node, journal_id=journal_id, row=row
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["tenant_id", "node", "journal_id"], set_={"row": row}
                )
            )
        return new

    async def shipped(self, tenant: TenantId, node: str, journal_id: str) -> int:
        """The last row of a journal that has been shipped; 0 before the first."""
        c = t.shipper_cursor.c
        async with self._database.read() as connection:
            row = await connection.scalar(
                select(c.row).where(c.tenant_id == tenant, c.node == node, c.journal_id == journal_id)
            )
        return row or 0

    async def close(self) -> None:
        await self._database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
