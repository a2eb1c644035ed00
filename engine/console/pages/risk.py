"""The risk table: who is on it, why, and changes by people."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from engine.console import words
from engine.console.i18n import Translator
from engine.console.numbers import show_number
from engine.console.render import Pages
from engine.console.services import RiskRefused, Services
from engine.console.viewer import Viewer
from engine.console.words import Tone, word
from engine.store.entries import NewRisk, RiskChange, RiskEntry
from scoring.numbers import Action, Level, NumberKind, Source

PAGE_ROWS: Final = 50
EXPIRY_DAYS: Final = (1, 7, 30, 90, 365)
SLUG: Final = "^[a-z][a-z0-9_]{0,59}$"


@dataclass(frozen=True, slots=True)
class RiskView:
    pattern: str
    shown: str
    level_text: str
    level_tone: Tone
    action: str
    action_text: str
    reason_text: str
    source: str
    source_text: str
    evidence: str
    confirmed_by: str
    expires: datetime | None
    last_day: datetime | None
    """The last moment it counts: a date typed as the last day is shown as that day."""
    expired: bool
    created_at: datetime
    updated_at: datetime
    row: int


@dataclass(frozen=True, slots=True)
class ChangeView:
    at: datetime
    by: str
    what_text: str
    lines: tuple[tuple[str, str, str], ...]
    """Field, before, after."""
    version: int


def routes(services: Services, pages: Pages) -> APIRouter:
    router = APIRouter()

    @router.get("/risk")
    async def table(
        request: Request,
        text: Annotated[str, Query(max_length=80)] = "",
        level: Annotated[str, Query(pattern="^(red|yellow|green)?$")] = "",
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    ) -> Response:
        viewer = Viewer.of(request)
        t = viewer.t
        found = await services.risk.search_numbers(
            services.tenant, text, level, PAGE_ROWS, (page - 1) * PAGE_ROWS
        )
        return pages.page(
            request,
            "risk.html",
            section="risk",
            rows=[risk_view(entry, viewer, services.now()) for entry in found.entries],
            total=found.total,
            first=(page - 1) * PAGE_ROWS + 1,
            page=page,
            pages=max(1, -(-found.total // PAGE_ROWS)),
            text=text,
            level=level,
            levels=[(slug, t(name), words.LEVEL_TONES[slug]) for slug, name in words.LEVELS.items()],
            actions=[(action.value, t(words.ACTIONS[action])) for action in _OFFERED],
            expiry_days=EXPIRY_DAYS,
            version=await services.risk.version(services.tenant),
        )

    @router.get("/risk/number/{number}")
    async def number(request: Request, number: str) -> Response:
        viewer = Viewer.of(request)
        pattern = _pattern(services, number)
        why = await services.risk.why(services.tenant, pattern)
        return pages.page(
            request,
            "risk_number.html",
            section="risk",
            pattern=pattern,
            shown=show_pattern(pattern, viewer.t),
            entries=[risk_view(entry, viewer, services.now()) for entry in why.entries],
            changes=[change_view(change, viewer) for change in why.changes],
        )

    @router.post("/risk/add")
    async def add(
        number: Annotated[str, Form(max_length=40)],
        level: Annotated[Level, Form()],
        by: Annotated[str, Form(max_length=80)],
        reason: Annotated[str, Form(pattern=SLUG)],
        action: Annotated[str, Form(pattern="^(allow|label|warn|reject)?$")] = "",
        evidence: Annotated[str, Form(max_length=500)] = "",
        days: Annotated[int, Form()] = 30,
    ) -> Response:
        pattern = _pattern(services, number)
        by = " ".join(by.split())
        if not by or days not in (0, *EXPIRY_DAYS):
            raise HTTPException(422, "risk")
        new = NewRisk(
            number=pattern,
            level=level,
            action=Action(action) if action else None,
            reason=reason,
            source=Source.PERSON,
            expires=services.now() + timedelta(days=days) if days else None,
            evidence=" ".join(evidence.split()),
            confirmed_by=by,
        )
        try:
            await services.risk_service.add(new, by)
        except RiskRefused as refused:
            raise HTTPException(409, f"refused:{refused}") from None
        return RedirectResponse(f"/risk/number/{pattern}", 303)

    @router.post("/risk/remove")
    async def remove(
        number: Annotated[str, Form(max_length=40)],
        source: Annotated[Source, Form()],
        by: Annotated[str, Form(max_length=80)],
        reason: Annotated[str, Form(max_length=300)],
    ) -> Response:
        pattern = _pattern(services, number)
        by, reason = " ".join(by.split()), " ".join(reason.split())
        if not by or not reason:
            raise HTTPException(422, "risk")
        try:
            await services.risk_service.remove(pattern, source, by, reason)
        except RiskRefused as refused:
            raise HTTPException(409, f"refused:{refused}") from None
        return RedirectResponse(f"/risk/number/{pattern}", 303)

    @router.get("/risk.csv")
    async def export() -> Response:
        day = services.now().strftime("%Y%m%d")
        return StreamingResponse(
            _csv(services),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="risk-{services.tenant}-{day}.csv"'},
        )

    return router


_OFFERED: Final = (Action.REJECT, Action.WARN, Action.LABEL, Action.ALLOW)


def _pattern(services: Services, text: str) -> str:
    """A number in canonical text, or a prefix such as +8617*; HTTPException for anything else."""
    text = text.strip()
    if text.endswith("*"):
        prefix = text[:-1].replace(" ", "")
        digits = prefix.removeprefix("+")
        if digits.isascii() and digits.isdigit() and 0 < len(digits) <= 15:
            return f"{prefix}*"
        raise HTTPException(422, "number")
    found = services.numbering.normalise(text)
    if found.kind in (NumberKind.ANONYMOUS, NumberKind.UNKNOWN):
        raise HTTPException(422, "number")
    return found.display


def show_pattern(pattern: str, t: Translator) -> str:
    return pattern if pattern.endswith("*") else show_number(pattern, t)


def risk_view(entry: RiskEntry, viewer: Viewer, now: datetime) -> RiskView:
    t, row = viewer.t, entry.row
    return RiskView(
        pattern=row.number,
        shown=show_pattern(row.number, t),
        level_text=word(words.LEVELS, row.level, t),
        level_tone=words.LEVEL_TONES.get(row.level, "grey"),
        action=row.action or "",
        action_text=word(words.ACTIONS, row.action or "", t),
        reason_text=word(words.REASONS, row.reason, t),
        source=row.source.value,
        source_text=word(words.SOURCES, row.source, t),
        evidence=entry.evidence,
        confirmed_by=entry.confirmed_by or "",
        expires=row.expires,
        last_day=row.expires - timedelta(seconds=1) if row.expires is not None else None,
        expired=row.expires is not None and row.expires <= now,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        row=row.row,
    )


_FIELDS: Final = ("level", "action", "reason", "source", "expires", "evidence", "confirmed_by")


def change_view(change: RiskChange, viewer: Viewer) -> ChangeView:
    t = viewer.t
    before, after = change.before or {}, change.after or {}
    lines = []
    for field in _FIELDS:
        old, new = (_field(field, state.get(field), viewer) for state in (before, after))
        if old != new:
            lines.append((t(words.RISK_FIELDS[field]), old, new))
    return ChangeView(change.at, change.by, word(words.CHANGES, change.what, t), tuple(lines), change.version)


def _field(field: str, value: object, viewer: Viewer) -> str:
    if value is None or value == "":
        return ""
    known = {"level": words.LEVELS, "action": words.ACTIONS, "reason": words.REASONS, "source": words.SOURCES}
    if field == "expires":
        return viewer.time(datetime.fromisoformat(str(value)), "datetime")
    return word(known[field], str(value), viewer.t) if field in known else str(value)


async def _csv(services: Services) -> AsyncIterator[bytes]:
    """The table as `ringward table load` reads it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("number", "level", "action", "reason", "expires"))
    async with services.risk.snapshot(services.tenant) as (_, rows):
        async for row in rows:
            expires = row.expires.isoformat() if row.expires else ""
            writer.writerow((row.number, row.level.value, row.action or "", row.reason, expires))
            if out.tell() > 1 << 15:
                yield out.getvalue().encode()
                out.seek(0)
                out.truncate()
    yield out.getvalue().encode()
