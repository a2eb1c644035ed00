"""INVITE with Replaces: who asks to take the place of a leg that is up (RFC 3891 §3)."""

from __future__ import annotations

from collections.abc import Mapping

from engine.call.admission import unsupported
from engine.call.call import Call
from engine.call.calls import Calls
from engine.call.capabilities import Refusal
from engine.call.legs import IncomingLeg, Leg
from engine.call.transfer import replace
from engine.call.wire import Wire
from engine.model.trunk_sections import TrunkSection
from engine.sip.effects import ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.message import Request, response_to
from engine.sip.replaces import Replaces


class Newcomers:
    """Of one core's calls."""

    __slots__ = ("_calls", "_trunks", "_wire")

    def __init__(self, wire: Wire, calls: Calls, trunks: Mapping[str, TrunkSection]) -> None:
        self._wire = wire
        self._calls = calls
        self._trunks = trunks

    def asked(self, key: ServerKey, request: Request, flow: Flow, trunk: str) -> None:
        """Into a call of the same trunk, where that may; nobody is called, so nobody is screened."""
        found: tuple[Call, Leg] | None = None
        try:
            replaces = Replaces.parse(request.rows("Replaces")[0])
            found = self._calls.find(replaces.call_id, replaces.to_tag, replaces.from_tag)
            refusal = unsupported(request, protected=False) or self._refusal(replaces, found, trunk)
        except RemoteProtocolError as error:
            refusal = error.status_hint, ()
        if refusal is not None or found is None:
            self._wire.answer(key, request, *(refusal or (481, ())))
            return
        call, old = found
        self._wire.respond(key, response_to(request, 100))
        replace(call, old, IncomingLeg(self._wire, old.role, flow, call.listener, key, request), trunk)

    def _refusal(self, replaces: Replaces, found: tuple[Call, Leg] | None, trunk: str) -> Refusal | None:
        if not self._trunks[trunk].refer:
            return 603, ()
        if found is None or found[1].trunk != trunk:
            return 481, ()
        return (486, ()) if replaces.early_only else None  # dialogs that others may name are confirmed
