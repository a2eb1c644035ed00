"""Requests of a leg that has credentials: a challenge is answered, and the leg hears of the end only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.call.credentials import Attempt, asked_again, challenged
from engine.call.wire import ResponseHandler
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey
from engine.sip.message import Request, Response

if TYPE_CHECKING:
    from engine.call.leg import Leg


class Asking:
    """One request inside `dialog`; each answer to a challenge takes the next CSeq number."""

    __slots__ = ("_attempt", "_dialog", "_handler", "_leg", "_request", "key")

    def __init__(self, leg: Leg, dialog: Dialog, request: Request, handler: ResponseHandler) -> None:
        self._leg = leg
        self._dialog = dialog
        self._request = request
        self._handler = handler
        self._attempt = Attempt()
        self.key: ClientKey = self._send(request)

    def _send(self, request: Request) -> ClientKey:
        leg = self._leg
        flow = leg.wire.flow_for(self._dialog, leg.flow)
        return leg.wire.request(leg.identity().dress(request), flow, self._heard)

    def _heard(self, response: Response | None, failure: str) -> None:
        leg = self._leg
        if response is None or not challenged(response) or not leg.identity().learn(response, self._attempt):
            self._handler(response, failure)
            return
        self._dialog.local_cseq += 1
        before, self.key = self.key, self._send(asked_again(self._request, self._dialog.local_cseq))
        leg.rekeyed(before, self.key)
