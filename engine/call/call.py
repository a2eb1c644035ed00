"""A call: legs' events in, the table's actions out.

`Call.feed` looks the arrow up in `engine.call.table` and runs its actions, which are the methods named
`do_…` below. Nothing here decides what comes next; that is the table's.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.call.anchor import Anchor
from engine.call.captures import Captures
from engine.call.invites import onward_invite, own_invite, redress_headers
from engine.call.leg_events import LegRefused
from engine.call.legs import IncomingLeg, Leg, Listener, OutgoingLeg
from engine.call.plan import Plan
from engine.call.refusals import outcome_of, status_for_caller
from engine.call.table import IMPOSSIBLE, TABLE, End, Input, State
from engine.call.timers import CallTimers
from engine.call.values import CallSettings, Decision, Hop, LegOpened, PlaceCall
from engine.call.wire import Wire
from engine.model.events import Alarm, CallEnded, CallStage
from engine.model.ids import CallId, PlaybackId, RecordingId, TenantId
from engine.model.media import StartCapture
from engine.model.outcome import Blame, Outcome
from engine.sdp import SdpError, check_targets, parse
from engine.sip.message import Request

TIMERS = ("no_answer", "key", "progress", "dial_pause", "media")
MEDIA_S = 5.0
"""A media worker that has not opened a session by then is as good as none."""
AGENT_ANSWER_S = 5.0
"""The victim is on the line, and hears nothing meanwhile."""
PROGRESS_S = 60.0
"""A provisional response is repeated so often while there is no answer (RFC 3261 §13.3.1.1)."""
REAP_S = 34.0
"""After the outcome, legs that did not end by themselves are dropped: just over 64*T1."""


class Call:
    """One B2BUA call. `on_end` is told once, when nothing of it is left."""

    def __init__(
        self,
        call_id: CallId,
        decision: Decision,
        plan: Plan,
        wire: Wire,
        timers: CallTimers,
        captures: Captures,
        settings: CallSettings,
        listener: Listener,
        on_end: Callable[[Call], None],
    ) -> None:
        self.call_id = call_id
        self.decision = decision
        self.plan = plan
        self.wire = wire
        self.timers = timers
        self.captures = captures
        self.settings = settings
        self.state = State.PREPARING
        self.caller: Leg | None = None
        """The calling leg; the agent's in a dissuasion call."""
        self.callee: OutgoingLeg | None = None
        self.anchor: Anchor | None = None
        self.place: PlaceCall | None = None
        self.recording: RecordingId | None = None
        self.agent_report = ""
        self.outcome: Outcome | None = None
        self.listener = listener
        self._on_end: Callable[[Call], None] | None = on_end
        self._waiting: set[str] = set()
        self.playing: dict[PlaybackId, str] = {}
        self._answered_at: float | None = None
        self.invite: Request | None = None
        self.body = b""
        self.refusal = LegRefused(480, "")
        self.offer_from: Leg | None = None
        self.offer_body = b""
        self.late_answer: Leg | None = None
        """Whose ACK will bring the answer to an offer that went out in a 2xx."""
        self.late_answer_to: Leg | None = None
        """Where that answer goes; None: to the media worker."""

    # --- beginning ---

    def start(self, invite: Request | None, wait_for_popup: bool) -> None:
        """Open what the plan needs; `prepared` goes on when all is there."""
        self.invite = invite
        if wait_for_popup:
            self._waiting.add("popup")
        if self.plan.anchored:
            self._waiting.add("media")
            self.anchor = Anchor(self.wire, (self.calling_role, "callee"), self.settings.own)
            self.timers.set(self.call_id, "media", self.wire.now + MEDIA_S)
        if not self._waiting:
            self.prepared("")

    def prepared(self, what: str) -> None:
        """`what` ("popup", "media", or nothing) is no longer waited for."""
        if what and what not in self._waiting:
            return
        if what == "media":
            self.timers.cancel(self.call_id, "media")
        self._waiting.discard(what)
        if not self._waiting:
            self.feed(Input.READY_ANNOUNCE if self.plan.announce else Input.READY_ROUTE)

    # --- the table ---

    def feed(self, given: Input) -> None:
        """One arrow of the table. What is not in it is ignored, or is our error and told."""
        row = TABLE.get((self.state, given))
        if row is None:
            if (self.state, given) in IMPOSSIBLE:
                detail = f"{given.name} in state {self.state.name}"
                self.wire.emit(Alarm(slug="internal", detail=detail, call_id=self.call_id))
            return
        changed = row.state is not self.state
        self.state = row.state
        if changed and row.state not in (State.ENDING, State.ENDED):
            self.wire.emit(CallStage(call_id=self.call_id, stage=row.state.value))
        try:
            for action in row.actions:
                getattr(self, f"do_{action}")()
        except SdpError as error:
            self.wire.emit(CallStage(call_id=self.call_id, stage="unacceptable", detail=error.reason))
            self.feed(Input.UNACCEPTABLE_REJECT if self.plan.reject else Input.UNACCEPTABLE)
            return
        if row.end is not None:
            self._end(row.end)

    # --- actions: before the callee ---

    def do_announce(self) -> None:
        """183 with our answer, then the announcement (RFC 3960 §2)."""
        assert self.anchor is not None and self.invite is not None
        caller = self._incoming()
        body = self.anchor.answer(caller, self.invite.body)
        caller.progress(183, body)
        self._play("caller", self.plan.announce, "announcement")

    def do_await_hang_up(self) -> None:
        self.timers.set(self.call_id, "dial_pause", self.wire.now + self.settings.dial_pause_s)

    def do_invite_callee(self) -> None:
        decision = self.decision
        hop = decision.hops[0]
        invite = self.invite
        leg = self.callee = self._outgoing("callee", hop)
        if self.anchor is not None:
            body = self.anchor.offer(leg, like=invite.body if invite is not None else b"")
        else:
            assert invite is not None
            body = self.passed(leg, invite.body)
        ids = self.wire.ids
        if self.place is not None:
            self._invite(leg, own_invite(self.place, self.place.called_user, hop, leg.contact, ids, body))
        else:
            assert invite is not None
            self._invite(
                leg, onward_invite(invite, decision, hop, leg.contact, self.settings.contact, ids, body)
            )
        self.timers.set(self.call_id, "no_answer", self.wire.now + self.settings.no_answer_s)

    def do_end_announced(self) -> None:
        """The caller hung up during the announcement."""
        if self.plan.reject:
            self._end(End(Blame.POLICY, "rejected", 487))
        else:
            self._end(End(Blame.CALLER, "dial_warning_heeded", 487))

    # --- actions: ringing and answer ---

    def do_ring_caller(self) -> None:
        caller = self._caller_waiting()
        if caller is None:
            return
        caller.progress(180)
        self.timers.set(self.call_id, "progress", self.wire.now + PROGRESS_S)
        if self.anchor is not None and self.plan.announce and not self.is_playing("ringback"):
            self.playing[self.anchor.ringback("caller")] = "ringback"

    def do_early_media_to_caller(self) -> None:
        """The callee's network speaks before the answer; a warned call's caller hears ringback instead.

        So does one who made no offer: our offer could only go into the 2xx (RFC 3261 §13.2.1).
        """
        caller = self._caller_waiting()
        if caller is None or self.plan.warn or not caller.request.body:
            self.do_ring_caller()
        elif self.anchor is None:
            caller.progress(183, self.passed(caller, self.body))
        elif self.callee is not None:
            self.anchor.accept_answer(self.callee, self.body)
            body = self.anchor.sent("caller") or self._answer_body(caller)
            caller.progress(183, body)
            self._stop("ringback")
            self.anchor.route(("callee", "caller"))

    def do_take_answer(self) -> None:
        """The callee has answered: ACK at once, except where the caller's answer must go into it."""
        assert self.callee is not None
        self.timers.cancel(self.call_id, "no_answer")
        self._stop("ringback")
        if self.anchor is None and self.invite is not None and not self.invite.body:
            return
        self.callee.acknowledge()
        if self.anchor is not None:
            self.anchor.accept_answer(self.callee, self.body)

    def do_answer_caller(self) -> None:
        caller = self._incoming()
        if self.anchor is None:
            body = self.passed(caller, self.body)
            if not caller.request.body:
                self.late_answer, self.late_answer_to = caller, self.callee
        else:
            body = self.anchor.sent("caller") or self._answer_body(caller)
        caller.answer(body)
        self._answered_at = self.wire.now
        self.timers.cancel(self.call_id, "progress")

    def do_warn_callee(self) -> None:
        self._play("callee", self.decision.announcement, "warning", self.settings.warning_repeat)

    def do_await_key(self) -> None:
        self.timers.set(self.call_id, "key", self.wire.now + self.settings.key_timeout_s)

    def do_stop_warning(self) -> None:
        self.timers.cancel(self.call_id, "key")
        self._stop("warning")

    def do_play_notice(self) -> None:
        """To both; a caller whose address is not known before its ACK could not hear it yet."""
        if self.late_answer is None:
            for role in ("caller", "callee"):
                self._play(role, "recording_notice", "notice")

    def do_capture(self) -> None:
        if self.anchor is None or not self.plan.record or self.recording is not None:
            return
        calling, called = self.decision.calling, self.decision.called
        self.recording = RecordingId(self.wire.ids.token())
        self.captures.begin(self.recording, self.call_id, self.decision)
        self.anchor.capture(
            StartCapture(
                session=self.anchor.session,
                recording=self.recording,
                tenant=TenantId(self.settings.tenant),
                call_id=self.call_id,
                left=self.calling_role,
                right="callee",
                number_ids=(calling.id, called.id),
            )
        )

    def do_connect(self) -> None:
        if self._answered_at is None:
            self._answered_at = self.wire.now
        if self.anchor is not None:
            calling = self.calling_role
            self.anchor.route((calling, "callee"), ("callee", calling))

    # --- actions: the dissuasion agent ---

    def do_invite_agent(self) -> None:
        assert self.anchor is not None and self.place is not None
        hop = Hop(self.settings.dissuasion_agent)
        leg = self.caller = self._outgoing("agent", hop)
        body = self.anchor.offer(leg)
        headers = [
            ("Ringward-Case", self.place.case_id),
            ("Ringward-Script", self.place.script),
            ("Ringward-Language", self.place.language),
        ]
        self._invite(leg, own_invite(self.place, "agent", hop, leg.contact, self.wire.ids, body, headers))
        self.timers.set(self.call_id, "no_answer", self.wire.now + AGENT_ANSWER_S)

    def do_take_agent(self) -> None:
        assert self.anchor is not None and isinstance(self.caller, OutgoingLeg)
        self.timers.cancel(self.call_id, "no_answer")
        self.caller.acknowledge()
        self.anchor.accept_answer(self.caller, self.body)

    # --- actions: offers in an established call (RFC 3264 §8, RFC 3261 §14) ---

    def do_refuse_offer(self) -> None:
        if self.offer_from is not None:
            self.offer_from.refuse_offer(491)
            self.offer_from = None

    def do_pass_offer(self) -> None:
        leg, body = self.offer_from, self.offer_body
        other = self.other(leg)
        if leg is None or other is None or not other.answered or other.negotiating:
            self.do_refuse_offer()
            return
        try:
            if self.anchor is None:
                other.offer(self.passed(other, body))
            elif body:
                direction = self.anchor.offered_direction(body)
                other.offer(self.anchor.offer(other, like=body, direction=direction))
            else:  # asked for an offer: ours, as it stands; the ACK brings the answer
                leg.accept_offer(self.anchor.offer(leg))
                self.offer_from = None
                self.late_answer, self.late_answer_to = leg, None
        except SdpError:
            leg.refuse_offer(488)
            self.offer_from = None

    def do_end_refused(self) -> None:
        refusal = self.refusal
        outcome = outcome_of(refusal.status, refusal.no_response)
        self._end(End(outcome.blame, outcome.reason, status_for_caller(refusal.status)))

    def do_dispose(self) -> None:
        for leg in (self.caller, self.callee):
            if leg is not None:
                leg.dispose()
        for name in (*TIMERS, "reap"):
            self.timers.cancel(self.call_id, name)
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self)

    # --- the end ---

    def _end(self, end: End) -> None:
        self.outcome = Outcome(end.blame, end.reason)
        self.late_answer = None
        answered = self._answered_at is not None
        duration_s = self.wire.now - self._answered_at if self._answered_at is not None else 0.0
        self.wire.emit(
            CallEnded(
                call_id=self.call_id,
                outcome=self.outcome,
                status=200 if answered else end.status,
                answered=answered,
                duration_ms=round(duration_s * 1000),
            )
        )
        for name in TIMERS:
            self.timers.cancel(self.call_id, name)
        self.timers.set(self.call_id, "reap", self.wire.now + REAP_S)
        for leg in (self.caller, self.callee):
            self._release(leg, end.status)
        if self.anchor is not None:
            if self.recording is not None and self.recording in self.captures:
                self.anchor.stop_capture(self.recording)
            self.anchor.close()
        self.check_ended()

    def _release(self, leg: Leg | None, status: int) -> None:
        if leg is None or leg.ended:
            return
        if leg.answered:
            leg.hang_up()
        elif isinstance(leg, IncomingLeg):
            leg.refuse(status or 480, redress_headers(self.decision) if status == 608 else ())
        elif isinstance(leg, OutgoingLeg):
            leg.cancel()

    def check_ended(self) -> None:
        if self.state is State.ENDING and all(leg is None or leg.ended for leg in (self.caller, self.callee)):
            self.feed(Input.LEGS_ENDED)

    def reap(self) -> None:
        """A leg never came to its end: drop it."""
        for leg in (self.caller, self.callee):
            if leg is not None:
                leg.dispose()
        self.check_ended()

    def end_now(self) -> None:
        """Told to end: command or shutdown."""
        self.feed(Input.END_REQUESTED)

    def dissuasion_outcome(self) -> str:
        """What the agent reported, or what the call's end says (closed list of engine.dissuasion)."""
        key, _, value = self.agent_report.partition("=")
        if key == "outcome" and value:
            return value
        reason = self.outcome.reason if self.outcome is not None else ""
        if reason == "busy":
            return "busy"
        return "refused" if reason in ("declined", "hung_up") else "not_reached"

    def repeat_progress(self) -> None:
        caller = self._caller_waiting()
        if caller is not None:
            caller.progress(180)
            self.timers.set(self.call_id, "progress", self.wire.now + PROGRESS_S)

    # --- helpers of the actions ---

    @property
    def calling_role(self) -> str:
        return "agent" if self.plan.agent else "caller"

    def _outgoing(self, role: str, hop: Hop) -> OutgoingLeg:
        return OutgoingLeg(self.wire, role, self.wire.flow_to(hop), self.listener, hop.credentials)

    def _invite(self, leg: OutgoingLeg, request: Request) -> None:
        if self.wire.tell_legs:
            self.wire.effects.append(LegOpened(self.call_id, leg.role, request.call_id))
        leg.invite(request)

    def _incoming(self) -> IncomingLeg:
        assert isinstance(self.caller, IncomingLeg)
        return self.caller

    def _caller_waiting(self) -> IncomingLeg | None:
        """The caller, while there is one without an answer."""
        leg = self.caller
        return leg if isinstance(leg, IncomingLeg) and not leg.answered and not leg.ended else None

    def other(self, leg: Leg | None) -> Leg | None:
        return self.callee if leg is self.caller else self.caller

    def passed(self, leg: Leg, body: bytes) -> bytes:
        """The other side's description for `leg`, under the leg's own origin. Raises `SdpError`."""
        try:
            if body and not self.decision.protected:
                check_targets(parse(body), self.settings.own, hold=self._answered_at is not None)
            return leg.own(body)
        except SdpError:
            if not self.decision.protected:
                raise
            return body  # an emergency call fails by no description: the far end may understand it

    def _answer_body(self, caller: IncomingLeg) -> bytes:
        """Our description for the caller: an answer, or an offer where the INVITE had none."""
        assert self.anchor is not None
        if caller.request.body:
            return self.anchor.answer(caller, caller.request.body)
        self.late_answer, self.late_answer_to = caller, None
        return self.anchor.offer(caller)

    def _play(self, role: str, prompt: str, name: str, repeat: int = 1) -> None:
        assert self.anchor is not None
        self.playing[self.anchor.play(role, prompt, self.decision.language, repeat)] = name

    def is_playing(self, name: str) -> bool:
        return name in self.playing.values()

    def _stop(self, name: str) -> None:
        for playback, playing in list(self.playing.items()):
            if playing == name and self.anchor is not None:
                del self.playing[playback]
                self.anchor.stop(playback)
