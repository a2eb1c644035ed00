"""What the peer's final non-2xx says, beside its status, and which of them end a dialog."""

from __future__ import annotations

from typing import Final

from engine.call.leg_events import LegRefused
from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import is_digits
from engine.sip.headers import Message
from engine.sip.message import Response

ANALYTICS: Final = "v=analytics1"
"""Text of the Reason that makes a 603 a 603+ (ATIS-1000099); the phrase beside it may be anybody's."""

DIALOG_LOST: Final = {
    408: ('SIP;cause=408;text="Request Timeout"',),
    481: ('SIP;cause=481;text="Call/Transaction Does Not Exist"',),
}
"""Statuses that say the peer knows no such dialog (any more), as Reasons for the other side."""


def refusal(response: Response) -> LegRefused:
    reasons = reasons_of(response)
    status = response.status
    return LegRefused(
        status,
        response.reason,
        response.get("Call-Info") or "",
        reasons=reasons,
        contacts=response.contacts if 300 <= status < 400 else (),
        retry_after_s=retry_after(response),
        network_blocked=status == 603 and any(ANALYTICS in value for value in reasons),
    )


def reasons_of(message: Message) -> tuple[str, ...]:
    """Its Reason values (RFC 3326); none where they cannot be told apart."""
    if "Reason" not in message.first:
        return ()
    try:
        return tuple(message.get_all("Reason"))
    except RemoteProtocolError:
        return ()


def retry_after(response: Response) -> int | None:
    """Seconds of Retry-After, whose value may go on with a comment and parameters (RFC 3261 §20.33)."""
    value = response.get("Retry-After")
    if value is None:
        return None
    seconds = value.partition(";")[0].partition("(")[0].strip(" \t")
    return int(seconds) if is_digits(seconds) else None
