"""A plain SIP user agent as a pure core: the dissuasion agent and the lab's phones.

It stands on the same transaction layer and legs as the engine, without calls, screening or media.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.call.legs import ALLOW, Headers, IncomingLeg, Leg, Listener, OutgoingLeg
from engine.call.wire import Wire
from engine.model.address import Address
from engine.sip.effects import (
    CancelReceived,
    Effect,
    RequestReceived,
    Send,
    ServerKey,
)
from engine.sip.flow import Flow
from engine.sip.ids import IdSource
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, response_to
from engine.sip.uri import NameAddr, sip_uri

PHONE_ALLOW = f"{ALLOW}, MESSAGE"

OnCall = Callable[[IncomingLeg], Listener | None]
"""A call comes in: return who listens to the leg, or None to be busy."""
OnMessage = Callable[[Request], None]


class PhoneCore:
    """One user agent at one address. Every method returns the datagrams to send."""

    def __init__(
        self, contact: Address, ids: IdSource, on_call: OnCall, on_message: OnMessage | None = None
    ) -> None:
        self._layer = TransactionLayer(ids, (contact.host, contact.port))
        self._wire = Wire(self._layer, ids, contact)
        self._local = (contact.host, contact.port)
        self._on_call = on_call
        self._on_message = on_message

    # --- the network and the clock ---

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Send]:
        return self._run(now, lambda: self._layer.receive(data, flow, now))

    def send_failed(self, flow: Flow, branch: str, error: str, now: float) -> list[Send]:
        return self._run(now, lambda: self._layer.send_failed(flow, branch, error, now))

    def timer(self, now: float) -> list[Send]:
        sends = self._run(now, lambda: self._layer.timer(now))
        return sends + self.act(lambda: self._wire.timers.run(now), now)

    def next_timer(self) -> float | None:
        times = [at for at in (self._layer.next_timer(), self._wire.timers.next()) if at is not None]
        return min(times, default=None)

    def act(self, action: Callable[[], object], now: float) -> list[Send]:
        """Run what commands legs (`leg.answer(…)`, `phone.call(…)`) and return what it sends."""
        self._wire.now = now
        action()
        return self._take()

    # --- what a phone does; to be called inside `act` or from a listener ---

    def call(
        self,
        to: Address,
        target: str,
        from_: NameAddr,
        body: bytes | Callable[[OutgoingLeg], bytes],
        listener: Listener,
        *,
        role: str = "phone",
        headers: Headers = (),
    ) -> OutgoingLeg:
        """INVITE `target` (a user part) at `to`. `body` may be made from the leg, for its `o=` line."""
        flow = Flow("udp", self._local, (to.host, to.port))
        wire = self._wire
        leg = OutgoingLeg(
            wire=wire,
            role=role,
            flow=flow,
            contact=wire.contacts["udp"],
            call_id=wire.ids.call_id(),
            tag=wire.ids.tag(),
            listener=listener,
        )
        description = body(leg) if callable(body) else body
        asked = sip_uri(target, to.host)
        leg.call(asked, str(from_), description, headers, port=to.port, allow=PHONE_ALLOW)
        return leg

    # --- dispatch ---

    def _run(self, now: float, source: Callable[[], list[Effect]]) -> list[Send]:
        self._wire.now = now
        for effect in source():
            match effect:
                case RequestReceived(key, request, flow):
                    self._request(key, request, flow)
                case CancelReceived(key, cancel):
                    found = self._wire.incoming.get(key)
                    if found is not None:
                        found.cancelled(key, cancel)
                case Send():
                    self._wire.effects.append(effect)
                case _:
                    self._wire.heard(effect)
        return self._take()

    def _take(self) -> list[Send]:
        effects, self._wire.effects = self._wire.effects, []
        return [effect for effect in effects if isinstance(effect, Send)]

    def _request(self, key: ServerKey, request: Request, flow: Flow) -> None:
        tag = request.to_tag
        if tag is not None:
            leg: Leg | None = self._wire.dialogs.get((request.call_id, tag))
            if leg is None:
                self._wire.respond(key, response_to(request, 481))
            else:
                leg.received(key, request)
        elif request.method == "INVITE" and request.contact is not None:
            incoming = IncomingLeg(
                wire=self._wire, role="phone", flow=flow, listener=_nobody, key=key, invite=request
            )
            listener = self._on_call(incoming)
            if listener is None:
                incoming.refuse(486)
            else:
                incoming.listener = listener
        else:
            self._answer(key, request)

    def _answer(self, key: ServerKey, request: Request) -> None:
        status, headers = 405, [("Allow", PHONE_ALLOW)]
        if request.method == "OPTIONS":
            status = 200
        elif request.method == "MESSAGE" and self._on_message is not None:
            self._on_message(request)
            status, headers = 200, []
        self._wire.answer(key, request, status, headers)


def _nobody(leg: Leg, event: object) -> None:
    """Listener of a leg that nobody has taken yet."""
