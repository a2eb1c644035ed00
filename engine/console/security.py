"""What the console asks of every request, and adds to every response.

There are no accounts yet, so the console answers loopback names only: a page of another site that
re-binds its own name to 127.0.0.1 gets nothing (Host), and cannot change anything (Origin).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK: Final = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with it browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

Refuse = Callable[[Scope, int, str], Awaitable[Response]]
"""Makes the page for a refused request from its scope, status and slug."""


class Guard:
    """ASGI middleware; not BaseHTTPMiddleware, which would sit between a stream and its reader."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        fault = refusal(scope["method"], Headers(scope=scope))
        if fault is None:
            await self._app(scope, receive, guarded)
        else:
            response = await self._refuse(scope, *fault)
            await response(scope, receive, guarded)


def refusal(method: str, headers: Headers) -> tuple[int, str] | None:
    """Status and slug of why a request is refused, or None."""
    host = headers.get("host", "")
    if _LOOPBACK.fullmatch(host) is None:
        return 421, "host"
    if method not in _SAFE_METHODS:
        origin = headers.get("origin")
        if origin is None or origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            return 403, "origin"
    return None


def local_path(target: str) -> str:
    """A path of this console to go back to; "/" when `target` would lead elsewhere."""
    if re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", target) is None:
        return "/"
    return target
