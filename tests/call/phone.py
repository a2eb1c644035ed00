"""One `PhoneCore` and one raw peer, in virtual time: legs without a call above them."""

from __future__ import annotations

from collections.abc import Callable

from engine.call.leg_events import LegEvent
from engine.call.legs import IncomingLeg, Leg, Listener, OutgoingLeg
from engine.call.phone import PhoneCore
from engine.model.address import Address
from engine.sip.effects import Send
from engine.sip.flow import Flow
from engine.sip.uri import NameAddr, Uri
from tests.call.peer import Headers, Peer, Side, sdp
from tests.sip.ids import SeededIds

PHONE, PEER = ("127.0.40.1", 5060), ("127.0.50.1", 5060)
OURS = sdp(PHONE[0], 30000)


class Phones:
    """The phone with our legs, and the peer that speaks by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.peer = Peer("P", PEER, PHONE, self._to_phone)
        self.core = PhoneCore(Address(*PHONE), SeededIds("p"), self._called)
        self.legs: list[Leg] = []
        self.events: list[LegEvent] = []
        self.on_event: Callable[[Leg, LegEvent], None] = lambda leg, event: None

    def _called(self, leg: IncomingLeg) -> Listener:
        self.legs.append(leg)
        return self._heard

    def _heard(self, leg: Leg, event: LegEvent) -> None:
        self.events.append(event)
        self.on_event(leg, event)

    def _to_phone(self, source: tuple[str, int], target: tuple[str, int], data: bytes) -> None:
        self.carry_out(self.core.receive(data, Flow("udp", PHONE, source), self.now))

    def carry_out(self, sends: list[Send]) -> None:
        for send in sends:
            self.peer.receive(send.data)

    def act(self, action: Callable[[], object]) -> None:
        """Command a leg."""
        self.carry_out(self.core.act(action, self.now))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while (at := self.core.next_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.carry_out(self.core.timer(self.now))
        self.now = end

    def take(self, kind: type[LegEvent]) -> LegEvent:
        """The last event of that kind."""
        return [event for event in self.events if isinstance(event, kind)][-1]

    def called(self, headers: Headers = ()) -> tuple[Side, IncomingLeg]:
        """The peer calls and is answered."""
        ask = self.peer.invite("1", headers=headers)
        leg = self.legs[-1]
        assert isinstance(leg, IncomingLeg)
        self.act(lambda: leg.answer(OURS))
        ask.ack()
        return ask.side, leg

    def call(self, headers: Headers = (), body: bytes = OURS) -> tuple[Side, OutgoingLeg]:
        """The phone calls, and is not answered yet."""
        made: list[OutgoingLeg] = []
        me = NameAddr(None, Uri("sip", "me", PHONE[0]))

        def begin() -> None:
            made.append(self.core.call(Address(*PEER), "1", me, body, self._heard, headers=headers))

        self.act(begin)
        return self.peer.calls[-1], made[0]
