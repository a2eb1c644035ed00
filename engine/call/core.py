"""The sans-IO core: datagrams, commands and the clock in; datagrams, media commands and events out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from engine.call.admission import may_go_on, refusal_of
from engine.call.agent import place
from engine.call.arrivals import RETRY_LATER, Arrivals
from engine.call.call import Call
from engine.call.calling import target_screened
from engine.call.calls import Calls
from engine.call.capabilities import SDP_TYPE, SUPPORTED
from engine.call.gate import Gate, Screen
from engine.call.inputs import on_timer
from engine.call.keeper import Keeper
from engine.call.legs import ALLOW
from engine.call.newcomers import Newcomers
from engine.call.popups import TIMER as POPUP_TIMER
from engine.call.popups import Popups
from engine.call.timers import CallTimers
from engine.call.trunks import Trunks
from engine.call.values import (
    CallCommand,
    CallEffect,
    CallRefused,
    CallSettings,
    CommandAnswered,
    Drain,
    EndCallNow,
    MediaReported,
    PlaceCall,
    PopupPublished,
    Resolved,
    ScreeningDecided,
    TellLegs,
)
from engine.call.wire import Wire
from engine.model.commands import Acknowledgement
from engine.model.ids import CallId, CommandId
from engine.model.trunk_sections import TrunkSection
from engine.sip.effects import CancelReceived, Effect, RequestReceived, Send, ServerKey
from engine.sip.flow import Flow
from engine.sip.ids import IdSource
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, response_to
from engine.sip.salvage import salvaged
from engine.sip.uri import Uri

CoreEffect = Effect | CallEffect


class SipCore:
    """All calls of one engine worker. Every method returns the effects to be done, in order."""

    def __init__(
        self,
        settings: CallSettings,
        sections: Mapping[str, TrunkSection],
        ids: IdSource,
        *,
        routes: Trunks | None = None,
        screen: Screen | None = None,
        protects: Callable[[str, Uri], bool] = lambda trunk, uri: False,
    ) -> None:
        """`sections` is the configuration of trunks, `routes` their state where others need it too.

        With `screen`, calls that it refuses are answered at the gate (`engine.call.gate`). `protects` knows
        which URIs in a call from a trunk are numbers for help: for their form such calls are not refused.
        """
        contact = settings.contact
        contacts = settings.contacts
        self._layer = TransactionLayer(
            ids,
            (contact.host, contact.port),
            sent_by_of={transport: (each.host, each.port) for transport, each in contacts.items()},
        )
        self._wire = Wire(self._layer, ids, contact, contacts, session_expires_s=settings.session_expires_s)
        self.trunks = routes if routes is not None else Trunks(sections)
        """The state of trunks, shared with whoever chooses hops."""
        self.trunks.emit = self._wire.emit
        self._wire.trunk_at = self.trunks.redirected
        self._keeper = Keeper(self._wire, self.trunks, self._wire.names)
        self._timers = CallTimers()
        self._popups = Popups(self._wire, self._timers, settings)
        self._calls = Calls(self._wire, self._timers, settings, sections, self.trunks)
        self._arrivals = Arrivals(self._wire, self._calls, self._popups, settings, sections, self.trunks)
        self._newcomers = Newcomers(self._wire, self._calls, self._popups, settings, sections)
        self._protects = protects
        self._layer.rescue = self._rescue
        self._gate: Gate | None = None
        if screen is not None:
            self._gate = Gate(self._wire, screen, sections, self.trunks, settings.redress, self._popups)
            self._layer.gate = self._gate

    # --- inputs ---

    def receive(self, data: bytes, flow: Flow, now: float) -> list[CoreEffect]:
        self._wire.now = self.trunks.now = now
        return self._handle(self._layer.receive(data, flow, now))

    def tell(self, refused: CallRefused, now: float) -> list[CoreEffect]:
        """What follows from a refusal at the gate, once its answer is out."""
        self._wire.now = self.trunks.now = now
        assert self._gate is not None
        self._gate.tell(refused)
        return self._drain_effects()

    def send_failed(self, flow: Flow, branch: str, error: str, now: float) -> list[CoreEffect]:
        self._wire.now = self.trunks.now = now
        return self._handle(self._layer.send_failed(flow, branch, error, now))

    def timer(self, now: float) -> list[CoreEffect]:
        self._wire.now = self.trunks.now = now
        self._wire.effects = self._handle(self._layer.timer(now))  # kept there, should a timer's work fail
        for call_id, name in self._timers.due(now):
            if name == POPUP_TIMER:
                self._popups.deadline(call_id)
            elif (call := self._calls.by_id.get(call_id)) is not None:
                on_timer(call, name)
        self._wire.timers.run(now)
        self._keeper.timer()
        return self._drain_effects()

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
        planned = self.trunks.next
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
                call = self._calls.by_id.get(call_id)
                if call is not None:
                    target_screened(call, decision)
                elif not self._arrivals.decided(call_id, decision):
                    self._newcomers.decided(call_id, decision)
            case MediaReported(event):
                self._calls.media(event)
            case PopupPublished(popup_id, result):
                self._popups.published(popup_id, result)
            case PlaceCall():
                self._place(command)
            case EndCallNow(command_id, call_id):
                call = self._calls.by_id.get(call_id)
                if call is not None:
                    call.end_now()
                self._acknowledge(command_id, "" if call is not None else "unknown_call", call_id)
            case Resolved():
                self._keeper.resolved(command)
            case TellLegs(on):
                self._wire.tell_legs = on
            case Drain(end_calls):
                self._arrivals.draining = True
                if self._gate is not None:
                    self._gate.closed = True
                if end_calls:
                    self._calls.end_all()
        return self._drain_effects()

    @property
    def calls(self) -> Mapping[CallId, Call]:
        return self._calls.by_id

    def counts(self) -> dict[str, int]:
        """What is held: all zero when nothing is up, or something leaks."""
        return {
            "calls": len(self._calls.by_id) + len(self._arrivals) + len(self._newcomers),
            "dialogs": len(self._wire.dialogs),
            "handlers": self._wire.open_transactions,
            "popups": len(self._popups),
            "timers": len(self._timers) + len(self._wire.timers),
            "captures": len(self._calls.captures),
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
            if isinstance(effect, Send):
                out.append(effect)
                continue
            match effect:
                case RequestReceived(key, request, flow):
                    self._request(key, request, flow)
                case CancelReceived(key, cancel):
                    self._cancelled(key, cancel)
                case _ if not self._wire.heard(effect):
                    out.append(effect)
        self._wire.effects = []
        return out

    def _drain_effects(self) -> list[CoreEffect]:
        effects, self._wire.effects = self._wire.effects, []
        return effects

    def _request(self, key: ServerKey, request: Request, flow: Flow) -> None:
        tag = request.to_tag
        leg = self._wire.dialogs.get((request.call_id, tag)) if tag is not None else None
        host = flow.remote[0]
        # the other end of that dialog
        if leg is not None and (host == leg.flow.remote[0] or leg.is_from(host)):
            leg.received(key, request)
            return
        trunk = self.trunks.of(flow.remote)
        if trunk is None:
            self._wire.dismiss(key, request, 403, flow)
            return
        if tag is not None:
            if leg is not None:
                leg.received(key, request)
            else:
                self._wire.respond(key, response_to(request, 481))
            return
        refusal = refusal_of(request)
        if refusal is not None and refusal[0] == 400:
            request = self._rescue(request.to_bytes(), flow) or request
            refusal = refusal_of(request)
        if refusal is not None and refusal[0] == 483 and self._goes_on(trunk, request, flow):
            refusal = None
        if refusal is not None:
            self._wire.answer(key, request, *refusal)
        elif request.method == "OPTIONS":
            self._options(key, request)
        elif "Replaces" in request.first and not self._protects(trunk, request.uri):
            self._newcomers.asked(key, request, flow, trunk)
        else:
            self._arrivals.ask(key, request, flow, trunk)

    def _rescue(self, data: bytes, flow: Flow) -> Request | None:
        """A malformed call for help, as far as it can be read."""
        trunk = self.trunks.of(flow.remote)
        if trunk is None:
            return None
        return salvaged(data, flow.remote, lambda uri: self._protects(trunk, uri))

    def _goes_on(self, trunk: str, request: Request, flow: Flow) -> bool:
        """Whether it is a call for help, which hops that are used up do not stop, unless it may be a loop."""
        return self._protects(trunk, request.uri) and may_go_on(flow.remote[0], self._calls.without_hops())

    def _options(self, key: ServerKey, request: Request) -> None:
        """RFC 3261 §11.2; whoever asks before he sends calls hears that a stopping worker takes none."""
        if self._arrivals.draining:
            self._wire.answer(key, request, 503, RETRY_LATER)
        else:
            headers = [("Allow", ALLOW), ("Supported", SUPPORTED), ("Accept", SDP_TYPE)]
            self._wire.answer(key, request, 200, headers)

    def _cancelled(self, key: ServerKey, cancel: Request) -> None:
        leg = self._wire.incoming.get(key)
        if leg is not None:
            leg.cancelled(key, cancel)
        else:
            self._arrivals.cancelled(key)
            self._newcomers.cancelled(key)

    # --- commands ---

    def _place(self, command: PlaceCall) -> None:
        if self._arrivals.draining:
            self._acknowledge(command.command_id, "draining")
            return
        call_id = CallId(self._wire.ids.token())
        place(self._calls, call_id, command)
        self._acknowledge(command.command_id, "", call_id)

    def _acknowledge(self, command_id: CommandId, error: str, call_id: CallId | None = None) -> None:
        answer = Acknowledgement(id=command_id, ok=not error, error=error, call_id=call_id)
        self._wire.effects.append(CommandAnswered(answer))
