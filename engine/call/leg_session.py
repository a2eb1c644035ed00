"""One leg's session timer (RFC 4028): the table of `engine.call.session_timer` at work."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

import msgspec

from engine.call.capabilities import Headers
from engine.call.session_timer import (
    AGREED,
    TABLE,
    Action,
    Input,
    State,
    again_s,
    agreed_by,
    asking_headers,
    late_s,
    longer_interval,
)
from engine.sip.message import Response

if TYPE_CHECKING:
    from engine.call.leg import Leg
    from engine.call.timers import LegTimer

EXPIRED: Final = ('SIP;cause=408;text="Session expired"',)
"""Reason of a BYE for a session that nobody refreshed."""


class LegSession(msgspec.Struct, eq=False):
    """Made with the first agreement."""

    _leg: Leg
    _half: LegTimer | None = None
    _late: LegTimer | None = None
    interval_s: int = 0
    _least_s: int = 0
    """Min-SE of our requests, where a 422 taught us one."""
    state: State = State.OFF

    @property
    def over_s(self) -> float:
        """From a refresh to the end, where no other one comes; infinite where nobody refreshes."""
        return inf if self.state is State.OFF else late_s(self.interval_s)

    # --- what is agreed ---

    def agreed(self, response: Response) -> None:
        """A 2xx to an INVITE or UPDATE of ours, which asked for what holds."""
        agreement = agreed_by(response, self.interval_s)
        if agreement is not None:
            self.step(AGREED[agreement.ours], agreement.interval_s)

    def headers(self) -> Headers:
        """Of an INVITE or UPDATE of ours: who refreshes stays as it is."""
        if self.state is State.OFF:
            return ()
        return asking_headers(self.interval_s, ours=self.state is State.OURS, least_s=self._least_s)

    def lengthen(self, response: Response) -> bool:
        """After a 422: whether asking again, for longer, is of use."""
        interval_s = longer_interval(response, self.interval_s)
        if interval_s:
            self.interval_s = self._least_s = interval_s
        return interval_s > 0

    # --- the refresh ---

    def refresh(self) -> None:
        """Tell the peer that we are there: UPDATE, or the description we sent last once more."""
        leg = self._leg
        if leg.negotiating:
            self.step(Input.REFUSED)
        elif leg.can_update or not leg.sent_body:
            leg.offers().send(b"", "UPDATE", retry=True, refreshes=True)
        else:
            leg.offers().send(leg.sent_body, "INVITE", retry=True, refreshes=True)

    def refused(self, status: int, method: str) -> None:
        """Our refresh got a final non-2xx that says nothing of the dialog."""
        if method == "UPDATE" and status in (405, 501) and self._leg.sent_body:
            self._leg.allow = ""
            self.refresh()
        else:
            self.step(Input.REFUSED)

    # --- the table ---

    def step(self, given: Input, interval_s: int = 0) -> None:
        """One arrow of the table; an agreement brings its interval."""
        row = TABLE.get((self.state, given))
        if row is None:
            return
        self.state = row.state
        if interval_s:
            self.interval_s = interval_s
        wire = self._leg.wire
        for action in row.actions:
            if action is Action.STOP:
                if self._half is not None:
                    self._half.cancel()
                if self._late is not None:
                    self._late.cancel()
                self._half = self._late = None
            elif action is Action.START_HALF:
                self._half = wire.timers.add(wire.now + self.interval_s / 2, self._is_half)
            elif action is Action.START_AGAIN:
                self._half = wire.timers.add(wire.now + again_s(self.interval_s), self._is_half)
            elif action is Action.START_LATE:
                if self._late is None:
                    spent_s = self.interval_s / 2 if self.state is State.OURS else 0.0
                    at = wire.now + late_s(self.interval_s) - spent_s
                    self._late = wire.timers.add(at, self._is_late)
            elif action is Action.REFRESH:
                self.refresh()
            else:
                self._leg.lose(EXPIRED)

    def _is_half(self) -> None:
        self.step(Input.HALF)

    def _is_late(self) -> None:
        self.step(Input.LATE)
