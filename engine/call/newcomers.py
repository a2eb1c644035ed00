"""INVITE with Replaces: who asks to take a side of a call that is up (RFC 3891 §3) is screened before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import structs

from engine.call.admission import asks_too_much, screening_request
from engine.call.call import Call
from engine.call.calls import Calls
from engine.call.capabilities import Refusal
from engine.call.gate import REJECTED
from engine.call.legs import IncomingLeg, Leg
from engine.call.popups import Popups
from engine.call.rejects import rejection
from engine.call.replacing import replace
from engine.call.telling import tell_refused, tell_screened
from engine.call.values import CallSettings, Decision, ScreeningRequest, ScreeningRequested
from engine.call.wire import Wire
from engine.model.ids import CallId
from engine.model.screening import Action
from engine.model.trunk_sections import TrunkSection
from engine.sip.effects import ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.message import Request, response_to
from engine.sip.replaces import Replaces
from engine.sip.uri import Uri


@dataclass(slots=True)
class _Newcomer:
    """An INVITE with Replaces that waits for its verdict."""

    key: ServerKey
    request: Request
    flow: Flow
    replaces: Replaces
    asked: ScreeningRequest


class Newcomers:
    """Of one core's calls."""

    __slots__ = ("_by_key", "_calls", "_popups", "_sections", "_settings", "_waiting", "_wire")

    def __init__(
        self,
        wire: Wire,
        calls: Calls,
        popups: Popups,
        settings: CallSettings,
        sections: Mapping[str, TrunkSection],
    ) -> None:
        self._wire = wire
        self._calls = calls
        self._popups = popups
        self._settings = settings
        self._sections = sections
        self._waiting: dict[CallId, _Newcomer] = {}
        self._by_key: dict[ServerKey, CallId] = {}

    def asked(self, key: ServerKey, request: Request, flow: Flow, trunk: str) -> None:
        """Into a call of the same trunk, where that may; `decided` goes on, once screening has seen it.

        Who joins a call for help is not asked about.
        """
        try:
            replaces = Replaces.parse(request.rows("Replaces")[0])
            found = self._found(replaces, trunk)
            refusal = self._refusal(replaces, found, trunk)
        except RemoteProtocolError as error:
            found, refusal = None, (error.status_hint, ())
        if refusal is not None or found is None:
            self._wire.answer(key, request, *(refusal or (481, ())))
            return
        call, old = found
        newcomer = _Newcomer(key, request, flow, replaces, self._question(request, trunk, call, old))
        if call.decision.protected:
            self._let_in(newcomer, call, old, protected=True)
            return
        call_id = CallId(self._wire.ids.token())
        self._waiting[call_id] = newcomer
        self._by_key[key] = call_id
        self._wire.effects.append(ScreeningRequested(call_id, newcomer.asked))

    def cancelled(self, key: ServerKey) -> None:
        """It wants in no more (RFC 3261 §9.2)."""
        call_id = self._by_key.pop(key, None)
        if call_id is not None:
            self._wire.answer(key, self._waiting.pop(call_id).request, 487)

    def decided(self, call_id: CallId, decision: Decision) -> None:
        """The verdict on a newcomer; nothing happens when none of that id is waiting.

        A block is a call of its own that was refused, without an announcement. In a call that is up nobody
        can be warned or shown a label any more: who stays gets the popup.
        """
        newcomer = self._waiting.pop(call_id, None)
        if newcomer is None:
            return
        del self._by_key[newcomer.key]
        refusal = asks_too_much(newcomer.request, protected=decision.protected)
        if refusal is not None:
            self._wire.answer(newcomer.key, newcomer.request, *refusal)
            return
        if decision.action is Action.REJECT:
            self._refuse(call_id, newcomer, decision)
            return
        found = self._found(newcomer.replaces, newcomer.asked.trunk)
        if found is None:  # it is over by now
            self._wire.answer(newcomer.key, newcomer.request, 481)
            return
        self._popups.deliver(found[0].call_id, decision, newcomer.asked.called)
        self._let_in(newcomer, *found, protected=decision.protected)

    def _refuse(self, call_id: CallId, newcomer: _Newcomer, decision: Decision) -> None:
        request, asked = newcomer.request, newcomer.asked
        trunk = self._sections[asked.trunk]
        tell_screened(self._wire, call_id, trunk, asked, decision, request.call_id)
        final = rejection(decision, trunk.reject, self._settings.redress)
        tag = self._wire.ids.tag()
        response = response_to(request, final.status, final.phrase, to_tag=tag, headers=final.headers)
        self._wire.respond(newcomer.key, response)
        tell_refused(self._wire, call_id, final.status, REJECTED)
        self._popups.deliver(call_id, decision, asked.called)

    def _let_in(self, newcomer: _Newcomer, call: Call, old: Leg, *, protected: bool) -> None:
        key, request = newcomer.key, newcomer.request
        self._wire.respond(key, response_to(request, 100))
        leg = IncomingLeg(
            wire=self._wire,
            role=old.role,
            flow=newcomer.flow,
            listener=call.listener,
            key=key,
            invite=request,
        )
        replace(call, old, leg, newcomer.asked, protected=protected)

    def _found(self, replaces: Replaces, trunk: str) -> tuple[Call, Leg] | None:
        """The call and the leg whose place is asked for, which must be of the same trunk."""
        found = self._calls.find(replaces.call_id, replaces.to_tag, replaces.from_tag)
        return found if found is not None and found[1].trunk == trunk else None

    def _refusal(self, replaces: Replaces, found: tuple[Call, Leg] | None, trunk: str) -> Refusal | None:
        if not self._sections[trunk].refer:
            return 603, ()
        if found is None:
            return 481, ()
        if found[0].asked is None:  # the engine's own call
            return 603, ()
        return (486, ()) if replaces.early_only else None  # dialogs that others may name are confirmed

    def _question(self, request: Request, trunk: str, call: Call, old: Leg) -> ScreeningRequest:
        """A call to who stays: whom the request names is reached by nobody."""
        asked = call.asked
        assert asked is not None
        called = asked.called if old is call.caller else asked.calling
        return structs.replace(
            screening_request(request, trunk, trusted=self._sections[trunk].trusted_identity),
            called=called,
            request_uri=str(Uri("sip", called, self._settings.contact.host)),
        )

    def __len__(self) -> int:
        return len(self._waiting)
