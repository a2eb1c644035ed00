"""What is said when a request cannot be answered as asked."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from engine.console.i18n import N_
from engine.console.render import Pages
from engine.console.viewer import Viewer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    title: str
    text: str


_FAULTS: Final = {
    "call": Fault(
        N_("This call is not stored"),
        N_("There is no call with this id. A call that began a moment ago may take a second to appear."),
    ),
    "recording": Fault(N_("This recording is not stored"), N_("There is no recording with this id.")),
    "deleted": Fault(
        N_("This recording has been deleted"),
        N_("Its sound was erased, at the end of its retention or on request. The chain still says so."),
    ),
    "number": Fault(
        N_("This is not a number"),
        N_("Give a number as it is dialled, such as +8613800138000, or a prefix with *, such as +8617*."),
    ),
    "switch": Fault(
        N_("Blocking was not changed"),
        N_("A name, a reason and an end are needed. Nothing has been changed."),
    ),
    "risk": Fault(
        N_("The risk table was not changed"), N_("A name and a reason are needed. Nothing has been changed.")
    ),
    "refused": Fault(N_("The risk table was not changed"), N_("The engine refused the change.")),
    "sound": Fault(
        N_("The sound cannot be read"),
        N_("The stored file is damaged or sealed with a key that this console does not have."),
    ),
    "origin": Fault(
        N_("This change did not come from the console"),
        N_(
            "Changes are taken from the console's own pages only. Open the console again and repeat it there."
        ),
    ),
    "host": Fault(
        N_("This name is not the console's"),
        N_("Without sign-in the console answers on this machine's own addresses only, such as 127.0.0.1."),
    ),
    "404": Fault(N_("There is no such page"), N_("The address may be mistyped or from an older version.")),
    "422": Fault(
        N_("This request cannot be read"), N_("A part of it is missing or not of the expected form.")
    ),
    "500": Fault(
        N_("Something went wrong in the console"),
        N_("Calls are not affected. The fault is in the log; reload the page to try again."),
    ),
}


def error_page(
    request: Request,
    pages: Pages,
    status: int,
    slug: str,
    detail: str = "",
    headers: dict[str, str] | None = None,
) -> Response:
    t = Viewer.of(request).t
    fault = _FAULTS.get(slug) or _FAULTS.get(str(status)) or _FAULTS["422" if status < 500 else "500"]
    page = pages.page(
        request,
        "error.html",
        status=status,
        title=t(fault.title),
        text=t(fault.text),
        detail=detail,
        number=status,
    )
    page.headers.update(headers or {})
    return page


def install(app: FastAPI, pages: Pages) -> None:
    """Answer every fault with a page. HTTPException's detail is a slug, or `slug:what exactly`."""

    @app.exception_handler(HTTPException)
    async def known(request: Request, error: HTTPException) -> Response:
        slug, _, detail = str(error.detail).partition(":")
        return error_page(request, pages, error.status_code, slug, detail, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def unreadable(request: Request, error: RequestValidationError) -> Response:
        fields = ", ".join(sorted({str(fault["loc"][-1]) for fault in error.errors()}))
        return error_page(request, pages, 422, "422", fields)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        log.error("console request failed: %s", request.url.path, exc_info=error)
        return error_page(request, pages, 500, "500")
