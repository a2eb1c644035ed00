"""The two blames of a protocol error: the peer's fault is answered or dropped, our own is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.sip.message import Request


class ProtocolError(Exception):
    """Base of both; catch one of the two below instead."""


class LocalProtocolError(ProtocolError):
    """Our bug: a value that must not be sent, or a step the state machine forbids."""


class RemoteProtocolError(ProtocolError):
    """The peer's fault.

    `status_hint` is the response status that fits (400, 413, 416, 500, 505, 513, …). `request` holds as
    much of the request as a response copies, or None when it cannot be answered.
    """

    def __init__(self, message: str, status_hint: int = 400, request: Request | None = None) -> None:
        super().__init__(message)
        self.status_hint = status_hint
        self.request = request
