"""One engine's core between raw peers, a scripted screener and a scripted media worker, in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import structs

from engine.call.core import CoreEffect, SipCore
from engine.call.values import (
    CallCommand,
    CallSettings,
    CommandAnswered,
    Decision,
    Drain,
    EndCallNow,
    EventRaised,
    Hop,
    MediaReported,
    MediaRequested,
    PlaceCall,
    Popup,
    PopupPublished,
    PopupRequested,
    ResolveRequested,
    ScreeningDecided,
    ScreeningRequest,
    ScreeningRequested,
)
from engine.model.address import Address
from engine.model.commands import Acknowledgement
from engine.model.events import Alarm, AnyEvent, CallEnded, CallStage, CallStarted, Party
from engine.model.ids import CaseId, CommandId, NumberId, SessionId
from engine.model.media import AnyMediaEvent, WorkerLost
from engine.model.outcome import REASONS
from engine.model.screening import Action
from engine.model.trunk_sections import TrunkSection
from engine.sip.effects import Discarded, Send
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.message import Request
from engine.sip.parse import parse
from tests.call.media import Media
from tests.call.peer import Peer, Side, sdp
from tests.sip.ids import SeededIds

ENGINE, CARRIER, ACCESS, AGENT = (
    ("127.0.20.1", 5060),
    ("127.0.10.1", 5060),
    ("127.0.30.1", 5060),
    ("127.0.20.2", 5060),
)
CALLER = Party("+8613800000001", NumberId("n-caller"))
SUBSCRIBER = Party("+8613900000002", NumberId("n-subscriber"))
NUMBER = "13900000002"
MANY = 10_000
T1 = 0.5
LONG = 128 * T1 + 6
"""All timers have run out: an ACK that never comes, then a BYE that is never answered."""

E = TypeVar("E")

SETTINGS = CallSettings(
    tenant="lab",
    contact=Address(*ENGINE),
    no_answer_s=60.0,
    key_timeout_s=10.0,
    warning_repeat=1,
    dial_pause_s=3.0,
    popup_deadline_s=0.3,
    popup_sender="96110",
    popup_by_sip=True,
    dissuasion_agent=Address(*AGENT),
)
TRUNKS = {
    "carrier": TrunkSection(side="carrier", match=(CARRIER[0],), next_hop=Address(*CARRIER)),
    "access": TrunkSection(
        side="access", match=(ACCESS[0],), next_hop=Address(*ACCESS), trusted_identity=True
    ),
}
POPUP = Popup("risk_label", "en", {"en": "Suspected fraud.", "zh-CN": "疑似诈骗。"})


def allow(request: ScreeningRequest) -> Decision:
    """A clean call, routed to the other side."""
    hop = ACCESS if request.trunk == "carrier" else CARRIER
    return Decision(Action.ALLOW, CALLER, SUBSCRIBER, hops=(Hop(Address(*hop), trusted=True),))


class Lab:
    """The network, the clock and everybody on it. What is sent arrives at once, in order."""

    def __init__(self, *, trunks: dict[str, TrunkSection] | None = None, **settings: Any) -> None:
        self.now = 100.0
        self.settings = structs.replace(SETTINGS, **settings)
        self.core = SipCore(
            self.settings, trunks or TRUNKS, SeededIds("e"), protects=lambda trunk, uri: uri.user == "110"
        )
        self.carrier = Peer("C", CARRIER, ENGINE, self.post)
        self.phone = Peer("S", ACCESS, ENGINE, self.post)
        self.agent = Peer("A", AGENT, ENGINE, self.post)
        self.media = Media(self)
        self.decide: Callable[[ScreeningRequest], Decision] = allow
        self.thinks = False
        """Whether screening waits for `think`."""
        self.asked: list[ScreeningRequest] = []
        self._undecided: list[ScreeningDecided] = []
        self.events: list[AnyEvent] = []
        self.popups: list[PopupRequested] = []
        self.bus = "acknowledged"
        """What the broker says to a popup; empty: nothing."""
        self.answers: list[Acknowledgement] = []
        self.lookups: list[ResolveRequested] = []
        """Names that the core wants to know the servers of."""
        self.discarded: list[str] = []
        self.lose: Callable[[str], bool] = lambda line: False
        self.double: Callable[[str], bool] = lambda line: False
        self.unreachable: set[tuple[str, int]] = set()
        self._names = {ENGINE: "E", CARRIER: "C", ACCESS: "S", AGENT: "A"}
        self._peers = {CARRIER: self.carrier, ACCESS: self.phone, AGENT: self.agent}
        self._lines: list[str] = []
        self.engine = ENGINE
        self.sent_to_engine: list[tuple[tuple[str, int], bytes]] = []
        self._work: deque[Callable[[], None]] = deque()
        self._pumping = False

    def join(self, peer: Peer) -> None:
        """One more host on the network."""
        self._names[peer.address] = peer.name
        self._peers[peer.address] = peer

    # --- moving ---

    def later(self, work: Callable[[], None]) -> None:
        self._work.append(work)

    def pump(self) -> None:
        """Deliver until nothing is under way."""
        if self._pumping:
            return
        self._pumping = True
        try:
            steps = 0
            while self._work:
                steps += 1
                assert steps < MANY, "an exchange without end"
                self._work.popleft()()
        finally:
            self._pumping = False

    def post(self, source: tuple[str, int], target: tuple[str, int], data: bytes) -> None:
        line = f"{self._names.get(source, source[0])}→{self._names.get(target, target[0])} {summary(data)}"
        self._lines.append(line)
        for _ in range(0 if self.lose(line) else 2 if self.double(line) else 1):
            self.later(lambda: self._deliver(source, target, data))
        self.pump()

    def _deliver(self, source: tuple[str, int], target: tuple[str, int], data: bytes) -> None:
        if target == ENGINE:
            self.sent_to_engine.append((source, data))
            self.carry_out(self.core.receive(data, Flow("udp", ENGINE, source), self.now))
        elif (peer := self._peers.get(target)) is not None:
            peer.receive(data)

    def carry_out(self, effects: list[CoreEffect]) -> None:
        for effect in effects:
            match effect:
                case Send(flow, data, branch):
                    if flow.remote in self.unreachable:
                        self.later(lambda f=flow, b=branch: self._unsent(f, b))  # type: ignore[misc]
                    else:
                        self.post(ENGINE, flow.remote, data)
                case ScreeningRequested(call_id, request):
                    self.asked.append(request)
                    self._undecided.append(ScreeningDecided(call_id, self.decide(request)))
                    if not self.thinks:
                        self.think()
                case EventRaised(event):
                    self.events.append(event)
                case MediaRequested(command):
                    self.media.take(command)
                case PopupRequested(popup_id=popup_id):
                    self.popups.append(effect)
                    if self.bus:
                        published = PopupPublished(popup_id, self.bus)
                        self.later(lambda p=published: self.command(p))  # type: ignore[misc]
                case ResolveRequested():
                    self.lookups.append(effect)
                case CommandAnswered(acknowledgement):
                    self.answers.append(acknowledgement)
                case Discarded(reason):
                    self.discarded.append(reason)
                case ResolveRequested():
                    self.lookups.append(effect)
                case _:
                    raise AssertionError(f"no hand for {effect!r}")
        self.pump()

    def _unsent(self, flow: Flow, branch: str) -> None:
        self.carry_out(self.core.send_failed(flow, branch, "Connection refused", self.now))

    def command(self, command: CallCommand) -> None:
        self.carry_out(self.core.command(command, self.now))

    def think(self) -> None:
        """Screening has come to its decisions."""
        decided, self._undecided = self._undecided, []
        for each in decided:
            self.later(lambda d=each: self.command(d))  # type: ignore[misc]
        self.pump()

    def do(self, event: AnyMediaEvent) -> None:
        self.command(MediaReported(event))

    def end(self) -> None:
        """Tell every call to end, as an operator does."""
        for call_id in list(self.core.calls):
            self.command(EndCallNow(CommandId(f"end-{call_id}"), call_id))

    def drain(self) -> None:
        self.command(Drain(end_calls=True))

    def lost(self, session: str) -> None:
        """The media worker dies with that session."""
        self.do(WorkerLost(session=SessionId(session)))

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        end = self.now + seconds
        while (at := self.core.next_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.carry_out(self.core.timer(self.now))
        self.now = end

    # --- asking ---

    def ladder(self) -> list[str]:
        """What was sent since it was last asked."""
        lines, self._lines = self._lines, []
        return lines

    def verdict(self, **fields: Any) -> None:
        """The decision on calls to come, otherwise as for a clean one."""
        self.decide = lambda request: structs.replace(allow(request), **fields)

    def of(self, kind: type[E]) -> list[E]:
        """Events of that kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ended(self) -> str:
        """How the only call ended: `callee/busy 486`."""
        (event,) = self.of(CallEnded)
        return f"{event.outcome} {event.status}"

    @property
    def stages(self) -> list[str]:
        return [event.stage for event in self.of(CallStage)]

    def place(self, **fields: Any) -> None:
        """Ask for a dissuasion call."""
        place = PlaceCall(
            command_id=CommandId("command-1"),
            case_id=CaseId("case-1"),
            calling=Party("96110", NumberId("n-96110")),
            called=SUBSCRIBER,
            calling_user="96110",
            called_user=SUBSCRIBER.number,
            hop=Hop(Address(*ACCESS)),
            language="en",
            script="general",
            record=True,
        )
        self.command(structs.replace(place, **fields))

    def connect(self, body: bytes | None = None) -> tuple[Side, Side]:
        """A call from the carrier, answered and acknowledged: the caller's side and the callee's."""
        ask = self.carrier.invite(NUMBER, body)
        called = self.phone.calls[-1]
        called.invite.reply(180)
        called.invite.reply(200, sdp(ACCESS[0], 50000))
        ask.ack()
        self.ladder()
        return ask.side, called

    def settle(self) -> None:
        """After the end: nothing is held any more, and every call ended once with a known reason."""
        self.advance(LONG)
        assert [alarm.detail for alarm in self.of(Alarm) if alarm.slug == "internal"] == []
        leaks = {name: count for name, count in self.core.counts().items() if count}
        assert not leaks, leaks
        started = sorted(event.call_id for event in self.of(CallStarted))
        ended = sorted(event.call_id for event in self.of(CallEnded))
        assert started == ended
        assert {event.outcome.reason for event in self.of(CallEnded)} <= REASONS.keys()


def summary(data: bytes) -> str:
    """`INVITE` or `180`, with the method for answers to anything but an INVITE."""
    try:
        message = parse(data)
    except RemoteProtocolError:
        return "?"
    if isinstance(message, Request):
        return message.method
    method = message.cseq.method
    return str(message.status) + ("" if method == "INVITE" else f" ({method})")
