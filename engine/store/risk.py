"""The risk table: what is held against numbers, by whom, why, and who changed it when.

Every change raises the tenant's table version and leaves a line in the audit, in the same transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.model.ids import NumberId, TenantId
from engine.store import tables as t
from engine.store.database import Database
from engine.store.entries import NewRisk, Replaced, RiskChange, RiskEntry, RiskPage, Why
from scoring.numbers import Action, Level, RiskRow, Source

_STREAM_ROWS: Final = 2_000

FileNumber = Callable[[TenantId, str], NumberId]
"""The keyed id of a number in canonical text, or of a prefix with its final `*`."""


class RiskRepository:
    def __init__(self, database: Database, file_number: FileNumber) -> None:
        self._database = database
        self._file_number = file_number

    async def replace_source(
        self, tenant: TenantId, source: Source, rows: Iterable[NewRisk], *, by: str, now: datetime
    ) -> Replaced:
        """Make the rows of one source exactly these; those of other sources stay.

        Of several rows for one number the last counts. Rows that did not change keep their row id and time.
        """
        wanted: dict[str, NewRisk] = {}
        for new in rows:
            if new.source is not source:
                raise ValueError(f"{new.number}: source is {new.source}, not {source}")
            wanted[new.number] = new
        r = t.risk_number.c
        async with self._database.write() as connection:
            version = await self._raise_version(connection, tenant)
            found = await connection.execute(
                select(t.risk_number).where(r.tenant_id == tenant, r.source == source.value)
            )
            present = {row.pattern: row for row in found}
            added = [new for number, new in wanted.items() if number not in present]
            changed = [
                (present[number], new)
                for number, new in wanted.items()
                if number in present and _values(new) != _stored(present[number])
            ]
            removed = [row for number, row in present.items() if number not in wanted]
            if not (added or changed or removed):
                await connection.rollback()
                return Replaced(0, 0, 0, len(wanted), version - 1)
            await self._add(connection, tenant, version, added, by, now)
            await self._change(connection, tenant, version, changed, by, now)
            await self._remove(connection, tenant, version, removed, by, now)
        return Replaced(
            len(added), len(changed), len(removed), len(wanted) - len(added) - len(changed), version
        )

    async def put(self, tenant: TenantId, new: NewRisk, *, by: str, now: datetime) -> RiskEntry:
        """Add a row, or change the one that the same source has for this number."""
        r = t.risk_number.c
        async with self._database.write() as connection:
            version = await self._raise_version(connection, tenant)
            statement = select(t.risk_number).where(
                r.tenant_id == tenant, r.pattern == new.number, r.source == new.source.value
            )
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                await self._add(connection, tenant, version, [new], by, now)
            else:
                await self._change(connection, tenant, version, [(row, new)], by, now)
            return _entry((await connection.execute(statement)).one())

    async def remove(
        self, tenant: TenantId, number: str, *, by: str, now: datetime, source: Source | None = None
    ) -> list[RiskEntry]:
        """Remove the rows for exactly this number or prefix, of one source or of all; returns them."""
        r = t.risk_number.c
        statement = select(t.risk_number).where(r.tenant_id == tenant, r.pattern == number)
        if source is not None:
            statement = statement.where(r.source == source.value)
        async with self._database.write() as connection:
            version = await self._raise_version(connection, tenant)
            rows = (await connection.execute(statement)).all()
            if not rows:
                await connection.rollback()
                return []
            await self._remove(connection, tenant, version, rows, by, now)
        return [_entry(row) for row in rows]

    async def version(self, tenant: TenantId) -> int:
        """Raised by every change; 0 for a tenant that has no table."""
        async with self._database.read() as connection:
            return await _version(connection, tenant)

    @asynccontextmanager
    async def snapshot(self, tenant: TenantId) -> AsyncIterator[tuple[int, AsyncIterator[RiskRow]]]:
        """The table's version and all its rows of one moment, streamed: what the hot file is built from."""
        r = t.risk_number.c
        async with self._database.read() as connection:
            version = await _version(connection, tenant)
            statement = select(t.risk_number).where(r.tenant_id == tenant).order_by(r.row_id)
            async with connection.stream(statement.execution_options(yield_per=_STREAM_ROWS)) as found:
                yield version, (_row(row) async for rows in found.partitions() for row in rows)

    async def search_numbers(
        self, tenant: TenantId, text: str = "", level: str = "", limit: int = 50, offset: int = 0
    ) -> RiskPage:
        """Rows whose number, reason or source contains the text, newest change first, with their count."""
        r = t.risk_number.c
        found = [r.tenant_id == tenant]
        if text := text.strip():
            found.append(
                or_(
                    r.pattern.contains(text.replace(" ", ""), autoescape=True),
                    r.reason.contains(text, autoescape=True),
                    r.source == text,
                )
            )
        if level:
            found.append(r.level == level)
        async with self._database.read() as connection:
            total = await connection.scalar(select(func.count()).select_from(t.risk_number).where(*found))
            rows = await connection.execute(
                select(t.risk_number)
                .where(*found)
                .order_by(r.updated_at.desc(), r.row_id.desc())
                .limit(limit)
                .offset(offset)
            )
            return RiskPage(tuple(_entry(row) for row in rows), total or 0)

    async def why(self, tenant: TenantId, number: str) -> Why:
        """What the table says about a number in canonical text, prefixes that cover it included.

        Of a prefix itself (final `*`): its own rows.
        """
        patterns = [number]
        if not number.endswith("*"):
            patterns += [f"{number[:end]}*" for end in range(len(number), 0, -1)]
        r, c = t.risk_number.c, t.risk_change.c
        ids = [self._file_number(tenant, pattern) for pattern in patterns]
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(t.risk_number).where(r.tenant_id == tenant, r.pattern.in_(patterns))
            )
            changes = await connection.execute(
                select(t.risk_change)
                .where(c.tenant_id == tenant, c.number_id.in_(ids))
                .order_by(c.version.desc(), c.row_id)
            )
            return Why(
                tuple(
                    _entry(row)
                    for row in sorted(rows, key=lambda row: (patterns.index(row.pattern), row.row_id))
                ),
                tuple(_change(change) for change in changes),
            )

    async def _raise_version(self, connection: AsyncConnection, tenant: TenantId) -> int:
        statement = self._database.insert(t.risk_table).values(tenant_id=tenant, version=1)
        version = await connection.scalar(
            statement.on_conflict_do_update(
                index_elements=["tenant_id"], set_={"version": t.risk_table.c.version + 1}
            ).returning(t.risk_table.c.version)
        )
        assert isinstance(version, int)
        return version

    async def _add(
        self,
        connection: AsyncConnection,
        tenant: TenantId,
        version: int,
        rows: Sequence[NewRisk],
        by: str,
        now: datetime,
    ) -> None:
        if not rows:
            return
        added = await connection.execute(
            t.risk_number.insert().returning(t.risk_number.c.row_id, t.risk_number.c.pattern),
            [
                {
                    "tenant_id": tenant,
                    "pattern": new.number,
                    "number_id": self._file_number(tenant, new.number),
                    **_values(new),
                    "created_at": now,
                    "updated_at": now,
                }
                for new in rows
            ],
        )
        row_ids = {row.pattern: row.row_id for row in added}
        await self._audit(
            connection,
            tenant,
            version,
            by,
            now,
            "add",
            [
                (row_ids[new.number], self._file_number(tenant, new.number), None, _audited(_values(new)))
                for new in rows
            ],
        )

    async def _change(
        self,
        connection: AsyncConnection,
        tenant: TenantId,
        version: int,
        rows: Sequence[tuple[Row[Any], NewRisk]],
        by: str,
        now: datetime,
    ) -> None:
        if not rows:
            return
        await connection.execute(
            update(t.risk_number).where(t.risk_number.c.row_id == bindparam("_row_id")),
            [{"_row_id": row.row_id, **_values(new), "updated_at": now} for row, new in rows],
        )
        await self._audit(
            connection,
            tenant,
            version,
            by,
            now,
            "change",
            [
                (row.row_id, row.number_id, _audited(_stored(row)), _audited(_values(new)))
                for row, new in rows
            ],
        )

    async def _remove(
        self,
        connection: AsyncConnection,
        tenant: TenantId,
        version: int,
        rows: Sequence[Row[Any]],
        by: str,
        now: datetime,
    ) -> None:
        if not rows:
            return
        await connection.execute(
            delete(t.risk_number).where(t.risk_number.c.row_id == bindparam("_row_id")),
            [{"_row_id": row.row_id} for row in rows],
        )
        await self._audit(
            connection,
            tenant,
            version,
            by,
            now,
            "remove",
            [(row.row_id, row.number_id, _audited(_stored(row)), None) for row in rows],
        )

    async def _audit(
        self,
        connection: AsyncConnection,
        tenant: TenantId,
        version: int,
        by: str,
        now: datetime,
        what: str,
        lines: Iterable[tuple[int, str, dict[str, Any] | None, dict[str, Any] | None]],
    ) -> None:
        await connection.execute(
            t.risk_change.insert(),
            [
                {
                    "tenant_id": tenant,
                    "version": version,
                    "number_id": number_id,
                    "row_id": row_id,
                    "at": now,
                    "by": by,
                    "what": what,
                    "before": before,
                    "after": after,
                }
                for row_id, number_id, before, after in lines
            ],
        )


async def _version(connection: AsyncConnection, tenant: TenantId) -> int:
    v = t.risk_table.c
    return await connection.scalar(select(v.version).where(v.tenant_id == tenant)) or 0


def _values(new: NewRisk) -> dict[str, Any]:
    return {
        "level": new.level.value,
        "action": None if new.action is None else new.action.value,
        "reason": new.reason,
        "source": new.source.value,
        "evidence": new.evidence,
        "expires": new.expires,
        "confirmed_by": new.confirmed_by,
    }


def _stored(row: Row[Any]) -> dict[str, Any]:
    """The same columns of a row that exists."""
    names = ("level", "action", "reason", "source", "evidence", "expires", "confirmed_by")
    return {name: row._mapping[name] for name in names}


def _audited(values: dict[str, Any]) -> dict[str, Any]:
    """What the audit keeps of a row: not the evidence, whose free text may name numbers."""
    kept = {name: value for name, value in values.items() if name != "evidence"}
    return kept | {"expires": kept["expires"] and kept["expires"].isoformat()}


def _row(row: Row[Any]) -> RiskRow:
    return RiskRow(
        tenant=row.tenant_id,
        number=row.pattern,
        level=Level(row.level),
        action=None if row.action is None else Action(row.action),
        reason=row.reason,
        expires=row.expires,
        source=Source(row.source),
        row=row.row_id,
        confirmed=row.confirmed_by is not None,
    )


def _entry(row: Row[Any]) -> RiskEntry:
    return RiskEntry(
        row=_row(row),
        number_id=NumberId(row.number_id),
        evidence=row.evidence,
        confirmed_by=row.confirmed_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _change(row: Row[Any]) -> RiskChange:
    return RiskChange(row.version, row.row_id, row.at, row.by, row.what, row.before, row.after)
