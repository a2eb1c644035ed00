"""What has happened, in order, until there is time to tell of it.

Answers go out first. Counting, tracing and filing what was done touches much memory that signalling does
not, and is several times cheaper for many messages together than for each alone.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Final, Protocol

from engine.call.values import CallRefused, LegOpened
from engine.model.events import AnyEvent
from engine.model.ids import EventId, TenantId
from engine.runtime.counting import CallCounting
from engine.runtime.tally import Tally
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
    """The journal, as the worker sees it: takes an event without waiting."""

    def append(self, tenant: TenantId, event: AnyEvent, at: float | None = None) -> EventId: ...


class Trace(Protocol):
    """Keeps the messages of calls, as the worker sees it; never waits."""

    def received(self, data: bytes, flow: Flow, now: float) -> None: ...

    def sent(self, data: bytes, flow: Flow, now: float) -> None: ...

    def happened(self, event: AnyEvent, now: float) -> None: ...

    def leg(self, opened: LegOpened) -> None: ...


class Books:
    """Of one worker. `note` takes, `settle` tells tally, counters, trace and journal."""

    def __init__(self, tally: Tally, counting: CallCounting, journal: EventLog, tenant: TenantId) -> None:
        self._tally = tally
        self._counting = counting
        self._journal = journal
        self._tenant = tenant
        self._notes: deque[Note] = deque()
        self.note = self._notes.append
        self.trace: Trace | None = None

    def settle(self) -> CallRefused | None:
        """Tell all that was noted, or all up to a refused call, which is the caller's to go on with."""
        notes, tally, trace = self._notes, self._tally, self.trace
        self._counting.count()
        while notes:
            note = notes.popleft()
            kind = note[0]
            try:
                if kind is HAPPENED:
                    self._happened(*note[1:])
                elif kind is RECEIVED:
                    _, data, flow, at = note
                    tally.received(flow.transport, data)
                    if trace is not None:
                        trace.received(data, flow, at)
                elif kind is SENT:
                    _, data, flow, at = note
                    tally.sent(flow.transport, data)
                    if trace is not None:
                        trace.sent(data, flow, at)
                elif isinstance(kind, CallRefused):
                    return kind
                elif isinstance(kind, Discarded):
                    tally.discard(kind.reason)
                elif trace is not None:
                    trace.leg(kind)
            except Exception:  # those behind it are told all the same
                _log.exception("what was %s could not be told", kind if isinstance(kind, str) else "done")
        return None

    def _happened(self, event: AnyEvent, wall: float, now: float) -> None:
        self._tally.event(event)
        if self.trace is not None:
            self.trace.happened(event, now)
        self._journal.append(self._tenant, event, wall)
