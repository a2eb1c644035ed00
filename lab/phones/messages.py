"""What a driver tells a phone process, and what it hears back: one JSON object a line.

Steps of a call: `say:LINE` speaks a line of lab/speech/lines, `press:DIGIT` presses a key, `listen` lets one
utterance of the other side pass, `hang_up` ends the call. A first step `now:…` does not wait for a pause.
"""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="order", tag=str.lower):
    pass


class Call(Order, frozen=True):
    """Place a call. `steps` are taken one by one, each when the other side pauses."""

    to: str
    """host:port of the next hop."""
    number: str
    """User part of the Request-URI."""
    from_number: str
    display: str = ""
    steps: tuple[str, ...] = ()
    hang_up_on_early_media: bool = False
    """Listen to an announcement before the answer, and give up at its first pause."""


class Expect(Order, frozen=True):
    """How to take the next call: ring, answer after a while, and then the steps."""

    answer_after_s: float = 0.5
    steps: tuple[str, ...] = ()
    refuse: int = 0
    """Final status instead of an answer."""


class HangUp(Order, frozen=True):
    pass


class Quit(Order, frozen=True):
    pass


AnyOrder = Call | Expect | HangUp | Quit


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Something a phone saw, heard or did. `at` is the monotonic clock, the same in all processes."""

    at: float
    phone: str
    what: str
    """ready, expecting, message, incoming, calling, provisional, answered, pause, said, pressed, …"""
    detail: str = ""
    headers: dict[str, str] = {}
    status: int = 0
    heard_s: float = 0.0
    """Seconds of sound above silence in this call so far."""
    packets: int = 0
    media_from: str = ""
    """Where the session description says that media comes from."""
