"""What one worker has done since it started: plain numbers, counted where it happens, read by exporters.

The labels are bounded whatever peers send: a method is known by its first four bytes, a discarded message by
the layer's own reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from engine.model.events import Alarm, AnyEvent, CallEnded, CallScreened, CallStarted
from engine.model.ids import CallId

METHODS: Final = (
    *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "MESSAGE"),
    *("INFO", "PRACK", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY", "PUBLISH"),
)
TRANSPORTS: Final = ("udp", "tcp", "tls", "ws", "wss")
OTHER: Final = b""
RESPONSE: Final = b"SIP/"
"""What begins so is counted by the first digit of its status, behind `SIP/2.0` and a space."""
UNKNOWN: Final = ("", "")
"""Direction and action of a call that began before the counting did."""
_METHOD_OF: Final = {f"{method} "[:4].encode(): method for method in METHODS}
_CLASS_OF: Final = {str(digit).encode(): f"{digit}xx" for digit in range(1, 7)}
_NONE: Final = dict.fromkeys((*_METHOD_OF, *_CLASS_OF, OTHER), 0)

DISCARDED: Final = {
    "ACK matches no INVITE": "stray_ack",
    "response matches no request": "stray_response",
    "response for another element": "foreign_response",
    "response names another sent-by": "foreign_response",
}
"""The transaction layer's reasons; whatever else it says is about a message that cannot be read."""
MALFORMED: Final = "malformed"

K = TypeVar("K")
Messages = dict[bytes, int]
Ended = tuple[str, str, str, str]
"""Direction, action, blame and reason of a call that is over."""


class Tally:
    """Counters of one worker. Not thread-safe to write; reading from another thread is."""

    def __init__(self) -> None:
        self.messages_in: dict[str, Messages] = {transport: dict(_NONE) for transport in TRANSPORTS}
        self.messages_out: dict[str, Messages] = {transport: dict(_NONE) for transport in TRANSPORTS}
        self.discarded: dict[str, int] = dict.fromkeys((MALFORMED, *DISCARDED.values()), 0)
        self.started: dict[str, int] = {}
        self.screened: dict[tuple[str, str], int] = {}
        """By action and rule."""
        self.ended: dict[Ended, int] = {}
        self.alarms: dict[str, int] = {}
        self._open: dict[CallId, tuple[str, str]] = {}
        """Direction and action of the calls that are up."""
        self._counted: dict[type, Callable[[Any], None]] = {
            CallStarted: self._started,
            CallScreened: self._screened,
            CallEnded: self._ended,
            Alarm: self._alarmed,
        }

    def discard(self, reason: str) -> None:
        self.discarded[DISCARDED.get(reason, MALFORMED)] += 1

    def event(self, event: AnyEvent) -> None:
        count = self._counted.get(type(event))
        if count is not None:
            count(event)

    def _started(self, event: CallStarted) -> None:
        _add(self.started, event.direction)
        self._open[event.call_id] = (event.direction, "")

    def _screened(self, event: CallScreened) -> None:
        action = event.action
        _add(self.screened, (action, event.rule))
        self._open[event.call_id] = (self._open.get(event.call_id, UNKNOWN)[0], action)

    def _ended(self, event: CallEnded) -> None:
        outcome = event.outcome
        # `_value_`: the property `value` costs as much as a look-up
        _add(self.ended, (*self._open.pop(event.call_id, UNKNOWN), outcome.blame._value_, outcome.reason))

    def _alarmed(self, event: Alarm) -> None:
        _add(self.alarms, event.slug)


def _add(counts: dict[K, int], key: K) -> None:
    try:
        counts[key] += 1
    except KeyError:  # the first of its kind
        counts[key] = 1


def by_method(counts: Messages) -> dict[str, int]:
    """Requests by method; "other" are those of no known one, and what is no message at all."""
    known = {method: counts[head] for head, method in _METHOD_OF.items()}
    return known | {"other": counts[OTHER]}


def by_class(counts: Messages) -> dict[str, int]:
    """Responses by class: "1xx" to "6xx"."""
    return {name: counts[head] for head, name in _CLASS_OF.items()}
