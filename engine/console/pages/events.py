"""`/events`: what changed, as server-sent events in the viewer's words."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from engine.bus.topics import AlarmNotice
from engine.console.live import LivePopup, Notice, Topic
from engine.console.services import Services
from engine.console.viewer import Viewer
from engine.console.views import alarm_view, call_view, figures, popup_view
from engine.model.ids import CallId, NumberId

HEARTBEAT_S = 15.0
RETRY_MS = 2000
COUNT_EVERY_S = 1.0
"""How often the day's figures are counted anew, and a list that changes too fast is loaded anew."""
CALLS_AT_ONCE = 40
"""So many changed calls are told one by one; of more the page is told to load its list."""


def routes(services: Services) -> APIRouter:
    router = APIRouter()

    @router.get("/events")
    async def events(
        request: Request,
        topics: Annotated[str, Query(max_length=80)],
        after: Annotated[str, Query(max_length=80)] = "",
        number: Annotated[str, Query(max_length=40)] = "",
        last_event_id: Annotated[str, Header(max_length=80)] = "",
    ) -> Response:
        """`after` is the page's cursor; a browser that comes back names the last event it saw instead."""
        wanted = frozenset(Topic(topic) for topic in topics.split(",") if topic in Topic.__members__.values())
        stream = frames(services, Viewer.of(request), wanted, last_event_id or after, number)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return router


async def frames(
    services: Services, viewer: Viewer, wanted: frozenset[Topic], after: str, number: str
) -> AsyncIterator[bytes]:
    """The stream's frames until the client is cut off or the feed closes; `number` narrows popups."""
    number_id = services.number_id(number) if number else None
    clock = asyncio.get_running_loop().time
    counts_due, counted_at = False, -math.inf
    with services.feed.subscribe(after) as subscription:
        yield f"retry: {RETRY_MS}\n\n".encode()
        while not subscription.closed:
            notices = await subscription.next(COUNT_EVERY_S if counts_due else HEARTBEAT_S)
            if not notices and not counts_due and not subscription.closed:
                yield b": still here\n\n"
            notices = [notice for notice in notices if notice.topic in wanted or notice.topic is Topic.RESET]
            calls = sum(notice.topic is Topic.CALL for notice in notices)
            if calls > CALLS_AT_ONCE:
                yield _frame("reset", services.feed.id_of(notices[-1]), {"key": ""})
                notices = [notice for notice in notices if notice.topic is not Topic.CALL]
            for notice in notices:
                for name, data in await _told(services, viewer, notice, number_id):
                    yield _frame(name, services.feed.id_of(notice), data)
            counts_due = counts_due or calls > 0
            if counts_due and clock() - counted_at >= COUNT_EVERY_S:
                today = await services.calls.today(services.tenant, viewer.midnight(services.now()))
                yield _frame("today", "", {figure.name: figure.value for figure in figures(today, viewer)})
                counts_due, counted_at = False, clock()
            if calls > CALLS_AT_ONCE:
                await asyncio.sleep(COUNT_EVERY_S)


async def _told(
    services: Services, viewer: Viewer, notice: Notice, number_id: NumberId | None
) -> list[tuple[str, Any]]:
    """Names and data of the events for one notice."""
    match notice.topic, notice.body:
        case Topic.CALL, _:
            found = await services.calls.get_call(services.tenant, CallId(notice.key))
            return [("call", call_view(found.call, viewer, services.now()))] if found is not None else []
        case Topic.POPUP, LivePopup() as popup:
            if number_id is not None and popup.number_id != number_id:
                return []
            return [("popup", popup_view(popup.notice, viewer))]
        case Topic.ALARM, AlarmNotice() as alarm:
            return [("alarm", alarm_view(alarm, viewer))]
        case _:
            return [(notice.topic.value, {"key": notice.key})]


def _frame(name: str, event_id: str, data: Any) -> bytes:
    """One event. JSON has no line breaks of its own, so one data line holds it."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{head}data: ".encode() + msgspec.json.encode(data) + b"\n\n"
