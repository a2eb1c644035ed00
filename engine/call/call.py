"""A call: legs' events in, the table's actions out.

`Call.feed` looks the arrow up in `engine.call.table` and runs its actions, which are the functions of
`engine.call.actions`. Nothing here decides what comes next; that is the table's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from engine.call.actions import ACTIONS
from engine.call.anchor import Anchor
from engine.call.attempts import Attempts, Target
from engine.call.captures import Captures
from engine.call.leg_dialog import nobody
from engine.call.leg_events import LegRefused
from engine.call.legs import IncomingLeg, Leg, Listener, OutgoingLeg
from engine.call.plan import PLAIN, Plan
from engine.call.refusals import FinalResponse, reasons_for_other
from engine.call.rejects import rejection
from engine.call.table import IMPOSSIBLE, TABLE, End, Input, State
from engine.call.timers import RUNNING, CallTimers
from engine.call.transfer import Transfer
from engine.call.trunks import Trunks
from engine.call.values import (
    CallSettings,
    Decision,
    EventRaised,
    Hop,
    LegOpened,
    PlaceCall,
    ScreeningRequest,
)
from engine.call.wire import Wire
from engine.model.events import Alarm, CallEnded, CallStage
from engine.model.ids import CallId, PlaybackId, RecordingId
from engine.model.outcome import Outcome
from engine.model.screening import Action
from engine.model.trunk_sections import TrunkSection
from engine.sdp import SdpError
from engine.sip.message import Request

_TOLD: Final[Mapping[State, str]] = {
    state: state.value for state in State if state not in (State.ROUTING, State.ENDING, State.ENDED)
}
"""States that are told as stages of the call."""
_ARROWS: Final = {
    (state, given): (
        row.state,
        _TOLD.get(row.state, "") if row.state is not state else "",
        tuple([ACTIONS[name] for name in row.actions]),
        row.end,
    )
    for (state, given), row in TABLE.items()
}
"""The table, ready to be run: the next state, the stage that is told, the actions themselves, the end."""
MEDIA_S = 5.0
"""A media worker that has not opened a session by then is as good as none."""
REAP_S = 34.0
"""After the outcome, legs that did not end by themselves are dropped: just over 64*T1."""


Find = Callable[[str, str, str], "tuple[Call, Leg] | None"]
"""The call and its leg by Call-ID, our tag and the peer's."""


UNTOLD = LegRefused(480, "")
"""Until the callee has refused."""


class Call(msgspec.Struct, eq=False):
    """One B2BUA call. `on_end` is told once, when nothing of it is left."""

    call_id: CallId
    decision: Decision
    plan: Plan
    wire: Wire
    timers: CallTimers
    captures: Captures
    settings: CallSettings
    trunks: Mapping[str, TrunkSection]
    routes: Trunks
    on_end: Callable[[Call], None] | None
    find: Find
    attempts: Attempts
    state: State = State.PREPARING
    caller: Leg | None = None
    """The calling leg; the agent's in a dissuasion call."""
    callee: Leg | None = None
    former: tuple[Leg, ...] = ()
    """Legs that the call has left, and that still have something open."""
    anchor: Anchor | None = None
    place: PlaceCall | None = None
    recording: RecordingId | None = None
    agent_report: str = ""
    outcome: Outcome | None = None
    listener: Listener = nobody
    _waiting: tuple[str, ...] = ()
    playing: dict[PlaybackId, str] = msgspec.field(default_factory=dict)
    answered_at: float | None = None
    invite: Request | None = None
    body: bytes = b""
    asked: ScreeningRequest | None = None
    """What screening was asked of this call."""
    target: Target | None = None
    """Where a redirection leads, while screening looks at it."""
    refusal: LegRefused = UNTOLD
    ringing: int = 180
    """The callee's last 18x; 180 for who hears our own ringback, or is not to know of the warning."""
    transfer: Transfer | None = None
    newcomer: Leg | None = None
    """Who asks to take the place of `newcomer_for`."""
    newcomer_for: Leg | None = None
    newcomer_asked: ScreeningRequest | None = None
    """What screening was asked of the newcomer."""
    newcomer_protected: bool = False
    """… and its verdict: the call is protected once it is in."""
    audit_every_s: float = 0.0
    """For how long the timer of the next audit was set."""
    settling: list[bytes] | None = None
    reasons: tuple[str, ...] = ()
    """Reason values of the side that ended the call (RFC 3326)."""
    offer_from: Leg | None = None
    offer_body: bytes = b""
    offer_method: str = "INVITE"
    restoring: Leg | None = None
    """Who is being offered once more what was in force before an offer that failed half-way."""
    late_answer: Leg | None = None
    """Whose ACK will bring the answer to an offer that went out in a 2xx."""
    late_answer_to: Leg | None = None
    """Where that answer goes; None: to the media worker."""

    # --- beginning ---

    def start(self, invite: Request | None, *, wait_for_popup: bool) -> None:
        """Open what the plan needs; `prepared` goes on when all is there."""
        self.invite = invite
        if wait_for_popup:
            self._waiting = ("popup",)
        if self.plan is not PLAIN and self.plan.anchored:
            self._waiting = (*self._waiting, "media")
            self.anchor = Anchor(self.wire, (self.calling_role, "callee"), self.settings.own)
            self.timers.set(self.call_id, "media", self.wire.now + MEDIA_S)
        if not self._waiting:
            self.feed(Input.READY_ANNOUNCE if self.plan.announce else Input.READY_ROUTE)

    def prepared(self, what: str) -> None:
        """`what` ("popup", "media") is no longer waited for."""
        if what not in self._waiting:
            return
        if what == "media":
            self.timers.cancel(self.call_id, "media")
        self._waiting = tuple(each for each in self._waiting if each != what)
        if not self._waiting:
            self.feed(Input.READY_ANNOUNCE if self.plan.announce else Input.READY_ROUTE)

    # --- the table ---

    def feed(self, given: Input) -> None:
        """One arrow of the table. What is not in it is ignored, or is our error and told."""
        arrow = _ARROWS.get((self.state, given))
        if arrow is None:
            if (self.state, given) in IMPOSSIBLE:
                detail = f"{given.name} in state {self.state.name}"
                self.wire.emit(Alarm(slug="internal", detail=detail, call_id=self.call_id))
            return
        self.state, told, actions, end = arrow
        if told:
            self.wire.effects.append(EventRaised(CallStage(call_id=self.call_id, stage=told)))
        try:
            for action in actions:
                action(self)
        except SdpError as error:
            self.wire.emit(CallStage(call_id=self.call_id, stage="unacceptable", detail=error.reason))
            self.feed(Input.UNACCEPTABLE_REJECT if self.plan.reject else Input.UNACCEPTABLE)
            return
        if end is not None:
            self.finish(end)

    # --- the end ---

    def finish(self, end: End, final: FinalResponse | None = None) -> None:
        """The outcome is known: tell it, and let go of the legs and the media."""
        answered_at, now = self.answered_at, self.wire.now
        status = 200
        if final is None and (answered_at is None or self.newcomer is not None):
            final = self._final(end.status)
        if final is not None and answered_at is None:
            status = final.status
        self.outcome = Outcome(end.blame, end.reason)
        self.late_answer = None
        ended = CallEnded(
            call_id=self.call_id,
            outcome=self.outcome,
            status=0 if self.plan.agent else status,
            answered=answered_at is not None,
            duration_ms=round((now - answered_at) * 1000) if answered_at is not None else 0,
        )
        self.wire.effects.append(EventRaised(ended))
        self.timers.set(self.call_id, "reap", now + REAP_S, instead=RUNNING)
        reasons = reasons_for_other(self.reasons) if self.reasons else ()
        for leg in (self.caller, self.callee, self.newcomer):
            if leg is None or leg.ended:
                continue
            if leg.answered:
                leg.hang_up(reasons)
            elif isinstance(leg, IncomingLeg):
                assert final is not None
                leg.refuse(final.status, final.headers, final.phrase)
            elif isinstance(leg, OutgoingLeg):
                leg.cancel(reasons)
        if self.anchor is not None:
            if self.recording is not None and self.recording in self.captures:
                self.anchor.stop_capture(self.recording)
            self.anchor.close()
        if self.callee is None or self.callee.ended:
            self.check_ended()

    def _final(self, status: int) -> FinalResponse:
        """What a caller without an answer is told: of a block as its trunk wants it."""
        if status == 608 and self.decision.action is Action.REJECT:
            return rejection(self.decision, "608", self.settings.redress)
        return FinalResponse(status or 480, reasons_for_other(self.reasons))

    def check_ended(self) -> None:
        if self.state is not State.ENDING:
            return
        caller, callee = self.caller, self.callee
        if (caller is not None and not caller.ended) or (callee is not None and not callee.ended):
            return
        more = self.former or self.transfer is not None or self.newcomer is not None
        if not more or all(leg.ended for leg in self.legs):
            self.feed(Input.LEGS_ENDED)

    def sweep(self) -> None:
        """Forget those left behind that have nothing open any more."""
        former = self.former
        self.former = tuple(leg for leg in former if not leg.ended)
        for leg in former:
            if leg.ended:
                leg.dispose()

    @property
    def legs(self) -> list[Leg]:
        target = self.transfer.leg if self.transfer is not None else None
        known = (self.caller, self.callee, target, self.newcomer, *self.former)
        return list(filter(None, known))

    @property
    def busy(self) -> bool:
        """An offer or a change of its sides is under way."""
        offering = any(leg.negotiating for leg in (self.caller, self.callee) if leg is not None)
        return offering or self.transfer is not None or self.newcomer is not None

    def leave(self, leg: Leg) -> None:
        """The call goes on without that leg, which may still have something open."""
        if leg is self.caller:
            self.caller = None
        elif leg is self.callee:
            self.callee = None
        self.set_aside(leg)

    def set_aside(self, leg: Leg) -> None:
        """It is no side of the call any more, but may still have something open."""
        self.former = (*self.former, leg)
        self.sweep()

    def give_away(self, leg: Leg) -> None:
        """Another call takes `leg`; this one is over."""
        if leg is self.caller:
            self.caller = None
        else:
            self.callee = None
        self.feed(Input.TAKEN)

    def reap(self) -> None:
        """A leg never came to its end: drop it."""
        for leg in self.legs:
            leg.dispose()
        self.check_ended()

    def end_now(self) -> None:
        """Told to end: command or shutdown."""
        self.feed(Input.END_REQUESTED)

    # --- helpers of the actions ---

    @property
    def calling_role(self) -> str:
        return "agent" if self.plan.agent else "caller"

    def outgoing(self, role: str, hop: Hop) -> OutgoingLeg:
        if role == "callee":
            self.routes.left(self.call_id, hop.trunk)
        wire = self.wire
        return OutgoingLeg(
            wire=wire,
            role=role,
            flow=wire.flow_to(hop),
            contact=wire.contacts[hop.transport],
            call_id=wire.ids.call_id(),
            tag=wire.ids.tag(),
            trunk=hop.trunk,
            credentials=hop.credentials,
            listener=self.listener,
        )

    def tell_leg(self, leg: OutgoingLeg) -> None:
        """Where `Wire.tell_legs` says so, before its INVITE."""
        self.wire.effects.append(LegOpened(self.call_id, leg.role, leg.call_id))

    def caller_waiting(self) -> IncomingLeg | None:
        """The caller, while there is one without an answer."""
        leg = self.caller
        return leg if isinstance(leg, IncomingLeg) and not leg.answered and not leg.ended else None

    def other(self, leg: Leg | None) -> Leg | None:
        return self.callee if leg is self.caller else self.caller

    def passed(self, leg: Leg, body: bytes) -> bytes:
        """The other side's description for `leg`, under the leg's own origin. Raises `SdpError`."""
        if not self.decision.protected:
            return leg.own(body, self.settings.own, hold=self.answered_at is not None)
        try:
            return leg.own(body)
        except SdpError:
            return body  # an emergency call fails by no description: the far end may understand it

    def answer_body(self, caller: IncomingLeg) -> bytes:
        """Our description for the caller: an answer, or an offer where the INVITE had none."""
        assert self.anchor is not None
        if caller.offered:
            return self.anchor.answer(caller, caller.heard_body)
        self.late_answer, self.late_answer_to = caller, None
        return self.anchor.offer(caller)

    def play(self, role: str, prompt: str, name: str, repeat: int = 1) -> None:
        assert self.anchor is not None
        self.playing[self.anchor.play(role, prompt, self.decision.language, repeat)] = name

    def is_playing(self, name: str) -> bool:
        return name in self.playing.values()

    def stop(self, name: str) -> None:
        for playback, playing in list(self.playing.items()):
            if playing == name and self.anchor is not None:
                del self.playing[playback]
                self.anchor.stop(playback)
