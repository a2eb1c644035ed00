"""Pages that show no data: help, the appeal page of a blocked caller, and the viewer's preferences."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from engine.console import words
from engine.console.i18n import LANGUAGES
from engine.console.render import Pages
from engine.console.security import local_path
from engine.console.viewer import THEMES, Viewer

YEAR_S = 365 * 24 * 3600


def routes(pages: Pages) -> APIRouter:
    router = APIRouter()

    @router.get("/help")
    async def help_page(request: Request) -> Response:
        t = Viewer.of(request).t
        shown = ("reject", "warn", "label", "allow", "protected")
        return pages.page(
            request,
            "help.html",
            section="help",
            verdicts=[(name, t(words.VERDICTS[name]), words.VERDICT_TONES[name]) for name in shown],
        )

    @router.get("/appeal")
    async def appeal(request: Request, code: Annotated[str, Query(max_length=64)] = "") -> Response:
        valid = re.fullmatch(r"[0-9A-Za-z-]{4,40}", code) is not None
        return pages.page(request, "appeal.html", code=code if valid else "")

    @router.post("/preferences")
    async def preferences(
        back: Annotated[str, Form(max_length=2000)] = "/",
        language: Annotated[str, Form()] = "",
        theme: Annotated[str, Form()] = "",
    ) -> Response:
        response = RedirectResponse(local_path(back), 303)
        for name, value, allowed in (("language", language, LANGUAGES), ("theme", theme, THEMES)):
            if value in allowed:
                response.set_cookie(name, value, max_age=YEAR_S, samesite="lax", httponly=True)
        return response

    return router
