"""Calls that come in: held until screening has decided, then refused before any dialog, or put through."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from engine.call.admission import asks_too_much, knows_608, screening_request
from engine.call.attempts import as_it_came
from engine.call.calls import Calls
from engine.call.capabilities import Headers
from engine.call.gate import REJECTED
from engine.call.legs import IncomingLeg
from engine.call.plan import PLAIN, plan_for
from engine.call.popups import Popups
from engine.call.refusals import FinalResponse, no_way
from engine.call.rejects import rejection
from engine.call.telling import tell_refused, tell_screened
from engine.call.trunks import Trunks
from engine.call.values import CallSettings, Decision, ScreeningRequest, ScreeningRequested
from engine.call.wire import Wire
from engine.model.ids import CallId
from engine.model.outcome import Blame, Outcome
from engine.model.screening import Action
from engine.model.trunk_sections import TrunkSection
from engine.sip.effects import ServerKey
from engine.sip.flow import Flow
from engine.sip.message import Request, response_to

RETRY_LATER: Final[Headers] = (("Retry-After", "30"),)
"""For whom a stopping worker sends away, in seconds; others take its calls at once."""


class _Arrival(msgspec.Struct, frozen=True):
    """An INVITE that waits for its verdict."""

    key: ServerKey
    request: Request
    flow: Flow
    trunk: str
    asked: ScreeningRequest


class Arrivals:
    """Of one core."""

    __slots__ = (
        "_calls",
        "_popups",
        "_sections",
        "_settings",
        "_trunks",
        "_waiting",
        "_wire",
        "draining",
    )

    def __init__(
        self,
        wire: Wire,
        calls: Calls,
        popups: Popups,
        settings: CallSettings,
        sections: Mapping[str, TrunkSection],
        trunks: Trunks,
    ) -> None:
        """`sections` is the configuration of trunks, `trunks` their state."""
        self._wire = wire
        self._calls = calls
        self._popups = popups
        self._settings = settings
        self._sections = sections
        self._trunks = trunks
        self._waiting: dict[CallId, _Arrival] = {}
        self.draining = False
        """Only calls to and from emergency numbers are still taken."""

    def ask(self, key: ServerKey, request: Request, flow: Flow, trunk: str) -> None:
        """Let screening see it; `decided` goes on."""
        call_id = CallId(self._wire.ids.token())
        asked = screening_request(request, trunk, trusted=self._sections[trunk].trusted_identity)
        self._waiting[call_id] = _Arrival(key, request, flow, trunk, asked)
        self._wire.effects.append(ScreeningRequested(call_id, asked))

    def cancelled(self, key: ServerKey) -> None:
        """The caller wants it no more (RFC 3261 §9.2)."""
        for call_id, arrival in self._waiting.items():
            if arrival.key == key:
                del self._waiting[call_id]
                self._wire.answer(key, arrival.request, 487)
                return

    def decided(self, call_id: CallId, decision: Decision) -> bool:
        """The verdict on a call; False when none of that id is waiting."""
        arrival = self._waiting.pop(call_id, None)
        if arrival is None:
            return False
        request, settings = arrival.request, self._settings
        refusal = asks_too_much(request, protected=decision.protected)
        if refusal is not None:
            self._wire.answer(arrival.key, request, *refusal)
            return True
        trunk = self._sections[arrival.trunk]
        tell_screened(self._wire, call_id, trunk, arrival.asked, decision, request.call_id)
        if self.draining and not decision.protected:
            final = FinalResponse(503, RETRY_LATER)
            self._refuse(call_id, arrival, final, Outcome(Blame.ENGINE, "shutdown"))
        elif decision.action is Action.REJECT and not _announces(trunk, request, decision):
            self._refuse(call_id, arrival, rejection(decision, trunk.reject, settings.redress), REJECTED)
            self._popups.deliver(call_id, decision, request.uri.user or "")
        elif not decision.hops and decision.action is not Action.REJECT:
            self._refuse(call_id, arrival, *no_way(decision.unrouted, decision.retry_after_s))
        elif not decision.protected and (wait_s := self._trunks.wait_s(arrival.trunk)):
            self._refuse(call_id, arrival, *no_way("over_limit", math.ceil(wait_s)))
        else:
            self._connect(call_id, arrival, decision, outbound=trunk.side == "access")
        return True

    def _refuse(self, call_id: CallId, arrival: _Arrival, final: FinalResponse, outcome: Outcome) -> None:
        """Answer before any dialog exists."""
        tag = self._wire.ids.tag()
        response = response_to(arrival.request, final.status, final.phrase, to_tag=tag, headers=final.headers)
        self._wire.respond(arrival.key, response)
        tell_refused(self._wire, call_id, final.status, outcome)

    def _connect(self, call_id: CallId, arrival: _Arrival, decision: Decision, *, outbound: bool) -> None:
        request, settings = arrival.request, self._settings
        self._wire.respond(arrival.key, response_to(request, 100))
        came = settings.as_it_came
        if came:
            transport = arrival.flow.transport
            for hop in decision.hops:
                if hop.transport != transport and hop.trunk == came:
                    decision = as_it_came(decision, came, transport)
                    break
        plan, anchor = PLAIN, settings.anchor_always
        if anchor or decision.announcement or decision.record:
            plan = plan_for(decision, outbound=outbound, has_offer=bool(request.body), anchor=anchor)
        self._trunks.entered(call_id, arrival.trunk)
        call = self._calls.make(call_id, decision, plan)
        call.asked = arrival.asked
        leg = IncomingLeg(
            wire=self._wire,
            role="caller",
            flow=arrival.flow,
            trunk=arrival.trunk,
            listener=call.listener,
            key=arrival.key,
            invite=request,
        )
        call.caller = leg
        call.start(request, wait_for_popup=decision.popup is not None and not plan.reject)
        if call.anchor is not None:
            self._calls.anchored(call, call.anchor.session)
        if decision.popup is not None:
            user = request.uri.user or ""
            self._popups.deliver(call_id, decision, user, lambda: call.prepared("popup"))

    def __len__(self) -> int:
        return len(self._waiting)


def _announces(trunk: TrunkSection, request: Request, decision: Decision) -> bool:
    """Whether the caller hears why before 608 (RFC 8688 §3.4)."""
    if not (trunk.announce_608 and decision.status == 608 and decision.announcement):
        return False
    if trunk.reject != "608" or not request.body:  # early media needs an offer
        return False
    return not knows_608(request)
