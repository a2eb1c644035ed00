"""Reliable provisional responses (RFC 3262), both ends as tables.

As UAS one response at a time waits for its PRACK and is repeated meanwhile; a 2xx waits while the response
carries a description (§3). As UAC the responses of an early dialog are taken in the order of their RSeq (§4).
"""

from __future__ import annotations

import re
from collections import deque
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.sip.grammar import is_digits
from engine.sip.headers import Message
from engine.sip.message import Request
from engine.sip.timers import Timers

if TYPE_CHECKING:
    from engine.call.legs import IncomingLeg
    from engine.call.timers import LegTimer
    from engine.sip.effects import ServerKey

T1_S: Final = Timers().t1_s
PATIENCE_S: Final = Timers().patience_s
MAX_WAITING: Final = 8
"""Reliable responses that may wait for the one before them; more are not sent."""
MAX_RSEQ: Final = 2**31 - 1
"""The first one is at most this, so that no later one reaches 2**32 (§3)."""
_SPACES = re.compile(r"[ \t]+")


class RAck(NamedTuple):
    """What a PRACK acknowledges (§7.2)."""

    rseq: int
    cseq: int
    method: str


def rseq_of(message: Message) -> int | None:
    """RSeq, or None where there is none that can be read (§7.1)."""
    value = message.get("RSeq") or ""
    return int(value) if is_digits(value) and 0 < int(value) < 2**32 else None


def rack_of(message: Message) -> RAck | None:
    """RAck, or None where there is none that can be read."""
    parts = _SPACES.split(message.get("RAck") or "")
    if len(parts) != 3 or not is_digits(parts[0]) or not is_digits(parts[1]):
        return None
    return RAck(int(parts[0]), int(parts[1]), parts[2])


# --- as UAC ---


@unique
class Seen(StrEnum):
    NOTHING = "no reliable response in this early dialog yet"
    SOME = "some, in order"


@unique
class Arrival(StrEnum):
    NEXT = "one more than the last"
    AGAIN = "the last, or one before it"
    AHEAD = "one is missing before it"


ARRIVALS: Final[dict[tuple[Seen, Arrival], bool]] = {
    # whether it is taken and acknowledged (§4)
    (Seen.NOTHING, Arrival.NEXT): True,
    (Seen.NOTHING, Arrival.AGAIN): True,  # where nothing was seen, any RSeq is the first
    (Seen.NOTHING, Arrival.AHEAD): True,
    (Seen.SOME, Arrival.NEXT): True,
    (Seen.SOME, Arrival.AGAIN): False,  # the transaction layer repeats our PRACK
    (Seen.SOME, Arrival.AHEAD): False,
}


def in_order(last: int, rseq: int) -> bool:
    """Whether a response with this RSeq is taken; `last` is 0 where none was."""
    seen = Seen.SOME if last else Seen.NOTHING
    if rseq == last + 1:
        return ARRIVALS[seen, Arrival.NEXT]
    return ARRIVALS[seen, Arrival.AHEAD if rseq > last else Arrival.AGAIN]


# --- as UAS ---


@unique
class State(StrEnum):
    QUIET = "nothing waits for a PRACK"
    BARE = "a response without description waits for its PRACK"
    DESCRIBED = "one with a description does"
    ANSWERING = "so does our 2xx, behind it"
    OVER = "a final response has been sent"


@unique
class Input(StrEnum):
    SEND_BARE = "a provisional response is to be sent"
    SEND_DESCRIBED = "one with a description"
    ANSWER = "a 2xx is to be sent"
    REFUSE = "the leg has sent another final response"
    PRACK = "PRACK for what waits"
    PRACK_STRAY = "PRACK for anything else"
    RESEND = "no PRACK in time"
    GIVE_UP = "no PRACK in 64*T1"


@unique
class Action(StrEnum):
    SEND = "send"
    QUEUE = "queue"
    STOP = "stop"
    SEND_NEXT = "send next"
    SEND_AGAIN = "send again"
    HOLD_ANSWER = "hold the answer"
    SEND_ANSWER = "send the answer"
    TAKE_PRACK = "take the PRACK"
    REFUSE_PRACK = "refuse the PRACK"
    FAIL = "fail"


class Row(NamedTuple):
    state: State
    actions: tuple[Action, ...] = ()


S, I, A = State, Input, Action  # noqa: E741 (a table is read by its columns)

_STRAY = (A.REFUSE_PRACK,)

TABLE: Final[dict[tuple[State, Input], Row]] = {
    # RFC 3262 §3 throughout
    (S.QUIET, I.SEND_BARE): Row(S.BARE, (A.SEND,)),
    (S.QUIET, I.SEND_DESCRIBED): Row(S.DESCRIBED, (A.SEND,)),
    (S.QUIET, I.ANSWER): Row(S.OVER, (A.SEND_ANSWER,)),
    (S.QUIET, I.REFUSE): Row(S.OVER),
    (S.QUIET, I.PRACK_STRAY): Row(S.QUIET, _STRAY),
    # a second one waits until the first is acknowledged
    (S.BARE, I.SEND_BARE): Row(S.BARE, (A.QUEUE,)),
    (S.BARE, I.SEND_DESCRIBED): Row(S.BARE, (A.QUEUE,)),
    (S.DESCRIBED, I.SEND_BARE): Row(S.DESCRIBED, (A.QUEUE,)),
    (S.DESCRIBED, I.SEND_DESCRIBED): Row(S.DESCRIBED, (A.QUEUE,)),
    (S.BARE, I.PRACK): Row(S.QUIET, (A.STOP, A.TAKE_PRACK, A.SEND_NEXT)),
    (S.DESCRIBED, I.PRACK): Row(S.QUIET, (A.STOP, A.TAKE_PRACK, A.SEND_NEXT)),
    (S.ANSWERING, I.PRACK): Row(S.OVER, (A.STOP, A.TAKE_PRACK, A.SEND_ANSWER)),
    (S.BARE, I.PRACK_STRAY): Row(S.BARE, _STRAY),
    (S.DESCRIBED, I.PRACK_STRAY): Row(S.DESCRIBED, _STRAY),
    (S.ANSWERING, I.PRACK_STRAY): Row(S.ANSWERING, _STRAY),
    (S.BARE, I.RESEND): Row(S.BARE, (A.SEND_AGAIN,)),
    (S.DESCRIBED, I.RESEND): Row(S.DESCRIBED, (A.SEND_AGAIN,)),
    (S.ANSWERING, I.RESEND): Row(S.ANSWERING, (A.SEND_AGAIN,)),
    (S.BARE, I.GIVE_UP): Row(S.OVER, (A.STOP, A.FAIL)),
    (S.DESCRIBED, I.GIVE_UP): Row(S.OVER, (A.STOP, A.FAIL)),
    (S.ANSWERING, I.GIVE_UP): Row(S.OVER, (A.STOP, A.FAIL)),
    # only a description must be acknowledged before the 2xx
    (S.BARE, I.ANSWER): Row(S.OVER, (A.STOP, A.SEND_ANSWER)),
    (S.DESCRIBED, I.ANSWER): Row(S.ANSWERING, (A.HOLD_ANSWER,)),
    (S.BARE, I.REFUSE): Row(S.OVER, (A.STOP,)),
    (S.DESCRIBED, I.REFUSE): Row(S.OVER, (A.STOP,)),
    (S.ANSWERING, I.REFUSE): Row(S.OVER, (A.STOP,)),
    # a PRACK may come after the final response
    (S.OVER, I.PRACK): Row(S.OVER, (A.TAKE_PRACK,)),
    (S.OVER, I.PRACK_STRAY): Row(S.OVER, _STRAY),
}

IGNORED: Final = frozenset(
    {
        # the answer is on its way: nothing provisional any more
        *((S.ANSWERING, given) for given in (I.SEND_BARE, I.SEND_DESCRIBED, I.ANSWER)),
        *((S.OVER, given) for given in (I.SEND_BARE, I.SEND_DESCRIBED, I.ANSWER, I.REFUSE)),
        # a PRACK is looked up first: in QUIET each is a stray one; the timers are stopped there and in OVER
        *((S.QUIET, given) for given in (I.PRACK, I.RESEND, I.GIVE_UP)),
        *((S.OVER, given) for given in (I.RESEND, I.GIVE_UP)),
    }
)


class _Progress(NamedTuple):
    status: int
    body: bytes


class ReliableProgress:
    """The UAS's machine for one INVITE; made with the first response that is to be reliable."""

    __slots__ = (
        "_again",
        "_answer",
        "_cseq",
        "_given_up_at",
        "_interval_s",
        "_leg",
        "_pracked",
        "_rseq",
        "_unacknowledged",
        "_waiting",
        "settled",
        "state",
    )

    def __init__(self, leg: IncomingLeg, cseq: int) -> None:
        """`cseq` is the number of the leg's INVITE."""
        self._leg = leg
        self._cseq = cseq
        self._rseq = leg.wire.pick(MAX_RSEQ)
        """Of the last one sent; the first takes the number after it."""
        self._unacknowledged: _Progress | None = None
        self._waiting: deque[_Progress] = deque()
        self._again: LegTimer | None = None
        self._interval_s = 0.0
        self._given_up_at = 0.0
        self._answer = b""
        self._pracked: tuple[ServerKey, Request] | None = None
        self.settled = False
        """A description of ours has been acknowledged: a later one could only confuse (RFC 3261 §13.2.1)."""
        self.state = State.QUIET

    # --- inputs ---

    def send(self, status: int, body: bytes) -> None:
        self._step(Input.SEND_DESCRIBED if body else Input.SEND_BARE, _Progress(status, body))

    def answer(self, body: bytes) -> None:
        """2xx now, or as soon as it may go."""
        self._answer = body
        self._step(Input.ANSWER)

    def refused(self) -> None:
        self._step(Input.REFUSE)

    def prack(self, key: ServerKey, request: Request) -> None:
        self._pracked = key, request
        rack = rack_of(request)
        known = rack == (self._rseq, self._cseq, "INVITE") and self._unacknowledged is not None
        self._step(Input.PRACK if known else Input.PRACK_STRAY)
        self._pracked = None

    # --- actions ---

    def _step(self, given: Input, progress: _Progress | None = None) -> None:
        row = TABLE.get((self.state, given))
        if row is None:
            return
        self.state = row.state
        for action in row.actions:
            self._act(action, progress)

    def _act(self, action: Action, progress: _Progress | None) -> None:
        leg = self._leg
        if action is Action.SEND and progress is not None:
            self._send(progress)
        elif action is Action.QUEUE and progress is not None:
            last = self._waiting[-1] if self._waiting else self._unacknowledged
            if progress != last and len(self._waiting) < MAX_WAITING:
                self._waiting.append(progress)
        elif action is Action.STOP:
            if self._again is not None:
                self._again.cancel()
            self._waiting = self._waiting if self.state is State.QUIET else deque()
        elif action is Action.SEND_NEXT:
            if self._waiting:
                following = self._waiting.popleft()
                self.send(following.status, b"" if self.settled else following.body)
        elif action is Action.SEND_AGAIN:
            self._repeat()
        elif action is Action.SEND_ANSWER:
            leg.send_answer(self._answer)
        elif action is Action.TAKE_PRACK:
            self._take()
        elif action is Action.REFUSE_PRACK:
            assert self._pracked is not None
            leg.refuse_prack(*self._pracked)
        elif action is Action.FAIL:
            leg.progress_unacknowledged()

    def _send(self, progress: _Progress) -> None:
        self._rseq += 1
        self._unacknowledged = progress
        self._interval_s = T1_S
        self._given_up_at = self._leg.wire.now + PATIENCE_S
        self._transmit()

    def _repeat(self) -> None:
        self._interval_s *= 2
        self._transmit()

    def _transmit(self) -> None:
        assert self._unacknowledged is not None
        leg = self._leg
        leg.send_progress(self._unacknowledged.status, self._unacknowledged.body, self._rseq)
        at = leg.wire.now + self._interval_s
        if at < self._given_up_at:
            self._again = leg.wire.timers.add(at, self._resend)
        else:
            self._again = leg.wire.timers.add(self._given_up_at, self._give_up)

    def _take(self) -> None:
        assert self._pracked is not None and self._unacknowledged is not None
        described = bool(self._unacknowledged.body)
        self._unacknowledged = None
        self.settled = self.settled or described
        self._leg.take_prack(*self._pracked, described=described)

    def _resend(self) -> None:
        self._step(Input.RESEND)

    def _give_up(self) -> None:
        self._step(Input.GIVE_UP)
