"""What the transaction layer asks for or reports, in the order it happened."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.sip.flow import Flow
from engine.sip.message import Request, Response


class ServerKey(msgspec.Struct, frozen=True):
    """Names a server transaction (RFC 3261 §17.2.3); `branch` is a digest for RFC 2543 peers."""

    branch: str
    sent_by: tuple[str, int]
    method: str


class ClientKey(msgspec.Struct, frozen=True):
    """Names a client transaction (RFC 3261 §17.1.3)."""

    branch: str
    method: str


class Send(msgspec.Struct, frozen=True):
    """Send one message. `branch` goes back with `send_failed`; it is empty for responses."""

    flow: Flow
    data: bytes
    branch: str


class RequestReceived(msgspec.Struct, frozen=True):
    """A new server transaction: answer it with `respond(key, …)`. Every header it needs has been parsed."""

    key: ServerKey
    request: Request
    flow: Flow


class CancelReceived(msgspec.Struct, frozen=True):
    """The INVITE named by `key` was cancelled before its final response; the CANCEL itself is answered."""

    key: ServerKey
    cancel: Request


class AckReceived(msgspec.Struct, frozen=True):
    """The first ACK for a 2xx; repeated ones are absorbed."""

    request: Request
    flow: Flow


class ResponseReceived(msgspec.Struct, frozen=True):
    """A response for the TU. Each 2xx to an INVITE comes up, repeated ones too, and wants an ACK."""

    key: ClientKey
    response: Response


class TransactionFailed(msgspec.Struct, frozen=True):
    """A client transaction ended without final response, or its ACK could not be sent."""

    key: ClientKey
    reason: Literal["timeout", "transport"]


class AckTimeout(msgspec.Struct, frozen=True):
    """No ACK within 64*T1. `final` says whether it was due for a 2xx or for a failure response."""

    key: ServerKey
    final: Literal["2xx", "failure"]


class Discarded(msgspec.Struct, frozen=True):
    """A message nobody is told about, and why."""

    reason: str
    flow: Flow


Effect = (
    Send
    | RequestReceived
    | CancelReceived
    | AckReceived
    | ResponseReceived
    | TransactionFailed
    | AckTimeout
    | Discarded
)
