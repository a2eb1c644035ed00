"""The sans-IO core: datagrams, commands and the clock in; datagrams, media commands and events out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from engine.call.admission import refusal_of, screening_request, unsupported
from engine.call.agent import dissuasion_outcome
from engine.call.attempts import as_it_came
from engine.call.call import Call
from engine.call.calling import target_screened
from engine.call.capabilities import SUPPORTED, Refusal
from engine.call.captures import Captures
from engine.call.gate import REJECTED, Gate, Screen
from engine.call.inputs import on_leg, on_media, on_timer
from engine.call.keeper import Keeper
from engine.call.leg_events import LegEvent
from engine.call.legs import ALLOW, IncomingLeg, Leg, OutgoingLeg
from engine.call.newcomers import Newcomers
from engine.call.plan import Plan, plan_for
from engine.call.popups import TIMER as POPUP_TIMER
from engine.call.popups import Popups
from engine.call.refusals import FinalResponse, no_way
from engine.call.rejects import rejection
from engine.call.telling import tell_refused, tell_screened
from engine.call.timers import CallTimers
from engine.call.trunks import Trunks
from engine.call.values import (
    CallCommand,
    CallEffect,
    CallSettings,
    CommandAnswered,
    Decision,
    Drain,
    EndCallNow,
    MediaReported,
    PlaceCall,
    PopupPublished,
    Resolved,
    ScreeningDecided,
    ScreeningRequest,
    ScreeningRequested,
    TellLegs,
)
from engine.call.wire import Wire
from engine.model.commands import Acknowledgement
from engine.model.config import TrunkSection
from engine.model.events import CallStarted, DissuasionEnded
from engine.model.ids import CallId, CommandId, SessionId
from engine.model.media import AnyMediaEvent, CaptureClosed, CaptureStarted, MediaFailed
from engine.model.outcome import Blame, Outcome
from engine.model.screening import Action
from engine.sip.effects import (
    CancelReceived,
    Effect,
    RequestReceived,
    ServerKey,
)
from engine.sip.flow import Flow
from engine.sip.ids import IdSource
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, response_to


def _nothing() -> None:
    """Nobody waits for the popup of a call that is refused."""


CoreEffect = Effect | CallEffect
FEATURE_608 = "sip.608"
DRAINED_S = 30
"""When a caller may try again that a stopping worker has sent away; others take its calls at once."""
RETRY_LATER = (("Retry-After", str(DRAINED_S)),)


@dataclass(slots=True)
class _Pending:
    """An INVITE that waits for its verdict."""

    key: ServerKey
    request: Request
    flow: Flow
    trunk: str
    asked: ScreeningRequest


class SipCore:
    """All calls of one engine worker. Every method returns the effects to be done, in order."""

    def __init__(
        self,
        settings: CallSettings,
        trunks: Mapping[str, TrunkSection],
        ids: IdSource,
        layer: TransactionLayer | None = None,
        *,
        routes: Trunks | None = None,
        screen: Screen | None = None,
    ) -> None:
        """With `screen`, calls that it refuses are answered at the gate (`engine.call.gate`)."""
        self._settings = settings
        self._trunks = trunks
        contact = settings.contact
        contacts = settings.contacts
        self._layer = layer or TransactionLayer(
            ids,
            (contact.host, contact.port),
            sent_by_of={transport: (each.host, each.port) for transport, each in contacts.items()},
        )
        self._wire = Wire(self._layer, ids, contact, contacts, session_expires_s=settings.session_expires_s)
        self.trunks = routes if routes is not None else Trunks(trunks)
        """The state of `trunks`, shared with whoever chooses hops."""
        self.trunks.emit = self._wire.emit
        self._wire.routed = lambda call_id, hop: self.trunks.left(call_id, hop.trunk)
        self._keeper = Keeper(self._wire, self.trunks, self._wire.names)
        self._timers = CallTimers()
        self._popups = Popups(self._wire, self._timers, settings)
        self._calls: dict[CallId, Call] = {}
        self._newcomers = Newcomers(self._wire, self._calls, trunks)
        self._sessions: dict[SessionId, Call] = {}
        self._captures = Captures(self._wire)
        self._pending: dict[CallId, _Pending] = {}
        self._pending_keys: dict[ServerKey, CallId] = {}
        self._draining = False
        self._gate: Gate | None = None
        if screen is not None:
            self._gate = Gate(self._wire, screen, trunks, self.trunks, settings.redress)
            self._layer.gate = self._gate

    # --- inputs ---

    def receive(self, data: bytes, flow: Flow, now: float) -> list[CoreEffect]:
        self._wire.now = self.trunks.now = now
        effects = self._handle(self._layer.receive(data, flow, now))
        gate = self._gate
        if gate is not None and gate.refused:
            for call_id, decision, user in gate.refused:
                self._popups.deliver(call_id, decision, user, _nothing)
            gate.refused.clear()
            effects += self._drain_effects()
        return effects

    def send_failed(self, flow: Flow, branch: str, error: str, now: float) -> list[CoreEffect]:
        self._wire.now = self.trunks.now = now
        return self._handle(self._layer.send_failed(flow, branch, error, now))

    def timer(self, now: float) -> list[CoreEffect]:
        self._wire.now = self.trunks.now = now
        effects = self._handle(self._layer.timer(now))
        for call_id, name in self._timers.due(now):
            if name == POPUP_TIMER:
                self._popups.deadline(call_id)
            elif (call := self._calls.get(call_id)) is not None:
                on_timer(call, name)
        self._wire.timers.run(now)
        self._keeper.timer()
        effects += self._drain_effects()
        return effects

    def next_timer(self) -> float | None:
        sources = (
            self._layer.next_timer(),
            self._timers.next(),
            self._wire.timers.next(),
            self._keeper.next(),
        )
        return min((at for at in sources if at is not None), default=None)

    @property
    def soonest(self) -> float:
        """No timer set since the last `next_timer` is due before this; infinite where there is none."""
        planned = self.trunks.next_timer()
        return min(
            self._layer.soonest,
            self._timers.soonest,
            self._wire.timers.soonest,
            inf if planned is None else planned,
        )

    def command(self, command: CallCommand, now: float) -> list[CoreEffect]:
        self._wire.now = self.trunks.now = now
        match command:
            case ScreeningDecided(call_id, decision):
                pending = self._pending.pop(call_id, None)
                if pending is not None:
                    self._pending_keys.pop(pending.key, None)
                    self._decided(call_id, pending, decision)
                elif (redirected := self._calls.get(call_id)) is not None:
                    target_screened(redirected, decision)
            case MediaReported(event):
                self._media(event)
            case PopupPublished(popup_id, result):
                self._popups.published(popup_id, result)
            case PlaceCall():
                self._place(command)
            case EndCallNow(command_id, call_id):
                call = self._calls.get(call_id)
                if call is not None:
                    call.end_now()
                self._acknowledge(command_id, "" if call is not None else "unknown_call", call_id)
            case Resolved():
                self._keeper.resolved(command)
            case TellLegs(on):
                self._wire.tell_legs = on
            case Drain(end_calls):
                self._draining = True
                if self._gate is not None:
                    self._gate.closed = True
                for call in list(self._calls.values()) if end_calls else []:
                    if not call.decision.protected:  # an emergency call is not ours to end
                        call.end_now()
        return self._drain_effects()

    @property
    def calls(self) -> Mapping[CallId, Call]:
        return self._calls

    def counts(self) -> dict[str, int]:
        """What is held: all zero when nothing is up, or something leaks."""
        return {
            "calls": len(self._calls) + len(self._pending),
            "dialogs": len(self._wire.dialogs),
            "handlers": self._wire.open_transactions,
            "popups": len(self._popups),
            "timers": len(self._timers) + len(self._wire.timers),
            "captures": len(self._captures),
            "trunk calls": self.trunks.calls,
            "pings": len(self._keeper),
            **self._layer.counts(),
        }

    def retransmissions(self) -> dict[str, int]:
        """Since the start: what was sent again, and the requests that came again."""
        return {"sent": self._layer.repeats_sent, "received": self._layer.repeats_received}

    # --- from the transaction layer ---

    def _handle(self, given: list[Effect]) -> list[CoreEffect]:
        out = self._wire.effects
        for effect in given:
            match effect:
                case RequestReceived(key, request, flow):
                    self._request(key, request, flow)
                case CancelReceived(key, cancel):
                    self._cancelled(key, cancel)
                case _ if not self._wire.heard(effect):
                    out.append(effect)
        return self._drain_effects()

    def _drain_effects(self) -> list[CoreEffect]:
        effects, self._wire.effects = self._wire.effects, []
        return effects

    def _request(self, key: ServerKey, request: Request, flow: Flow) -> None:
        tag = request.to.tag
        leg = self._wire.dialogs.get((request.call_id, tag)) if tag is not None else None
        trunk = self.trunks.of(flow.remote)
        if trunk is None and (leg is None or not leg.is_from(flow.remote[0])):
            # neither a trunk's nor the other end of that dialog
            self._wire.dismiss(key, request, 403, flow)
            return
        if tag is not None:
            if leg is not None:
                leg.received(key, request)
            else:
                self._wire.respond(key, response_to(request, 481))
            return
        assert trunk is not None
        refusal = refusal_of(request)
        if refusal is not None:
            self._turn_away(key, request, refusal)
            return
        if self._draining and request.method == "OPTIONS":  # whoever asks before he sends calls: none here
            self._turn_away(key, request, (503, RETRY_LATER))
            return
        if request.method == "OPTIONS":
            headers = [("Allow", ALLOW), ("Supported", SUPPORTED), ("Accept", "application/sdp")]
            self._wire.respond(key, response_to(request, 200, to_tag=self._wire.ids.tag(), headers=headers))
            return
        if request.rows("Replaces"):
            self._newcomers.asked(key, request, flow, trunk)
            return
        call_id = CallId(self._wire.ids.token())
        asked = screening_request(request, trunk, trusted=self._trunks[trunk].trusted_identity)
        self._pending[call_id] = _Pending(key, request, flow, trunk, asked)
        self._pending_keys[key] = call_id
        self._wire.effects.append(ScreeningRequested(call_id, asked))

    def _cancelled(self, key: ServerKey, cancel: Request) -> None:
        leg = self._wire.incoming.get(key)
        if leg is not None:
            leg.cancelled(key, cancel)
            return
        call_id = self._pending_keys.pop(key, None)
        if call_id is not None:
            pending = self._pending.pop(call_id)
            self._wire.respond(key, response_to(pending.request, 487, to_tag=self._wire.ids.tag()))

    # --- verdicts ---

    def _turn_away(self, key: ServerKey, request: Request, refusal: Refusal) -> None:
        """A request that is no call for us: answered, and no event of it."""
        status, headers = refusal
        self._wire.respond(key, response_to(request, status, to_tag=self._wire.ids.tag(), headers=headers))

    def _decided(self, call_id: CallId, pending: _Pending, decision: Decision) -> None:
        if self._settings.as_it_came:
            decision = as_it_came(decision, self._settings.as_it_came, pending.flow.transport)
        refusal = unsupported(pending.request, protected=decision.protected)
        if refusal is not None:
            self._turn_away(pending.key, pending.request, refusal)
            return
        trunk = self._trunks[pending.trunk]
        tell_screened(self._wire, call_id, trunk, pending.asked, decision, pending.request.call_id)
        if self._draining and not decision.protected:
            final = FinalResponse(503, RETRY_LATER)
            self._refuse(call_id, pending, final, Outcome(Blame.ENGINE, "shutdown"))
        elif decision.action is Action.REJECT and not self._announces(pending, decision):
            final = rejection(decision, trunk.reject, self._settings.redress)
            self._refuse(call_id, pending, final, REJECTED)
            self._popup(call_id, pending, decision, _nothing)
        elif not decision.hops and decision.action is not Action.REJECT:
            final, outcome = no_way(decision.unrouted, decision.retry_after_s)
            self._refuse(call_id, pending, final, outcome)
        elif not decision.protected and (wait_s := self.trunks.wait_s(pending.trunk)):
            self._refuse(call_id, pending, *no_way("over_limit", math.ceil(wait_s)))
        else:
            self._connect(call_id, pending, decision, outbound=trunk.side == "access")

    def _announces(self, pending: _Pending, decision: Decision) -> bool:
        """Whether the caller hears why before 608 (RFC 8688 §3.4)."""
        trunk = self._trunks[pending.trunk]
        if not (trunk.announce_608 and decision.status == 608 and decision.announcement):
            return False
        if trunk.reject != "608":
            return False
        if not pending.request.body:  # early media needs an offer
            return False
        return not any(FEATURE_608 in value for value in pending.request.rows("Feature-Caps"))

    def _refuse(self, call_id: CallId, pending: _Pending, final: FinalResponse, outcome: Outcome) -> None:
        """Answer before any dialog exists."""
        tag = self._wire.ids.tag()
        response = response_to(pending.request, final.status, final.phrase, to_tag=tag, headers=final.headers)
        self._wire.respond(pending.key, response)
        tell_refused(self._wire, call_id, final.status, outcome)

    def _connect(self, call_id: CallId, pending: _Pending, decision: Decision, *, outbound: bool) -> None:
        request = pending.request
        self._wire.respond(pending.key, response_to(request, 100))
        anchor = self._settings.anchor_always
        plan = plan_for(decision, outbound=outbound, has_offer=bool(request.body), anchor=anchor)
        self.trunks.entered(call_id, pending.trunk)
        call = self._new_call(call_id, decision, plan)
        call.asked = pending.asked
        call.leg_trunks["caller"] = pending.trunk
        call.caller = IncomingLeg(self._wire, "caller", pending.flow, call.listener, pending.key, request)
        call.start(request, wait_for_popup=decision.popup is not None and not plan.reject)
        self._watch(call)
        if decision.popup is not None:
            self._popup(call_id, pending, decision, lambda: call.prepared("popup"))

    def _popup(
        self, call_id: CallId, pending: _Pending, decision: Decision, done: Callable[[], None]
    ) -> None:
        self._popups.deliver(call_id, decision, pending.request.uri.user or "", done)

    def _place(self, place: PlaceCall) -> None:
        if self._draining:
            self._acknowledge(place.command_id, "draining")
            return
        call_id = CallId(self._wire.ids.token())
        decision = Decision(
            action=Action.ALLOW,
            calling=place.calling,
            called=place.called,
            hops=(place.hop,),
            language=place.language,
            record=place.record,
        )
        call = self._new_call(call_id, decision, Plan(agent=True, record=place.record))
        call.place = place
        self._wire.emit(
            CallStarted(
                call_id=call_id,
                direction="dissuasion",
                trunk="",
                calling=place.calling,
                called=place.called,
                case_id=place.case_id,
            )
        )
        call.start(None, wait_for_popup=False)
        self._watch(call)
        self._acknowledge(place.command_id, "", call_id)

    def _acknowledge(self, command_id: CommandId, error: str, call_id: CallId | None = None) -> None:
        answer = Acknowledgement(id=command_id, ok=not error, error=error, call_id=call_id)
        self._wire.effects.append(CommandAnswered(answer))

    # --- the calls ---

    def _new_call(self, call_id: CallId, decision: Decision, plan: Plan) -> Call:
        def listener(leg: Leg, event: LegEvent) -> None:
            if isinstance(leg, OutgoingLeg):
                self.trunks.told(leg.flow, event)
            on_leg(call, leg, event)

        call = Call(
            call_id,
            decision,
            plan,
            self._wire,
            self._timers,
            self._captures,
            self._settings,
            self._trunks,
            listener,
            self._ended,
        )
        call.find = self._newcomers.find
        self._calls[call_id] = call
        return call

    def _watch(self, call: Call) -> None:
        if call.anchor is not None:
            self._sessions[call.anchor.session] = call

    def _ended(self, call: Call) -> None:
        self._calls.pop(call.call_id, None)
        self.trunks.gone(call.call_id)
        if call.anchor is not None:
            self._sessions.pop(call.anchor.session, None)
        if call.place is not None:
            self._wire.emit(
                DissuasionEnded(
                    call_id=call.call_id,
                    case_id=call.place.case_id,
                    outcome=dissuasion_outcome(call),
                    script=call.place.script,
                    called=call.decision.called,
                )
            )

    def _media(self, event: AnyMediaEvent) -> None:
        call = self._sessions.get(event.session)
        if isinstance(event, CaptureStarted | CaptureClosed) or (
            isinstance(event, MediaFailed) and event.recording is not None
        ):
            self._captures.report(event)
        elif call is not None:
            on_media(call, event)
