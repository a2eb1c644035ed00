"""Templates to responses."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from engine.console.client_words import client_words
from engine.console.i18n import LANGUAGES
from engine.console.viewer import Viewer, duration

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
SCRIPT: Final = STATIC / "dist" / "console.js"
STYLE: Final = STATIC / "dist" / "console.css"

environment: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class AssetsMissing(Exception):
    """The script and style sheet have not been built."""


class Pages:
    """Renders pages for a viewer; knows the version of the built assets."""

    def __init__(self) -> None:
        try:
            built = SCRIPT.read_bytes() + STYLE.read_bytes()
        except FileNotFoundError:
            raise AssetsMissing(
                "the console's script and style sheet are not built: run `make assets`"
            ) from None
        self._assets = hashlib.sha256(built).hexdigest()[:12]

    def page(
        self, request: Request, template: str, *, section: str = "", status: int = 200, **values: Any
    ) -> HTMLResponse:
        viewer = Viewer.of(request)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body = environment.get_template(template).render(
            _=viewer.t,
            n_=viewer.t.plural,
            time=viewer.time,
            duration=duration,
            lang=viewer.language,
            theme=viewer.theme,
            zone=viewer.zone_name,
            languages=LANGUAGES,
            client_words=lambda: client_words(viewer.t),
            assets=self._assets,
            section=section,
            here=here if request.method == "GET" else "/",
            **values,
        )
        return HTMLResponse(body, status, headers={"Content-Language": viewer.language, "Vary": "Cookie"})
