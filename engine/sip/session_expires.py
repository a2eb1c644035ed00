"""Session-Expires and Min-SE (RFC 4028 §4, §5)."""

from __future__ import annotations

import msgspec

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import clean, is_digits, parse_params
from engine.sip.headers import Message


class SessionExpires(msgspec.Struct, frozen=True):
    """Seconds that a session lives without a refresh; `refresher` is "uac", "uas" or empty."""

    interval_s: int
    refresher: str = ""

    def __str__(self) -> str:
        return f"{self.interval_s};refresher={self.refresher}" if self.refresher else str(self.interval_s)


def session_expires(message: Message) -> SessionExpires | None:
    """The message's Session-Expires; None where there is none that can be read."""
    value = message.first.get("Session-Expires")
    if value is None:
        return None
    seconds, semicolon, rest = clean(value).partition(";")
    if not is_digits(seconds.strip(" \t")):
        return None
    try:
        refresher = (parse_params(semicolon + rest).get("refresher") or "").lower()
    except RemoteProtocolError:
        return None
    return SessionExpires(int(seconds), refresher if refresher in ("uac", "uas") else "")


def min_se(message: Message) -> int:
    """Seconds of Min-SE; 0 where there is none that can be read."""
    if "Min-SE" not in message.first:
        return 0
    seconds = message.first["Min-SE"].partition(";")[0].strip(" \t")
    return int(seconds) if is_digits(seconds) else 0
