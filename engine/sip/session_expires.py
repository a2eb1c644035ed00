"""Session-Expires and Min-SE (RFC 4028 §4, §5)."""

from __future__ import annotations

import msgspec

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import is_digits, parse_params
from engine.sip.headers import Message, clean


class SessionExpires(msgspec.Struct, frozen=True):
    """Seconds that a session lives without a refresh; `refresher` is "uac", "uas" or empty."""

    interval_s: int
    refresher: str = ""

    def __str__(self) -> str:
        return f"{self.interval_s};refresher={self.refresher}" if self.refresher else str(self.interval_s)


def session_expires(message: Message) -> SessionExpires | None:
    """The message's Session-Expires; None where there is none that can be read."""
    found = message.rows("Session-Expires")
    if not found:
        return None
    seconds, semicolon, rest = clean(found[0]).partition(";")
    if not is_digits(seconds.strip(" \t")):
        return None
    try:
        refresher = (parse_params(semicolon + rest).get("refresher") or "").lower()
    except RemoteProtocolError:
        return None
    return SessionExpires(int(seconds), refresher if refresher in ("uac", "uas") else "")


def min_se(message: Message) -> int:
    """Seconds of Min-SE; 0 where there is none that can be read."""
    found = message.rows("Min-SE")
    if not found:
        return 0
    seconds = found[0].partition(";")[0].strip(" \t")
    return int(seconds) if is_digits(seconds) else 0
