"""What is kept of a call, as it stands in the trace files. Times are seconds since the epoch (UTC)."""

from __future__ import annotations

from typing import Literal

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """One SIP message on one leg, credentials and texts withheld."""

    at: float
    way: Literal["in", "out"]
    transport: str
    local: str
    """host:port of ours."""
    remote: str
    sip_call_id: str
    text: str
    """Start line and headers, and the session description where all is kept; lines end by LF."""
    body: str = ""
    """Type of the body, kept or not: "application/sdp"."""
    size: int = 0
    """Of the whole message in bytes, as it was on the wire."""


class Leg(msgspec.Struct, frozen=True, kw_only=True, tag="leg"):
    """Whose messages have this Call-ID: "caller", "callee", "agent", or "popup" for the MESSAGE."""

    role: str
    sip_call_id: str


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note"):
    """Something that the journal tells of the call between two messages; holds no number."""

    at: float
    kind: str
    """Of the event: call_screened, call_stage, …"""
    detail: dict[str, str] = {}


Item = Message | Leg | Note


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a trace file: what was new of a call since its last line. `call_id` stands first."""

    call_id: str
    direction: str
    """"inbound", "outbound", "dissuasion"."""
    items: list[Item]
    dropped: int = 0
    """Messages of this call that there was no room for, oldest first."""


class CallTrace(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of a call, in the order it happened."""

    call_id: str
    direction: str
    items: tuple[Message | Note, ...]
    roles: dict[str, str]
    """SIP Call-ID → role."""
    dropped: int = 0
