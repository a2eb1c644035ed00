"""Journal records become rows: one transaction per batch, each event once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Table, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.model.events import (
    Alarm,
    CallEnded,
    DissuasionEnded,
    PopupSent,
    Record,
    RecordingClosed,
    RecordingStarted,
)
from engine.model.outcome import Blame
from engine.store import tables as t
from engine.store.database import Database
from engine.store.entries import LeadRule
from engine.store.folding import (
    Row,
    detail,
    empty_call,
    fold_call,
    fold_recording,
    new_job,
    parties,
    popup_row,
)
from engine.store.rules import EPISODE_GAP, lead_due_at, victim_of
from engine.store.types import utc

Key = tuple[str, str]
"""Tenant and the id of a row in it."""

_PROJECTION_LOCK: Final = 0x52494E48
"""PostgreSQL advisory lock: two batches that open a case for one victim must see each other."""
_IN_MAX: Final = 500


class Projection:
    """Applies journal records. Shipping the same records again changes nothing."""

    def __init__(self, database: Database, lead_rule: LeadRule) -> None:
        self._database = database
        self._lead_rule = lead_rule

    async def ship(self, records: Sequence[Record]) -> list[Record]:
        """Apply records, in the order of their ids, and return those that were new."""
        if not records:
            return []
        async with self._database.write() as connection:
            return await self.apply(connection, records)

    async def apply(self, connection: AsyncConnection, records: Sequence[Record]) -> list[Record]:
        """As `ship`, inside a transaction of the caller."""
        if not self._database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PROJECTION_LOCK})
        new = await self._unseen(connection, records)
        if not new:
            return []
        await self._insert(connection, t.journal_event, (_event_row(record) for record in new))
        await self._insert(
            connection,
            t.number,
            {
                (record.tenant, party.id): {
                    "tenant_id": record.tenant,
                    "number_id": party.id,
                    "number": party.number,
                }
                for record in new
                for party in parties(record.event)
            }.values(),
        )
        await self._insert(
            connection, t.popup, (popup_row(r, r.event) for r in new if isinstance(r.event, PopupSent))
        )
        await self._recordings(connection, new)
        calls = await self._calls(connection, new)
        await self._dissuasions(connection, new, calls)
        await self._end_orphans(connection, new)
        return new

    async def _unseen(self, connection: AsyncConnection, records: Sequence[Record]) -> list[Record]:
        by_boot: defaultdict[tuple[str, str, int], dict[int, Record]] = defaultdict(dict)
        for record in records:
            by_boot[record.tenant, record.id.node, record.id.boot][record.id.seq] = record
        e = t.journal_event.c
        for (tenant, node, boot), by_seq in by_boot.items():
            for seqs in _chunks(sorted(by_seq)):
                seen = await connection.execute(
                    select(e.seq).where(
                        e.tenant_id == tenant,
                        e.node == node,
                        e.boot == boot,
                        e.seq.between(seqs[0], seqs[-1]),
                    )
                )
                for (seq,) in seen:
                    by_seq.pop(seq, None)
        return sorted((r for by_seq in by_boot.values() for r in by_seq.values()), key=lambda r: r.id)

    async def _recordings(self, connection: AsyncConnection, new: Sequence[Record]) -> None:
        events = [(r, r.event) for r in new if isinstance(r.event, RecordingStarted | RecordingClosed)]
        rows = await self._load(connection, t.recording, [(r.tenant, e.recording_id) for r, e in events])
        for record, event in events:
            key = (record.tenant, event.recording_id)
            rows[key] = fold_recording(rows.get(key), record, event)
        await self._upsert(connection, t.recording, rows.values())
        await self._insert(
            connection,
            t.transcription_job,
            (
                new_job(record.tenant, event.recording_id, utc(record.at))
                for record, event in events
                if isinstance(event, RecordingClosed) and event.duration_ms > 0
            ),
        )

    async def _calls(self, connection: AsyncConnection, new: Sequence[Record]) -> dict[Key, Row]:
        touched = [(r, call_id) for r in new if (call_id := _call_of(r)) is not None]
        rows = await self._load(connection, t.call, [(r.tenant, call_id) for r, call_id in touched])
        for record, call_id in touched:
            key = (record.tenant, call_id)
            if key not in rows:
                rows[key] = empty_call(record, call_id)
            fold_call(rows[key], record)
        for row in sorted(rows.values(), key=lambda row: (row["started_at"], row["call_id"])):
            await self._file_case(connection, row)
        await self._upsert(connection, t.call, rows.values())
        return rows

    async def _file_case(self, connection: AsyncConnection, row: Row) -> None:
        """Put the call into its victim's case, open one where there is none, and see to the call-back."""
        victim = victim_of(row)
        if victim is None:
            return
        c = t.case.c
        if row["case_id"] is None:
            found = (
                await connection.execute(
                    select(c.case_id, c.last_call_at)
                    .where(
                        c.tenant_id == row["tenant_id"],
                        c.victim_id == victim,
                        c.state == "open",
                        c.last_call_at.between(
                            row["started_at"] - EPISODE_GAP, row["started_at"] + EPISODE_GAP
                        ),
                    )
                    .order_by(c.last_call_at.desc())
                    .limit(1)
                )
            ).one_or_none()
            row["case_id"] = found.case_id if found is not None else f"case-{row['call_id']}"
        await self._insert(
            connection,
            t.case,
            [
                {
                    "tenant_id": row["tenant_id"],
                    "case_id": row["case_id"],
                    "victim_id": victim,
                    "state": "open",
                    "opened_at": row["started_at"],
                    "last_call_at": row["started_at"],
                }
            ],
        )
        await connection.execute(
            update(t.case)
            .where(
                c.tenant_id == row["tenant_id"],
                c.case_id == row["case_id"],
                c.last_call_at < row["started_at"],
            )
            .values(last_call_at=row["started_at"])
        )
        due_at = lead_due_at(row, self._lead_rule)
        if due_at is not None:
            await self._insert(
                connection,
                t.lead,
                [
                    {
                        "tenant_id": row["tenant_id"],
                        "case_id": row["case_id"],
                        "victim_id": victim,
                        "call_id": row["call_id"],
                        "state": "new",
                        "created_at": row["ended_at"],
                        "due_at": due_at,
                        "attempts": 0,
                        "last_outcome": "",
                        "command_id": "",
                    }
                ],
            )

    async def _dissuasions(
        self, connection: AsyncConnection, new: Sequence[Record], calls: dict[Key, Row]
    ) -> None:
        """File how dissuasion calls ended; the lead is done with it.

        A call that ended without an outcome of its own (nobody answered, or the agent failed) counts as not
        reached, so that no lead stays in `calling` for ever.
        """
        lead = t.lead.c
        for record in new:
            event = record.event
            if isinstance(event, DissuasionEnded):
                await self._insert(
                    connection,
                    t.dissuasion,
                    [
                        {
                            "tenant_id": record.tenant,
                            "call_id": event.call_id,
                            "case_id": event.case_id,
                            "called_id": event.called.id,
                            "at": utc(record.at),
                            "outcome": event.outcome,
                            "script": event.script,
                        }
                    ],
                )
                await connection.execute(
                    update(t.lead)
                    .where(lead.tenant_id == record.tenant, lead.case_id == event.case_id)
                    .values(state="done", last_outcome=event.outcome)
                )
            elif isinstance(event, CallEnded):
                row = calls[record.tenant, event.call_id]
                if row["direction"] == "dissuasion" and row["case_id"] is not None:
                    await connection.execute(
                        update(t.lead)
                        .where(
                            lead.tenant_id == record.tenant,
                            lead.case_id == row["case_id"],
                            lead.state == "calling",
                        )
                        .values(state="done", last_outcome="not_reached")
                    )

    async def _end_orphans(self, connection: AsyncConnection, new: Sequence[Record]) -> None:
        """End the calls that died with their process.

        Calls live in memory, and a node's boots follow each other: an event of a new boot tells that every
        call of an earlier one is over. The time is that of the event, the latest it can have been.
        """
        c, lead = t.call.c, t.lead.c
        first_of_boot = {(record.id.node, record.id.boot): record for record in reversed(new)}
        for (node, _), record in first_of_boot.items():
            orphans = (c.node == node) & (c.boot < record.id.boot) & c.ended_at.is_(None)
            found = await connection.execute(
                select(c.tenant_id, c.case_id).where(orphans, c.direction == "dissuasion")
            )
            for tenant, case_id in found.all():
                await connection.execute(
                    update(t.lead)
                    .where(lead.tenant_id == tenant, lead.case_id == case_id, lead.state == "calling")
                    .values(state="done", last_outcome="not_reached")
                )
            await connection.execute(
                update(t.call)
                .where(orphans)
                .values(ended_at=utc(record.at), blame=Blame.ENGINE.value, outcome="internal")
            )

    async def _load(self, connection: AsyncConnection, table: Table, keys: Iterable[Key]) -> dict[Key, Row]:
        """Rows that exist, by tenant and id; the id is the key's second column."""
        by_tenant: defaultdict[str, set[str]] = defaultdict(set)
        for tenant, key in keys:
            by_tenant[tenant].add(key)
        id_column = list(table.primary_key.columns)[1]
        rows: dict[Key, Row] = {}
        for tenant, wanted in by_tenant.items():
            for chunk in _chunks(sorted(wanted)):
                found = await connection.execute(
                    select(table).where(table.c.tenant_id == tenant, id_column.in_(chunk))
                )
                for row in found.mappings():
                    rows[tenant, row[id_column]] = dict(row)
        return rows

    async def _insert(self, connection: AsyncConnection, table: Table, rows: Iterable[Row]) -> None:
        """Insert what is not there yet."""
        values = list(rows)
        if values:
            await connection.execute(self._database.insert(table).on_conflict_do_nothing(), values)

    async def _upsert(self, connection: AsyncConnection, table: Table, rows: Iterable[Row]) -> None:
        """Insert rows, or replace those with the same key."""
        values = list(rows)
        if values:
            statement = self._database.insert(table)
            key = [column.name for column in table.primary_key.columns]
            changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in key}
            await connection.execute(
                statement.on_conflict_do_update(index_elements=key, set_=changed), values
            )


def _event_row(record: Record) -> Row:
    return {
        "tenant_id": record.tenant,
        "node": record.id.node,
        "boot": record.id.boot,
        "seq": record.id.seq,
        "at": utc(record.at),
        "kind": str(record.event.__struct_config__.tag),
        "call_id": getattr(record.event, "call_id", None),
        "detail": detail(record.event),
    }


def _call_of(record: Record) -> str | None:
    """The call an event is part of. An alarm only points at one, which may be of another node."""
    return None if isinstance(record.event, Alarm) else getattr(record.event, "call_id", None)


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _IN_MAX):
        yield items[start : start + _IN_MAX]
