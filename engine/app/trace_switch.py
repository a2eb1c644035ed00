"""Turning SIP traces on for a while: a file in the data folder that every worker looks at.

    {"mode": "full", "by": "li.na", "since": "…", "expires": "…"}

Not in the kill switch's file: whatever becomes of a trace, blocking is not touched by it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from scoring.numbers.hot_files import write_atomically

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Mode = Literal["off", "headers", "full"]
LONGEST: Final = timedelta(hours=24)
"""A trace keeps what people may not see for longer than they look for a fault."""


class TraceSwitchError(ValueError):
    """The trace cannot be turned as asked, or its file not be read; the message says why."""


class TraceSwitch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants it, and until when (UTC)."""

    mode: Mode
    by: str
    since: Moment
    expires: Moment

    def active(self, at: datetime) -> bool:
        return at < self.expires


def turn_trace_on(path: Path, mode: Mode, by: str, at: datetime, limit: timedelta) -> TraceSwitch:
    """Keep messages until `limit` from now. Raises TraceSwitchError without a name or beyond LONGEST."""
    if not by.strip():
        raise TraceSwitchError("a trace needs the name of who turns it on")
    if not timedelta() < limit <= LONGEST:
        hours = LONGEST // timedelta(hours=1)
        raise TraceSwitchError(f"a trace lasts more than no time, and at most {hours} hours")
    switch = TraceSwitch(mode, by.strip(), at, at + limit)
    write_atomically(path, msgspec.json.encode(switch))
    return switch


def turn_trace_off(path: Path) -> None:
    """From now on the configuration counts alone."""
    path.unlink(missing_ok=True)


def read_trace_switch(path: Path) -> TraceSwitch | None:
    """What the file says; None where there is none. Raises TraceSwitchError for one that cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=TraceSwitch)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise TraceSwitchError(f"{path}: {error}") from None
