"""The live list of calls, its figures, banners and the kill switch."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from engine.console import words
from engine.console.render import Pages
from engine.console.services import Services
from engine.console.viewer import Viewer
from engine.console.views import BLANK_CALL, CallView, alarm_view, call_view, figures
from engine.model.ids import CallId

PAGE_CALLS = 100
SWITCH_MINUTES = (15, 60, 240, 1440)
VERDICT_FILTERS = ("", "reject", "warn", "label", "allow")

Verdict = Annotated[str, Query(pattern="^(reject|warn|label|allow)?$")]
Text = Annotated[str, Query(max_length=80)]
Before = Annotated[str, Query(max_length=80)]


def routes(services: Services, pages: Pages) -> APIRouter:
    router = APIRouter()

    async def load(viewer: Viewer, verdict: str, text: str, before: str) -> tuple[list[CallView], str]:
        """A page of calls, and the query of the next, "" after the last."""
        calls = await services.calls.list_calls(
            services.tenant,
            limit=PAGE_CALLS + 1,
            before=CallId(before) if before else None,
            text=text,
            action=verdict,
        )
        shown = [call_view(call, viewer, services.now()) for call in calls[:PAGE_CALLS]]
        older = _query(verdict=verdict, text=text, before=shown[-1].id) if len(calls) > PAGE_CALLS else ""
        return shown, older

    @router.get("/")
    async def live(request: Request, verdict: Verdict = "", text: Text = "", before: Before = "") -> Response:
        viewer = Viewer.of(request)
        t = viewer.t
        cursor = services.feed.cursor
        calls, older = await load(viewer, verdict, text, before)
        today = await services.calls.today(services.tenant, viewer.midnight(services.now()))
        choices = [("", t("All"), "")] + [
            (name, t(words.VERDICTS[name]), words.VERDICT_TONES[name]) for name in VERDICT_FILTERS if name
        ]
        return pages.page(
            request,
            "live.html",
            section="live",
            calls=calls,
            blank=BLANK_CALL,
            cursor=cursor,
            older=older,
            newest_query=_query(verdict=verdict, text=text),
            streams=not before,
            narrowed=bool(verdict or text or before),
            verdict=verdict,
            text=text,
            verdict_choices=choices,
            figures=figures(today, viewer),
            switch=services.switches.state(),
            alarms=[alarm_view(alarm, viewer) for alarm in services.feed.alarms],
        )

    @router.get("/calls.json")
    async def calls_json(request: Request, verdict: Verdict = "", text: Text = "") -> Response:
        """The list as the script loads it: after a change of the filter, or when it missed too much."""
        calls, older = await load(Viewer.of(request), verdict, text, "")
        return _json({"calls": calls, "more": bool(older)})

    @router.post("/kill-switch")
    async def kill_switch(
        on: Annotated[str, Form(pattern="^(yes|no)$")],
        by: Annotated[str, Form(max_length=80)],
        reason: Annotated[str, Form(max_length=300)],
        minutes: Annotated[int, Form()] = 60,
    ) -> Response:
        by, reason = " ".join(by.split()), " ".join(reason.split())
        if not by or not reason or minutes not in SWITCH_MINUTES:
            raise HTTPException(422, "switch")
        if on == "yes":
            services.switches.turn_on(by, reason, services.now() + timedelta(minutes=minutes))
        else:
            services.switches.turn_off(by, reason)
        return RedirectResponse("/", 303)

    @router.post("/alarms/seen")
    async def alarms_seen() -> Response:
        services.feed.acknowledge_alarms()
        return RedirectResponse("/", 303)

    return router


def _query(**values: str) -> str:
    given = {name: value for name, value in values.items() if value}
    return f"?{urlencode(given)}" if given else ""


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
