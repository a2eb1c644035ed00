"""Popups on their way: a SIP MESSAGE to the callee's phone and a publication to the pages.

A call that waits for its popup is told when both have answered, or at the deadline, whichever is first
(the INVITE leaves after the MESSAGE's final response and the broker's PUBACK, or 300 ms). Who gets too many
in a minute, as in a campaign of blocked calls, is spared the rest: the event tells of them, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.call.allowance import Allowance
from engine.call.timers import LATE_S, CallTimers
from engine.call.values import CallSettings, Decision, Hop, LegOpened, Popup, PopupRequested
from engine.call.wire import Wire
from engine.model.events import Party, PopupSent
from engine.model.ids import CallId
from engine.sip.message import Response
from engine.sip.messages import out_of_dialog
from engine.sip.uri import NameAddr, Uri

TIMER = "popup"
LIMITED = "limited"
"""Not sent: the subscriber has had enough of them."""


@dataclass(slots=True)
class _Delivery:
    call_id: CallId
    popup_id: str
    popup: Popup
    called: Party
    calling: Party
    done: Callable[[], None]
    sip: str | None = None
    bus: str | None = None


class Popups:
    """All popups under way. `done` is called exactly once for each `deliver`."""

    __slots__ = ("_allowance", "_by_call", "_by_id", "_settings", "_timers", "_wire")

    def __init__(self, wire: Wire, timers: CallTimers, settings: CallSettings) -> None:
        self._wire = wire
        self._timers = timers
        self._settings = settings
        self._allowance = Allowance(settings.popups_per_minute)
        self._by_call: dict[CallId, _Delivery] = {}
        self._by_id: dict[str, _Delivery] = {}

    def deliver(
        self,
        call_id: CallId,
        decision: Decision,
        called_user: str,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Send the decision's popup, unless an earlier one of the call is still on its way."""
        popup, settings = decision.popup, self._settings
        if popup is None or call_id in self._by_call or not (settings.popup_by_bus or settings.popup_by_sip):
            done()
            return
        delivery = _Delivery(call_id, self._wire.ids.token(), popup, decision.called, decision.calling, done)
        if not self._allowance.take(decision.called.id, self._wire.now):
            delivery.sip = delivery.bus = LIMITED
            self._tell(delivery)
            return
        self._by_call[call_id] = self._by_id[delivery.popup_id] = delivery
        # nobody waits longer than was promised, though the timer may be looked at late
        wait_s = max(0.0, settings.popup_deadline_s - LATE_S)
        self._timers.set(call_id, TIMER, self._wire.now + wait_s)
        if self._settings.popup_by_bus:
            self._wire.effects.append(
                PopupRequested(call_id, delivery.popup_id, popup, decision.called, decision.calling)
            )
        else:
            delivery.bus = "off"
        if self._settings.popup_by_sip and decision.hops and called_user:
            self._message(delivery, decision.hops[0], called_user)
        else:
            delivery.sip = "off"
        self._check(delivery)

    def _message(self, delivery: _Delivery, hop: Hop, user: str) -> None:
        contact, address = self._wire.contact, hop.address
        user = hop.called_user or user
        request = out_of_dialog(
            "MESSAGE",
            target=Uri("sip", user, address.host, address.port),
            from_=NameAddr(None, Uri("sip", self._settings.popup_sender, contact.host)).with_tag(
                self._wire.ids.tag()
            ),
            to=NameAddr(None, Uri("sip", user, address.host)),
            call_id=self._wire.ids.call_id(),
            headers=[("Content-Type", "text/plain;charset=UTF-8")],
            body=delivery.popup.text[delivery.popup.language].encode(),
        )

        def answered(response: Response | None, failure: str) -> None:
            if response is None or response.status >= 200:
                delivery.sip = delivery.sip or (str(response.status) if response is not None else failure)
                self._check(delivery)

        if self._wire.tell_legs:
            self._wire.effects.append(LegOpened(delivery.call_id, "popup", request.call_id))
        self._wire.request(request, self._wire.flow_to(hop), answered)

    def published(self, popup_id: str, result: str) -> None:
        delivery = self._by_id.get(popup_id)
        if delivery is not None:
            delivery.bus = result
            self._check(delivery)

    def deadline(self, call_id: CallId) -> None:
        delivery = self._by_call.get(call_id)
        if delivery is not None:
            delivery.sip = delivery.sip or "timeout"
            delivery.bus = delivery.bus or "timeout"
            self._check(delivery)

    def _check(self, delivery: _Delivery) -> None:
        if delivery.sip is None or delivery.bus is None:
            return
        if self._by_id.pop(delivery.popup_id, None) is None:
            return
        del self._by_call[delivery.call_id]
        self._timers.cancel(delivery.call_id, TIMER)
        self._tell(delivery)

    def _tell(self, delivery: _Delivery) -> None:
        assert delivery.sip is not None and delivery.bus is not None
        self._wire.emit(
            PopupSent(
                call_id=delivery.call_id,
                popup_id=delivery.popup_id,
                popup=delivery.popup.kind,
                called=delivery.called,
                calling=delivery.calling,
                text=dict(delivery.popup.text),
                sip_result=delivery.sip,
                bus_result=delivery.bus,
            )
        )
        delivery.done()

    def __len__(self) -> int:
        return len(self._by_id)
