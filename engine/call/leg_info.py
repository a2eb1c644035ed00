"""INFO (RFC 6086): keys in the two bodies that are in use, and the answers to all others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.call.capabilities import Refusal
from engine.call.leg_events import LegDtmf, LegInfo
from engine.sip.effects import ServerKey
from engine.sip.grammar import clean, is_digits
from engine.sip.headers import Message
from engine.sip.message import Request, response_to

if TYPE_CHECKING:
    from engine.call.leg import Leg

AGENT_HEADER: Final = "Ringward-Agent"
"""How the dissuasion agent reports on its own leg: `notice-given` in an INFO, `outcome=…` at the end."""
RELAY_TYPE: Final = "application/dtmf-relay"
PLAIN_TYPE: Final = "application/dtmf"
DEFAULT_MS: Final = 250
"""Of a key whose length is not told."""
MOST_MS: Final = 10_000
_KEYS: Final = {**{key: key for key in "0123456789*#ABCD"}, "10": "*", "11": "#"}
_LINE = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*=[ \t]*([0-9A-Za-z*#]+)[ \t]*")


class Key(NamedTuple):
    digit: str
    duration_ms: int


def report_of(message: Message) -> str:
    """What the agent says in a message of its own; else nothing."""
    found = message.first.get(AGENT_HEADER)
    return clean(found) if found else ""


def inform(leg: Leg, key: ServerKey, request: Request) -> None:
    """An INFO inside the dialog: what the agent reports, a key, or nothing we know."""
    report = report_of(request)
    told = None if report else read_info(request)
    status, headers = (200, ()) if told is None or isinstance(told, Key) else told
    leg.wire.respond(key, response_to(request, status, headers=headers))
    if report and leg.accepted:
        leg.raise_event(LegInfo(report))
    elif isinstance(told, Key):
        leg.raise_event(LegDtmf(told.digit, told.duration_ms))


def key_body(digit: str, duration_ms: int) -> bytes:
    """The body of an INFO with one key, of type `RELAY_TYPE`."""
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()


def read_info(request: Request) -> Key | Refusal | None:
    """The key an INFO tells, how it is to be refused, or None where it says nothing (200 then)."""
    if "Info-Package" in request.first:  # we take none (RFC 6086 §4.2.2)
        return 469, [("Recv-Info", "")]
    kind = (request.get("Content-Type") or "").partition(";")[0].strip(" \t").lower()
    if not request.body:
        return None
    if kind not in (RELAY_TYPE, PLAIN_TYPE):
        return 415, [("Accept", f"{RELAY_TYPE}, {PLAIN_TYPE}")]
    key = _relay(request.body) if kind == RELAY_TYPE else _plain(request.body)
    return key or (400, ())


def _relay(body: bytes) -> Key | None:
    found: dict[str, str] = {}
    for line in _text(body).split("\n"):
        match = _LINE.fullmatch(line.rstrip("\r"))
        if match is not None:
            found.setdefault(match[1].lower(), match[2].upper())
    digit = _KEYS.get(found.get("signal", ""))
    duration = found.get("duration", str(DEFAULT_MS))
    if digit is None or not is_digits(duration, 6):
        return None
    return Key(digit, min(int(duration), MOST_MS))


def _plain(body: bytes) -> Key | None:
    digit = _KEYS.get(_text(body).strip(" \t\r\n").upper())
    return Key(digit, DEFAULT_MS) if digit is not None else None


def _text(body: bytes) -> str:
    return body[:200].decode("ascii", "replace")
