"""Session timers (RFC 4028): what two sides agree on, and one side's machine as a table.

Whoever refreshes sends an UPDATE or re-INVITE at half of the interval (§10); both sides hang up
min(32 s, a third) before its end when no refresh has come through. Nothing of it crosses to another leg.
`engine.call.leg_session` is one leg's timer.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, unique
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from engine.sip.message import Request, Response
from engine.sip.session_expires import SessionExpires, min_se, session_expires

MIN_SE_S: Final = 90
"""The shortest interval that anybody may ask for (§5)."""
MOST_S: Final = 86_400
"""A peer that wants sessions to live longer without a word gets this."""

Headers = Sequence[tuple[str, str]]


class Agreement(msgspec.Struct, frozen=True):
    interval_s: int
    ours: bool
    """Whether we are the one who refreshes."""


@unique
class State(StrEnum):
    OFF = "nobody refreshes"
    OURS = "we refresh"
    THEIRS = "the peer refreshes"


@unique
class Input(StrEnum):
    AGREED_OURS = "a 2xx made us the refresher"
    AGREED_THEIRS = "a 2xx made the peer the refresher"
    HALF = "half of the interval is over, or it is time to try again"
    LATE = "the interval is nearly over"
    REFUSED = "our refresh was refused, or could not be sent now"
    STOP = "the leg ends"


@unique
class Action(StrEnum):
    START_HALF = "start"
    START_LATE = "start late"
    START_AGAIN = "start again"
    REFRESH = "refresh"
    HANG_UP = "hang up"
    STOP = "stop"


class Row(NamedTuple):
    state: State
    actions: tuple[Action, ...] = ()


S, I, A = State, Input, Action  # noqa: E741 (a table is read by its columns)

AGREED: Final = {True: I.AGREED_OURS, False: I.AGREED_THEIRS}
"""What an agreement is to the table, by whether we are the one who refreshes."""
_OURS = Row(S.OURS, (A.STOP, A.START_HALF))
_THEIRS = Row(S.THEIRS, (A.STOP, A.START_LATE))

TABLE: Final[dict[tuple[State, Input], Row]] = {
    # every 2xx to an INVITE or UPDATE begins the interval anew, and may change who refreshes (§7.2, §9)
    (S.OFF, I.AGREED_OURS): Row(S.OURS, (A.START_HALF,)),
    (S.OURS, I.AGREED_OURS): _OURS,
    (S.THEIRS, I.AGREED_OURS): _OURS,
    (S.OFF, I.AGREED_THEIRS): Row(S.THEIRS, (A.START_LATE,)),
    (S.OURS, I.AGREED_THEIRS): _THEIRS,
    (S.THEIRS, I.AGREED_THEIRS): _THEIRS,
    (S.OURS, I.HALF): Row(S.OURS, (A.START_LATE, A.REFRESH)),  # §7.2, §9, §10
    (S.OURS, I.REFUSED): Row(S.OURS, (A.START_AGAIN,)),  # §10: the session is valid until it expires
    (S.OURS, I.LATE): Row(S.OFF, (A.STOP, A.HANG_UP)),  # §10
    (S.THEIRS, I.LATE): Row(S.OFF, (A.STOP, A.HANG_UP)),  # §10
    (S.OURS, I.STOP): Row(S.OFF, (A.STOP,)),
    (S.THEIRS, I.STOP): Row(S.OFF, (A.STOP,)),
}

IGNORED: Final = frozenset(
    {
        (S.OFF, I.STOP),  # a leg stops what runs
        # our refresh was refused after the peer's own had made it the refresher, or after the end
        (S.THEIRS, I.REFUSED),
        (S.OFF, I.REFUSED),
        # these timers are stopped on leaving the state
        (S.OFF, I.HALF),
        (S.THEIRS, I.HALF),
        (S.OFF, I.LATE),
    }
)


def late_s(interval_s: int) -> float:
    """From the last refresh to the BYE (§10)."""
    return interval_s - min(32.0, interval_s / 3)


def again_s(interval_s: int) -> float:
    """From a refused refresh to the next try: a few fit in before the end."""
    return interval_s / 16


# --- what is agreed ---


def too_short(request: Request) -> bool:
    """Whether 422 is due (§9): less than we take, from a UAC that understands the answer."""
    asked = session_expires(request)
    return asked is not None and asked.interval_s < MIN_SE_S and _knows_timers(request)


@lru_cache(maxsize=256)
def asking_headers(interval_s: int, *, ours: bool | None = None, least_s: int = 0) -> Headers:
    """For an INVITE or UPDATE (§7.1, §7.4); `ours` None leaves it to the UAS who refreshes."""
    refresher = "" if ours is None else "uac" if ours else "uas"
    row = _row(interval_s, refresher)
    return (row, ("Min-SE", str(least_s))) if least_s > MIN_SE_S else (row,)


def agreed_by(response: Response, asked_s: int) -> Agreement | None:
    """As UAC, by the 2xx (§7.2); a UAS that knows no timers leaves the refreshing to us."""
    given = session_expires(response) if "Session-Expires" in response.first else None
    if given is None:
        return Agreement(asked_s, ours=True) if asked_s else None
    return Agreement(_bounded(given.interval_s), ours=given.refresher != "uas")


def agree_to(request: Request, wanted_s: int) -> tuple[Agreement | None, Headers]:
    """As UAS: the agreement and the headers of our 2xx (§9, table 2).

    `wanted_s` is our own interval, or 0 where we want none by ourselves.
    """
    first = request.first
    asked = session_expires(request) if "Session-Expires" in first else None
    if asked is None:
        if not wanted_s:
            return None, []
        least_s = min(min_se(request), MOST_S) if "Min-SE" in first else 0
        agreement = Agreement(max(wanted_s, least_s), ours=True)
        return agreement, [_row(agreement.interval_s, "uas")]
    interval_s = _bounded(asked.interval_s)
    if wanted_s:
        interval_s = min(interval_s, max(wanted_s, min_se(request)))
    knows = _knows_timers(request)
    refresher = (asked.refresher or "uac") if knows else "uas"
    headers = [_row(interval_s, refresher)]
    if refresher == "uac":
        headers.append(("Require", "timer"))
    return Agreement(interval_s, ours=refresher == "uas"), headers


def longer_interval(response: Response, asked_s: int) -> int:
    """What to ask for after a 422 (§7.4): its Min-SE, or 0 where asking again is of no use."""
    least_s = min_se(response)
    return least_s if asked_s < least_s <= MOST_S else 0


@lru_cache(maxsize=256)
def _row(interval_s: int, refresher: str) -> tuple[str, str]:
    return "Session-Expires", str(SessionExpires(interval_s, refresher))


def _bounded(interval_s: int) -> int:
    return min(max(interval_s, MIN_SE_S), MOST_S)


def _knows_timers(request: Request) -> bool:
    return any("timer" in row.lower() for name in ("Supported", "Require") for row in request.rows(name))
