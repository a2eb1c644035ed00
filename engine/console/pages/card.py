"""Cards for callers whose call was blocked, as the Call-Info of the 608 names them (RFC 8688)."""

from __future__ import annotations

import re

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from engine.console.cards import CERTIFICATE
from engine.console.services import Services


def routes(services: Services) -> APIRouter:
    router = APIRouter()
    cards = services.cards

    @router.get(f"/jcard/{CERTIFICATE}")
    async def certificate() -> Response:
        return Response(cards.certificate(), media_type="application/pem-certificate-chain")

    @router.get("/jcard/{code}")
    async def card(code: str) -> Response:
        """Of any code that could be one: it is not looked up, so that nobody can try codes out here."""
        if not cards.offered or re.fullmatch(r"[A-Z2-7]{4}-[A-Z2-7]{4}", code) is None:
            raise HTTPException(404)
        return Response(cards.card(code, services.now()), media_type="application/jose")

    return router
