"""What our legs can do, as their headers say it, and the answers to what they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from engine.call.session_timer import MIN_SE_S, too_short
from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import clean, split_list
from engine.sip.headers import Message
from engine.sip.message import Request

SDP_TYPE: Final = "application/sdp"
ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"
RELIABLE: Final = "100rel"
SUPPORTED: Final = f"{RELIABLE}, timer, norefersub, replaces"
SUPPORTED_INSIDE: Final = "timer, norefersub"
"""Of a request inside a dialog: only the first INVITE's provisional responses are acknowledged."""

_TAGS: Final = frozenset((RELIABLE, "timer", "norefersub", "replaces"))
_KNOWN: Final = frozenset(
    (
        *("ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS"),
        *("PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"),
    )
)

Headers = Sequence[tuple[str, str]]
Refusal = tuple[int, Headers]
"""Status and headers of an answer."""


def method_refusal(method: str) -> Refusal:
    """The answer to a method that is not served (RFC 3261 §8.2.1)."""
    return (405 if method in _KNOWN else 501), [("Allow", ALLOW)]


def extension_refusal(request: Request) -> Refusal | None:
    """420 for a Require that we cannot meet (RFC 3261 §8.2.2.3).

    Raises RemoteProtocolError for one that cannot be read.
    """
    if "Require" not in request.first:
        return None
    unknown = [tag for tag in request.requires if tag not in _TAGS]
    return (420, [("Unsupported", ", ".join(unknown))]) if unknown else None


def invite_refusal(request: Request) -> Refusal | None:
    """Why an INVITE or UPDATE, inside a dialog or not, cannot be taken (RFC 3261 §8.2.2.3, §8.2.3).

    Raises RemoteProtocolError for a Require that cannot be read.
    """
    first = request.first
    refusal = extension_refusal(request) if "Require" in first else None
    if refusal is not None:
        return refusal
    if request.body and first.get("Content-Type") != SDP_TYPE:
        kind = (request.get("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != SDP_TYPE:
            return 415, [("Accept", SDP_TYPE)]
    if "Session-Expires" in first and too_short(request):
        return 422, [("Min-SE", str(MIN_SE_S))]
    return None


def has_tag(message: Message, name: str, tag: str) -> bool:
    """Whether a list header (Supported, Require, Allow) names `tag`; case is no matter."""
    rows = message.rows(name)
    return bool(rows) and _lists(tag.lower(), *rows)


def takes_update(allow: str) -> bool:
    """Whether who says this as Allow takes UPDATE (RFC 3311 §4)."""
    return _lists("update", allow)


@lru_cache(maxsize=256)  # peers of one make say all the same
def _lists(tag: str, *rows: str) -> bool:
    try:
        return any(item.lower() == tag for row in rows for item in split_list(clean(row)))
    except RemoteProtocolError:
        return False
