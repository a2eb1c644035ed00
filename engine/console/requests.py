"""How many requests each page had, by what became of them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST"})

Requests = dict[tuple[str, str, str], int]
"""Method, route ("/calls/{call_id}") and class of the status ("2xx") → requests."""


class RequestCount:
    """ASGI middleware around all others. Labels are bounded: what matches no route of ours is "other"."""

    def __init__(self, app: ASGIApp, counts: Requests) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"])
            await send(message)

        await self._app(scope, receive, counted)

    def _count(self, scope: Scope, status: int) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER
        key = (method, getattr(scope.get("route"), "path", OTHER), f"{status // 100}xx")
        self._counts[key] = self._counts.get(key, 0) + 1
