"""The calls that are up: made here, found by what is known of them, and let go when nothing is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

from engine.call.agent import tell_dissuasion
from engine.call.attempts import NO_ATTEMPTS
from engine.call.call import Call
from engine.call.captures import Captures
from engine.call.inputs import on_leg, on_media
from engine.call.legs import Leg
from engine.call.plan import Plan
from engine.call.timers import CallTimers
from engine.call.trunks import Trunks
from engine.call.values import CallSettings, Decision
from engine.call.wire import Wire
from engine.model.ids import CallId, SessionId
from engine.model.media import AnyMediaEvent, CaptureClosed, CaptureStarted, MediaFailed
from engine.model.trunk_sections import TrunkSection


class Calls:
    """Of one core."""

    __slots__ = ("_by_session", "_sections", "_settings", "_timers", "_trunks", "_wire", "by_id", "captures")

    def __init__(
        self,
        wire: Wire,
        timers: CallTimers,
        settings: CallSettings,
        sections: Mapping[str, TrunkSection],
        trunks: Trunks,
    ) -> None:
        """`sections` is the configuration of trunks, `trunks` their state."""
        self._wire = wire
        self._timers = timers
        self._settings = settings
        self._sections = sections
        self._trunks = trunks
        self.by_id: dict[CallId, Call] = {}
        self._by_session: dict[SessionId, Call] = {}
        self.captures = Captures(wire)

    def make(self, call_id: CallId, decision: Decision, plan: Plan) -> Call:
        """A call that knows neither of its sides yet; `start` follows."""
        call = Call(
            call_id,
            decision,
            plan,
            self._wire,
            self._timers,
            self.captures,
            self._settings,
            self._sections,
            self._trunks,
            self._ended,
            self.find,
            NO_ATTEMPTS,
        )
        call.listener = partial(on_leg, call)
        self.by_id[call_id] = call
        return call

    def anchored(self, call: Call, session: SessionId) -> None:
        """The call has that session of the media worker."""
        self._by_session[session] = call

    def find(self, call_id: str, local_tag: str, remote_tag: str) -> tuple[Call, Leg] | None:
        """The call with that confirmed dialog. Every call is looked at: it is seldom asked."""
        leg = self._wire.dialogs.get((call_id, local_tag))
        if leg is None or leg.dialog is None or leg.dialog.remote_tag != remote_tag or not leg.accepted:
            return None
        call = next((each for each in self.by_id.values() if leg in (each.caller, each.callee)), None)
        return (call, leg) if call is not None else None

    def without_hops(self) -> Counter[str]:
        """How many are being set up whose INVITE came with Max-Forwards: 0, by the address it came from.

        Likewise seldom asked.
        """
        return Counter(
            call.caller.flow.remote[0]
            for call in self.by_id.values()
            if call.caller is not None and call.invite is not None and call.invite.max_forwards == 0
            if call.answered_at is None and call.outcome is None
        )

    def media(self, event: AnyMediaEvent) -> None:
        """The media worker's: of a recording, or of a call's session."""
        if isinstance(event, CaptureStarted | CaptureClosed) or (
            isinstance(event, MediaFailed) and event.recording is not None
        ):
            self.captures.report(event)
        elif (call := self._by_session.get(event.session)) is not None:
            on_media(call, event)

    def end_all(self) -> None:
        """But those that are not ours to end: to and from emergency numbers."""
        for call in list(self.by_id.values()):
            if not call.decision.protected:
                call.end_now()

    def _ended(self, call: Call) -> None:
        self.by_id.pop(call.call_id, None)
        self._trunks.gone(call.call_id)
        if call.anchor is not None:
            self._by_session.pop(call.anchor.session, None)
        if call.place is not None:
            tell_dissuasion(call, call.place)
