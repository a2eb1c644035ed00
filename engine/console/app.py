"""The application: every page, behind one guard."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from engine.console import errors
from engine.console.pages import about, call, card, events, handset, live, metrics, recording, risk
from engine.console.render import STATIC, Pages
from engine.console.requests import RequestCount
from engine.console.security import Guard
from engine.console.services import Services


class _Static(StaticFiles):
    """Assets are checked for change on each use; pages name them with their version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(services: Services) -> FastAPI:
    """The console as an ASGI application. AssetsMissing before `python -m engine.console.build`.

    Call `services.feed.close()` before the server stops: it ends the event streams.
    """
    pages = Pages()

    async def refuse(scope: Scope, status: int, slug: str) -> Response:
        return errors.error_page(Request(scope), pages, status, slug)

    app = FastAPI(
        title="Ringward",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[Middleware(RequestCount, counts=services.requests), Middleware(Guard, refuse=refuse)],
    )
    errors.install(app, pages)
    app.mount("/static", _Static(directory=STATIC), name="static")
    for module in (live, call, handset, risk, recording):
        app.include_router(module.routes(services, pages))
    app.include_router(events.routes(services))
    app.include_router(metrics.routes(services))
    app.include_router(card.routes(services))
    app.include_router(about.routes(pages))
    return app
