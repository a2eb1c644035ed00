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


def ask(leg: Leg, dialog: Dialog, request: Request, handler: ResponseHandler) -> ClientKey:
    """Send `request` inside `dialog`; each answer to a challenge takes the next CSeq number."""
    wire, identity, attempt = leg.wire, leg.identity(), Attempt()
    flow = wire.flow_for(dialog, leg.flow)
    key: ClientKey

    def heard(response: Response | None, failure: str) -> None:
        nonlocal key
        if response is None or not challenged(response) or not identity.learn(response, attempt):
            handler(response, failure)
            return
        dialog.local_cseq += 1
        again = wire.request(identity.dress(asked_again(request, dialog.local_cseq)), flow, heard)
        leg.rekeyed(key, again)
        key = again

    key = wire.request(identity.dress(request), flow, heard)
    return key
