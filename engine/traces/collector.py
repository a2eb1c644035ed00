"""Sorting messages by call, on the worker's loop: nothing is parsed, written or waited for here.

A message is known by its Call-ID. Whose that is the core tells: of the caller's leg by `CallStarted`, of our
own legs by `LegOpened`, each in the same breath as the message itself or before it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, Literal

from engine.call.values import LegOpened
from engine.model.events import (
    Alarm,
    AnyEvent,
    CallEnded,
    CallScreened,
    CallStage,
    CallStarted,
    DissuasionEnded,
    PopupSent,
    RecordingStarted,
)
from engine.model.ids import CallId
from engine.sip.flow import Flow
from engine.traces.entries import Leg, Note
from engine.traces.redaction import sip_call_id

CALL_MESSAGES: Final = 200
"""Of one call between two writings; the oldest go first."""
TOTAL_BYTES: Final = 16 * 1024 * 1024
"""Of all messages that wait to be written; a message beyond that is dropped."""
CALLS: Final = 20_000
"""Calls whose Call-IDs are remembered at once; one more is not traced."""
STRANGERS: Final = 500
STRANGER_MESSAGES: Final = 8
"""Messages whose call nobody has told yet."""
STRANGER_BYTES: Final = 4 * 1024 * 1024
"""Of all those."""
LINGER_S: Final = 40.0
"""After a call's end its last messages may come again for 64*T1."""


@dataclass(frozen=True, slots=True)
class Raw:
    """One message as it was on the wire; `at` is monotonic seconds."""

    at: float
    way: Literal["in", "out"]
    flow: Flow
    sip_call_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class RawNote:
    """`note.at` is not set yet."""

    at: float
    note: Note


RawItem = Raw | RawNote | Leg


@dataclass(slots=True)
class RawPart:
    """What is new of a call."""

    call_id: CallId
    direction: str
    items: deque[RawItem] = field(default_factory=deque)
    messages: int = 0
    dropped: int = 0


class Collector:
    """The messages of all calls that began since it was made. All has a bound, what is lost is counted."""

    def __init__(
        self, *, call_messages: int = CALL_MESSAGES, total_bytes: int = TOTAL_BYTES, calls: int = CALLS
    ) -> None:
        self._call_messages = call_messages
        self._total_bytes = total_bytes
        self._most_calls = calls
        self._calls: dict[CallId, RawPart] = {}
        self._call_of: dict[str, CallId] = {}
        self._legs: dict[CallId, list[str]] = {}
        self._changed: dict[CallId, None] = {}
        self._ended: deque[tuple[float, CallId]] = deque()
        self._strangers: OrderedDict[str, list[Raw]] = OrderedDict()
        self._stranger_bytes = 0
        self._bytes = 0
        self.dropped = 0
        """Messages there was no room for."""
        self.left_out = 0
        """Calls that were not traced."""

    # --- what the worker tells ---

    def received(self, data: bytes, flow: Flow, now: float) -> None:
        self._message(Raw(now, "in", flow, sip_call_id(data), data))

    def sent(self, data: bytes, flow: Flow, now: float) -> None:
        self._message(Raw(now, "out", flow, sip_call_id(data), data))

    def leg(self, opened: LegOpened) -> None:
        if opened.call_id in self._calls:
            self._bind(opened.call_id, opened.role, opened.sip_call_id)

    def happened(self, event: AnyEvent, now: float) -> None:
        if isinstance(event, CallStarted):
            self._begin(event)
            return
        part = self._calls.get(getattr(event, "call_id", None) or CallId(""))
        note = _note(event)
        if part is None or note is None:
            return
        part.items.append(RawNote(now, note))
        self._changed[part.call_id] = None
        if isinstance(event, CallEnded):
            self._ended.append((now + LINGER_S, part.call_id))

    # --- what the writer takes ---

    def take(self, now: float) -> list[RawPart]:
        """What is new since the last time, by call; calls that ended long ago are forgotten."""
        parts: list[RawPart] = []
        for call_id in self._changed:
            part = self._calls[call_id]
            parts.append(part)
            self._calls[call_id] = RawPart(call_id, part.direction)
        self._changed.clear()
        self._bytes = 0
        while self._ended and self._ended[0][0] <= now:
            _, call_id = self._ended.popleft()
            self._calls.pop(call_id, None)
            for known in self._legs.pop(call_id, ()):
                self._call_of.pop(known, None)
        return parts

    def __len__(self) -> int:
        """Calls that are remembered."""
        return len(self._calls)

    # --- inside ---

    def _begin(self, event: CallStarted) -> None:
        if len(self._calls) >= self._most_calls:
            self.left_out += 1
            return
        self._calls[event.call_id] = RawPart(event.call_id, event.direction)
        self._legs[event.call_id] = []
        if event.sip_call_id:
            self._bind(event.call_id, "caller", event.sip_call_id)

    def _bind(self, call_id: CallId, role: str, known: str) -> None:
        self._call_of[known] = call_id
        self._legs[call_id].append(known)
        self._calls[call_id].items.append(Leg(role=role, sip_call_id=known))
        self._changed[call_id] = None
        for raw in self._taken(self._strangers.pop(known, [])):
            self._message(raw)

    def _message(self, raw: Raw) -> None:
        call_id = self._call_of.get(raw.sip_call_id)
        if call_id is None:
            self._stranger(raw)
            return
        if self._bytes + len(raw.data) > self._total_bytes:
            self._calls[call_id].dropped += 1
            self.dropped += 1
            return
        part = self._calls[call_id]
        if part.messages >= self._call_messages:
            self._drop_oldest(part)
        part.items.append(raw)
        part.messages += 1
        self._bytes += len(raw.data)
        self._changed[call_id] = None

    def _drop_oldest(self, part: RawPart) -> None:
        oldest = next(item for item in part.items if isinstance(item, Raw))
        part.items.remove(oldest)
        part.messages -= 1
        part.dropped += 1
        self.dropped += 1
        self._bytes -= len(oldest.data)

    def _stranger(self, raw: Raw) -> None:
        if not raw.sip_call_id:
            return
        waiting = self._strangers.setdefault(raw.sip_call_id, [])
        self._strangers.move_to_end(raw.sip_call_id)
        if len(waiting) < STRANGER_MESSAGES:
            waiting.append(raw)
            self._stranger_bytes += len(raw.data)
        while len(self._strangers) > STRANGERS or self._stranger_bytes > STRANGER_BYTES:
            self._taken(self._strangers.popitem(last=False)[1])

    def _taken(self, waiting: list[Raw]) -> list[Raw]:
        self._stranger_bytes -= sum(len(raw.data) for raw in waiting)
        return waiting


def _note(event: AnyEvent) -> Note | None:
    """What a reader of the ladder wants to know between two messages; no numbers."""
    detail: dict[str, str]
    match event:
        case CallScreened():
            detail = {
                "action": event.action,
                "rule": event.rule,
                "reason": event.reason,
                "level": event.level,
                "policy_version": event.policy_version,
            }
        case CallStage():
            detail = {"stage": event.stage, "detail": event.detail}
        case PopupSent():
            detail = {"popup": event.popup, "sip_result": event.sip_result, "bus_result": event.bus_result}
        case RecordingStarted():
            detail = {}
        case DissuasionEnded():
            detail = {"outcome": event.outcome}
        case CallEnded():
            detail = {
                "blame": event.outcome.blame.value,
                "reason": event.outcome.reason,
                "status": str(event.status or ""),
            }
        case Alarm():
            detail = {"slug": event.slug}
        case _:
            return None
    kind = type(event).__struct_config__.tag
    return Note(at=0.0, kind=str(kind), detail={name: value for name, value in detail.items() if value})
