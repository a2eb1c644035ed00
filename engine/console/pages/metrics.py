"""`/metrics`: the centre's figures as Prometheus text. The guard lets in loopback names only."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, HTTPException, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from engine.console.services import Services


def routes(services: Services) -> APIRouter:
    router = APIRouter()
    token = services.config.metrics.token.encode()

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if token and not hmac.compare_digest(given, b"Bearer " + token):
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        if services.metrics is None:
            raise HTTPException(404, "metrics")
        return Response(await services.metrics(), media_type=CONTENT_TYPE_LATEST)

    return router
