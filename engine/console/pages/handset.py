"""What subscribers are shown: the feed of popups, and one subscriber's handset."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from engine.console.numbers import show_number
from engine.console.render import Pages
from engine.console.services import Services
from engine.console.viewer import Viewer
from engine.console.views import BLANK_POPUP, popup_view
from engine.model.ids import NumberId
from scoring.numbers import Number, NumberKind

FEED = 60
SHOWN = 12


def routes(services: Services, pages: Pages) -> APIRouter:
    router = APIRouter()

    @router.get("/handset")
    async def feed(request: Request, number: Annotated[str, Query(max_length=40)] = "") -> Response:
        if number.strip():
            return RedirectResponse(f"/handset/{_known(services, number).display}", 303)
        viewer = Viewer.of(request)
        cursor = services.feed.cursor
        popups = await services.calls.list_popups(services.tenant, limit=FEED)
        views = [popup_view(popup, viewer) for popup in popups]
        return pages.page(
            request,
            "popups.html",
            section="handset",
            cursor=cursor,
            popups=views,
            blank=BLANK_POPUP,
            subscribers=list({view.called_href: view.called for view in views if view.called_href}.items()),
        )

    @router.get("/handset/{number}")
    async def handset(request: Request, number: str) -> Response:
        viewer = Viewer.of(request)
        found = _known(services, number)
        cursor = services.feed.cursor
        popups = await services.calls.list_popups(
            services.tenant, NumberId(services.number_id(found.display)), limit=SHOWN
        )
        return pages.page(
            request,
            "handset.html",
            section="handset",
            cursor=cursor,
            number=found.display,
            shown=show_number(found.display, viewer.t),
            popups=[popup_view(popup, viewer) for popup in popups],
            blank=BLANK_POPUP,
        )

    return router


def _known(services: Services, text: str) -> Number:
    number = services.numbering.normalise(text.strip()[:40])
    if number.kind not in (NumberKind.E164, NumberKind.SHORT_CODE):
        raise HTTPException(422, "number")
    return number
