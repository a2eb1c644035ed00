"""Calls, their timelines, popups and the day's figures, for people to look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from engine.model.ids import CallId, CaseId, EventId, NumberId, RecordingId, TenantId
from engine.model.outcome import Blame, Outcome
from engine.store import tables as t
from engine.store.database import Database
from engine.store.entries import (
    CallDetail,
    CallEntry,
    DissuasionEntry,
    PopupEntry,
    TimelineEvent,
    Today,
)
from engine.store.folding import filled_in
from engine.store.numbers import filed, number_contains, present, with_numbers


class CallRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_calls(
        self,
        tenant: TenantId,
        *,
        limit: int = 50,
        before: CallId | None = None,
        text: str = "",
        action: str = "",
    ) -> list[CallEntry]:
        """Calls, newest first; `before` a call: those older than it, for the next page.

        `text` is part of either number, or a whole call or case id; `action` is that of the verdict.
        """
        c = t.call.c
        statement = _calls(tenant).limit(limit)
        if before is not None:
            last = select(c.started_at).where(c.tenant_id == tenant, c.call_id == before).scalar_subquery()
            statement = statement.where(
                or_(c.started_at < last, (c.started_at == last) & (c.call_id < before))
            )
        if action:
            statement = statement.where(c.action == action)
        if text := text.strip():
            digits = text.replace(" ", "")
            statement = statement.where(
                or_(
                    number_contains(c.calling_id, tenant, digits),
                    number_contains(c.called_id, tenant, digits),
                    c.call_id == text,
                    c.case_id == text,
                )
            )
        async with self._database.read() as connection:
            return [_call(row) for row in await connection.execute(statement)]

    async def get_call(self, tenant: TenantId, call_id: CallId) -> CallDetail | None:
        """One call with all that is filed under it; None when there is no such call."""
        c, e, p, d = t.call.c, t.journal_event.c, t.popup.c, t.dissuasion.c
        async with self._database.read() as connection:
            row = (await connection.execute(_calls(tenant).where(c.call_id == call_id))).one_or_none()
            if row is None:
                return None
            call = _call(row)
            events = await connection.execute(
                select(t.journal_event)
                .where(e.tenant_id == tenant, e.call_id == call_id)
                .order_by(e.at, e.node, e.boot, e.seq)
            )
            popups = await connection.execute(
                _popups(tenant).where(p.call_id == call_id).order_by(p.at, p.popup_id)
            )
            dissuasions = await connection.execute(
                with_numbers(t.dissuasion, tenant, "called_id").where(d.call_id == call_id)
            )
            case_calls = await connection.execute(
                _calls(tenant).where(c.case_id == call.case_id, c.call_id != call_id)
            )
            return CallDetail(
                call,
                tuple(_event(event) for event in events),
                tuple(_popup(popup) for popup in popups),
                next((_dissuasion(ended) for ended in dissuasions), None),
                tuple(_call(other) for other in case_calls)[::-1],
            )

    async def list_popups(
        self, tenant: TenantId, number_id: NumberId | None = None, limit: int = 50
    ) -> list[PopupEntry]:
        """Popups, newest first: everybody's, or those to one subscriber."""
        p = t.popup.c
        statement = _popups(tenant).order_by(p.at.desc(), p.popup_id.desc()).limit(limit)
        if number_id is not None:
            statement = statement.where(p.called_id == number_id)
        async with self._database.read() as connection:
            return [_popup(row) for row in await connection.execute(statement)]

    async def today(self, tenant: TenantId, since: datetime) -> Today:
        """The figures since an instant (the console gives the start of the tenant's day).

        - calls: calls that began since then, inbound and outbound; dissuasion calls are not counted;
        - rejected, labelled, warned: those of them whose verdict was reject, label, warn, whatever anybody
          did next;
        - dissuaded: dissuasion calls that ended since then with the outcome `dissuaded`.
        """
        c, d = t.call.c, t.dissuasion.c

        def verdict(action: str) -> ColumnElement[int]:
            return func.count().filter(c.action == action)

        async with self._database.read() as connection:
            calls, rejected, labelled, warned = (
                await connection.execute(
                    select(func.count(), verdict("reject"), verdict("label"), verdict("warn")).where(
                        c.tenant_id == tenant, c.started_at >= since, c.direction != "dissuasion"
                    )
                )
            ).one()
            dissuaded = await connection.scalar(
                select(func.count()).where(d.tenant_id == tenant, d.at >= since, d.outcome == "dissuaded")
            )
        return Today(calls, rejected, labelled, warned, dissuaded or 0)


def _calls(tenant: TenantId) -> Select[Any]:
    c = t.call.c
    return with_numbers(t.call, tenant, "calling_id", "called_id").order_by(
        c.started_at.desc(), c.call_id.desc()
    )


def _popups(tenant: TenantId) -> Select[Any]:
    return with_numbers(t.popup, tenant, "calling_id", "called_id")


def _call(row: Row[Any]) -> CallEntry:
    return CallEntry(
        tenant=TenantId(row.tenant_id),
        call_id=CallId(row.call_id),
        node=row.node,
        direction=row.direction,
        trunk=row.trunk,
        calling=filed(row, "calling_id"),
        called=filed(row, "called_id"),
        started_at=row.started_at,
        action=row.action,
        rule=row.rule,
        reason=row.reason,
        level=row.level,
        label=row.label,
        policy_version=row.policy_version,
        table_version=row.table_version,
        shadow_action=row.shadow_action,
        appeal_code=row.appeal_code,
        stage=row.stage,
        answered=row.answered,
        ended_at=row.ended_at,
        outcome=Outcome(Blame(row.blame), row.outcome) if row.blame else None,
        status=row.status,
        duration_ms=row.duration_ms,
        case_id=None if row.case_id is None else CaseId(row.case_id),
        recording_id=None if row.recording_id is None else RecordingId(row.recording_id),
    )


def _event(row: Row[Any]) -> TimelineEvent:
    return TimelineEvent(EventId(row.node, row.boot, row.seq), row.at, row.kind, row.detail)


def _popup(row: Row[Any]) -> PopupEntry:
    calling, called = present(row, "calling_id"), present(row, "called_id")
    return PopupEntry(
        popup_id=row.popup_id,
        call_id=CallId(row.call_id),
        at=row.at,
        popup=row.popup,
        called=called,
        calling=calling,
        text={
            language: filled_in(text, calling.number, called.number) for language, text in row.text.items()
        },
        sip_result=row.sip_result,
        bus_result=row.bus_result,
    )


def _dissuasion(row: Row[Any]) -> DissuasionEntry:
    return DissuasionEntry(
        call_id=CallId(row.call_id),
        case_id=CaseId(row.case_id),
        called=present(row, "called_id"),
        at=row.at,
        outcome=row.outcome,
        script=row.script,
    )
