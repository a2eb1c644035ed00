"""What has happened, in order, until there is time to tell of it.

Answers go out first. Counting, tracing and filing what was done touches much memory that signalling does
not, and is several times cheaper for many messages together than for each alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from engine.call.values import CallRefused, LegOpened
from engine.model.events import AnyEvent
from engine.model.ids import TenantId
from engine.runtime.counting import CallCounting
from engine.runtime.tally import Tally, count
from engine.sip.effects import Discarded
from engine.sip.flow import Flow

RECEIVED: Final = "received"
SENT: Final = "sent"
HAPPENED: Final = "happened"
_log = logging.getLogger(__name__)

Note = tuple[Any, ...]
"""(RECEIVED | SENT, message, flow, monotonic seconds), (HAPPENED, event, wall-clock seconds, monotonic
seconds), or (CallRefused | LegOpened | Discarded,)."""


class EventLog(Protocol):
    """The journal, as the worker sees it: takes events without waiting."""

    def extend(self, tenant: TenantId, events: Iterable[tuple[AnyEvent, float]]) -> object: ...


class Trace(Protocol):
    """Keeps the messages of calls, as the worker sees it; never waits."""

    def received(self, data: bytes, flow: Flow, now: float) -> None: ...

    def sent(self, data: bytes, flow: Flow, now: float) -> None: ...

    def happened(self, event: AnyEvent, now: float) -> None: ...

    def leg(self, opened: LegOpened) -> None: ...


class Books:
    """Of one worker. `note` takes, `settle` tells tally, counters, trace and journal.

    What a refusal at the gate leads to, `on_refused` does; it may note more.
    """

    def __init__(
        self,
        tally: Tally,
        counting: CallCounting,
        journal: EventLog,
        tenant: TenantId,
        on_refused: Callable[[CallRefused], None],
    ) -> None:
        self._tally = tally
        self._counting = counting
        self._journal = journal
        self._tenant = tenant
        self._on_refused = on_refused
        self._notes: deque[Note] = deque()
        self._filed: list[tuple[AnyEvent, float]] = []
        self.note = self._notes.append
        self.trace: Trace | None = None

    def settle(self) -> None:
        """Tell all that was noted."""
        notes, take = self._notes, self._notes.popleft
        self._counting.count()
        while notes:
            note = take()
            try:
                self._tell(note)
            except Exception:  # those behind it are told all the same
                _log.exception("what was %s could not be told", type(note[0]).__name__)
        if self._filed:
            filed, self._filed = self._filed, []
            try:
                self._journal.extend(self._tenant, filed)
            except Exception:
                _log.exception("%d events could not be filed", len(filed))

    def _tell(self, note: Note) -> None:
        kind, trace = note[0], self.trace
        if kind is HAPPENED:
            _, event, wall, now = note
            self._tally.event(event)
            if trace is not None:
                trace.happened(event, now)
            self._filed.append((event, wall))
        elif kind is RECEIVED:
            _, data, flow, now = note
            count(self._tally.messages_in[flow.transport], data)
            if trace is not None:
                trace.received(data, flow, now)
        elif kind is SENT:
            _, data, flow, now = note
            count(self._tally.messages_out[flow.transport], data)
            if trace is not None:
                trace.sent(data, flow, now)
        elif isinstance(kind, CallRefused):
            self._on_refused(kind)
        elif isinstance(kind, Discarded):
            self._tally.discard(kind.reason)
        elif trace is not None:
            trace.leg(kind)
