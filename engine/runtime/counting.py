"""What the worker sees of its calls, fed into the counters that policies ask for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from engine.model.config import CountersSection
from engine.model.events import CallEnded
from engine.model.ids import CallId
from engine.model.screening import Action, Facts, Number, Verdict
from scoring.counters import Counters, Field, Sizes, Subject

MAX_OPEN: Final = 100_000
"""Calls whose end is waited for; of the oldest beyond that only the attempt counts."""


class _Screened(msgspec.Struct, frozen=True, gc=False):
    call_id: CallId | None
    calling: Number
    called: Number
    trunk: str
    rejected: bool
    at: float


class CallCounting:
    """One worker's counters. Protected calls (to or from emergency and police numbers) are never counted."""

    def __init__(
        self, section: CountersSection, seed: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._counters = Counters(
            Sizes(
                callers=section.callers,
                prefixes=section.prefixes,
                routes=section.routes,
                prefix_digits=section.prefix_digits,
            ),
            seed,
        )
        self._short_ms = section.short_call_s * 1000
        self._clock = clock
        self._open: dict[CallId, Subject] = {}
        self._waiting: deque[_Screened | CallEnded] = deque()

    def read(self, calling: Number, trunk: str) -> Mapping[str, int]:
        """The counters before this call; nothing is counted up until a name is asked for."""
        self.count()
        return self._counters.read(self._counters.subject(calling, trunk), self._clock())

    def screened(self, call_id: CallId | None, facts: Facts, verdict: Verdict) -> None:
        """A call got its verdict. Without an id only the attempt is counted, not how the call ends.

        It is done by `count`, which comes before anything is read.
        """
        if not verdict.protected:
            rejected = verdict.action is Action.REJECT
            self.attempted(call_id, facts.calling, facts.called, facts.trunk, rejected=rejected)

    def attempted(
        self, call_id: CallId | None, calling: Number, called: Number, trunk: str, *, rejected: bool
    ) -> None:
        """The same of a call that is known not to be protected."""
        self._waiting.append(_Screened(call_id, calling, called, trunk, rejected, self._clock()))

    def ended(self, event: CallEnded) -> None:
        """A call is over; one that was not counted when it began is not counted now."""
        self._waiting.append(event)

    def count(self) -> None:
        """Count what happened since the last time; cheaper for some calls together."""
        waiting = self._waiting
        while waiting:
            what = waiting.popleft()
            if isinstance(what, CallEnded):
                self._count_end(what)
            else:
                self._count_attempt(what)

    def _count_attempt(self, screened: _Screened) -> None:
        call_id, rejected = screened.call_id, screened.rejected
        subject = self._counters.subject(screened.calling, screened.trunk)
        self._counters.attempt(subject, screened.called, screened.at, rejected=rejected)
        if not rejected and call_id is not None:
            self._open[call_id] = subject
            if len(self._open) > MAX_OPEN:
                del self._open[next(iter(self._open))]

    def _count_end(self, event: CallEnded) -> None:
        subject = self._open.pop(event.call_id, None)
        if subject is None:
            return
        now = self._clock()
        if event.answered:
            self._counters.add(subject, Field.ANSWERED, now)
            if event.duration_ms < self._short_ms:
                self._counters.add(subject, Field.SHORT_CALLS, now)
        elif event.outcome.reason == "cancelled":
            self._counters.add(subject, Field.CANCELLED, now)
