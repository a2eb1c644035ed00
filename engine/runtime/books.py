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
from engine.runtime.tally import OTHER, RESPONSE, Tally
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
        self.notes: deque[Note] = deque()
        """What waits to be told."""
        self._filed: list[tuple[AnyEvent, float]] = []
        self.note = self.notes.append
        self.trace: Trace | None = None

    def settle(self) -> None:
        """Tell all that was noted."""
        notes, take = self.notes, self.notes.popleft
        tally, trace = self._tally, self.trace
        self._counting.count()
        while notes:
            note = take()
            kind = note[0]
            try:
                if kind is SENT or kind is RECEIVED:
                    _, data, flow, now = note
                    head = data[:4]
                    if head == RESPONSE:
                        head = data[8:9]
                    counts = (tally.messages_out if kind is SENT else tally.messages_in)[flow.transport]
                    counts[head if head in counts else OTHER] += 1
                    if trace is not None:
                        (trace.sent if kind is SENT else trace.received)(data, flow, now)
                elif kind is HAPPENED:
                    _, event, wall, now = note
                    self._filed.append((event, wall))  # first: it is what must not be lost
                    tally.event(event)
                    if trace is not None:
                        trace.happened(event, now)
                else:
                    self._tell(kind)
            except Exception:  # those behind it are told all the same
                _log.exception("what was %s could not be told", type(kind).__name__)
        if self._filed:
            filed, self._filed = self._filed, []
            try:
                self._journal.extend(self._tenant, filed)
            except Exception:
                _log.exception("%d events could not be filed", len(filed))

    def _tell(self, what: CallRefused | LegOpened | Discarded) -> None:
        if isinstance(what, CallRefused):
            self._on_refused(what)
        elif isinstance(what, Discarded):
            self._tally.discard(what.reason)
        elif self.trace is not None:
            self.trace.leg(what)
