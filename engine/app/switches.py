"""The kill switch: a file in the data folder that every worker looks at several times a second.

    {"kill_switch": {"on": true, "by": "li.na", "reason": "false positives", "since": "…", "expires": "…"}}

It is written by rename, so a reader sees one state or the next. A file that is there and cannot be read
counts as it did before: a switch that was on stays on.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from scoring.numbers.hot_files import Mark, file_mark, write_atomically

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class SwitchError(ValueError):
    """The switch cannot be turned as asked; the message says why."""


class KillSwitch(msgspec.Struct, frozen=True):
    """Who turned it, when, why, and until when (UTC). `on` is what was asked for; it may have expired."""

    on: bool = False
    by: str = ""
    reason: str = ""
    since: Moment | None = None
    expires: Moment | None = None

    def active(self, at: datetime) -> bool:
        """Whether blocking is off at this moment."""
        return self.on and (self.expires is None or at < self.expires)


class _File(msgspec.Struct, frozen=True):
    kill_switch: KillSwitch


def turn_on(path: Path, by: str, reason: str, at: datetime, expires: datetime) -> KillSwitch:
    """Turn all blocking into labels until `expires`. Raises SwitchError without a name or a reason."""
    if not by.strip() or not reason.strip():
        raise SwitchError("the kill switch needs the name of who turns it on, and a reason")
    if expires <= at:
        raise SwitchError("the kill switch must expire in the future")
    return _write(path, KillSwitch(True, by.strip(), reason.strip(), at, expires))


def turn_off(path: Path, by: str, reason: str, at: datetime) -> KillSwitch:
    """Let blocking work again. Raises SwitchError without a name."""
    if not by.strip():
        raise SwitchError("the kill switch needs the name of who turns it off")
    return _write(path, KillSwitch(False, by.strip(), reason.strip(), at, None))


def read_switch(path: Path) -> KillSwitch:
    """What the file says now; off where there is none. Raises SwitchError for one that cannot be read."""
    return _decoded(path, _read(path))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SwitchError(f"{path}: {error}") from None


def _decoded(path: Path, data: bytes | None) -> KillSwitch:
    if data is None:
        return KillSwitch()
    try:
        return msgspec.json.decode(data, type=_File).kill_switch
    except msgspec.MsgspecError as error:
        raise SwitchError(f"{path}: {error}") from None


def _write(path: Path, switch: KillSwitch) -> KillSwitch:
    write_atomically(path, msgspec.json.encode(_File(switch)))
    return switch


class SwitchView:
    """A worker's view of the switches. `poll` is cheap and called several times a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: Mark | None = None
        self.switch = KillSwitch()

    def poll(self, at: datetime) -> bool:
        """Whether blocking is off at this moment (UTC). Raises SwitchError where the file cannot be read.

        Once for each change of what cannot be read, and each time where nothing can be told of it.
        """
        try:
            mark = file_mark(self._path)
        except OSError as error:
            raise SwitchError(f"{self._path}: {error.strerror}") from None
        if mark != self._mark:
            # where that fails, for want of a descriptor say, the next poll tries again
            data = _read(self._path)
            self._mark = mark
            self.switch = _decoded(self._path, data)
        return self.switch.active(at)
