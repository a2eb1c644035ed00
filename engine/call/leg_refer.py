"""REFER inside a dialog, and the subscription that tells how it goes (RFC 3515, RFC 4488)."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.call.leg_events import LegReferred
from engine.sip.effects import ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request, Response, response_to
from engine.sip.replaces import Replaces
from engine.sip.status import reason_phrase
from engine.sip.uri import NameAddr

if TYPE_CHECKING:
    from engine.call.leg import Leg
    from engine.call.timers import LegTimer

DECIDE_S: Final = 20.0
"""A REFER that nobody has decided on by then is declined, well before the peer's own patience ends."""
SUBSCRIPTION_S: Final = 180
"""A reference that takes longer is told to be over (RFC 6665 §4.2.1)."""
DECLINED: Final = 603
RETRY_AFTER_S: Final = 5
SIPFRAG_TYPE: Final = "message/sipfrag;version=2.0"


def referred(key: ServerKey, request: Request) -> LegReferred:
    """What a REFER asks for. RemoteProtocolError(400) where it cannot be read (RFC 3515 §2.4.2)."""
    value = request.get("Refer-To")
    if value is None:
        raise RemoteProtocolError("no Refer-To header", request=request)
    refer_to = NameAddr.parse(value)
    replaces = [text for name, text in refer_to.uri.headers if name.lower() == "replaces"]
    if len(replaces) > 1:
        raise RemoteProtocolError("more than one Replaces", request=request)
    return LegReferred(
        refer_to.replace(uri=refer_to.uri.replace(headers=())),
        Replaces.parse(replaces[0]) if replaces else None,
        request.get("Referred-By") or "",
        key,
    )


def refer(leg: Leg, key: ServerKey, request: Request) -> None:
    """A REFER inside the dialog: one at a time, and only once there is a call to refer.

    RemoteProtocolError(400) where it cannot be read.
    """
    if not leg.accepted or (leg.referral is not None and leg.referral.open):
        leg.wire.respond(key, response_to(request, 500, headers=[("Retry-After", str(RETRY_AFTER_S))]))
        return
    event = referred(key, request)
    leg.referral = Referral(leg, key, request)
    leg.raise_event(event)


@unique
class State(StrEnum):
    ASKED = "the REFER has no answer yet"
    SUBSCRIBED = "the peer is told how it goes"
    OVER = "refused, or told for the last time"


@unique
class Input(StrEnum):
    ACCEPT = "the call tries it"
    ACCEPT_SILENT = "the same, and the peer wants no NOTIFY (RFC 4488)"
    REFUSE = "the call does not"
    PROGRESS = "a provisional response from whom it named"
    FINAL = "a final one"
    UNWANTED = "our NOTIFY is refused, or nobody answers it"
    LATE = "no decision, or no end, in time"
    LEG_ENDS = "the leg ends"


@unique
class Action(StrEnum):
    SAY_YES = "202"
    SAY_YES_SILENTLY = "202 with Refer-Sub: false"
    SAY_NO = "the status of the refusal"
    SUBSCRIBE = "the subscription begins, with NOTIFY 100"
    TELL = "NOTIFY active"
    TELL_LAST = "NOTIFY terminated;reason=noresource"
    TELL_TIMEOUT = "NOTIFY 408 terminated;reason=timeout"
    STOP = "stop the timer"


class Row(NamedTuple):
    state: State
    actions: tuple[Action, ...] = ()


S, I, A = State, Input, Action  # noqa: E741 (a table is read by its columns)

TABLE: Final[dict[tuple[State, Input], Row]] = {
    # RFC 3515 §2.4.2 to §2.4.4
    (S.ASKED, I.ACCEPT): Row(S.SUBSCRIBED, (A.STOP, A.SAY_YES, A.SUBSCRIBE)),
    (S.ASKED, I.ACCEPT_SILENT): Row(S.OVER, (A.STOP, A.SAY_YES_SILENTLY)),
    (S.ASKED, I.REFUSE): Row(S.OVER, (A.STOP, A.SAY_NO)),
    (S.ASKED, I.LATE): Row(S.OVER, (A.SAY_NO,)),
    (S.ASKED, I.LEG_ENDS): Row(S.OVER, (A.STOP, A.SAY_NO)),
    (S.SUBSCRIBED, I.PROGRESS): Row(S.SUBSCRIBED, (A.TELL,)),
    (S.SUBSCRIBED, I.FINAL): Row(S.OVER, (A.STOP, A.TELL_LAST)),
    # RFC 6665 §4.2.2, §4.2.3
    (S.SUBSCRIBED, I.UNWANTED): Row(S.OVER, (A.STOP,)),
    (S.SUBSCRIBED, I.LATE): Row(S.OVER, (A.TELL_TIMEOUT,)),
    (S.SUBSCRIBED, I.LEG_ENDS): Row(S.OVER, (A.STOP,)),
}

IGNORED: Final = frozenset(
    {
        # nobody is told before it is accepted
        *((S.ASKED, given) for given in (I.PROGRESS, I.FINAL, I.UNWANTED)),
        # it is decided once
        *((S.SUBSCRIBED, given) for given in (I.ACCEPT, I.ACCEPT_SILENT, I.REFUSE)),
        *((S.OVER, given) for given in I),
    }
)


class Referral:
    """One REFER: the table at work."""

    __slots__ = ("_key", "_leg", "_request", "_timer", "state")

    def __init__(self, leg: Leg, key: ServerKey, request: Request) -> None:
        self._leg = leg
        self._key = key
        self._request = request
        self.state = State.ASKED
        self._timer: LegTimer = leg.wire.timers.add(leg.wire.now + DECIDE_S, self._late)

    @property
    def open(self) -> bool:
        """Not yet refused or told to be over."""
        return self.state is not State.OVER

    # --- inputs ---

    def accept(self) -> None:
        """202, and the first NOTIFY unless the peer wants none."""
        silent = (self._request.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower() == "false"
        self._step(Input.ACCEPT_SILENT if silent else Input.ACCEPT, 202)

    def refuse(self, status: int = DECLINED) -> None:
        self._step(Input.REFUSE, status)

    def progress(self, status: int) -> None:
        """NOTIFY how the reference goes; a final status ends the subscription."""
        self._step(Input.PROGRESS if status < 200 else Input.FINAL, status)

    def give_up(self) -> None:
        """The leg ends: a REFER without an answer gets one."""
        self._step(Input.LEG_ENDS, 487)

    def _late(self) -> None:
        self._step(Input.LATE, DECLINED)

    def _notified(self, response: Response | None, failure: str) -> None:
        if response is None or response.status >= 300:
            self._step(Input.UNWANTED, 0)

    # --- actions ---

    def _step(self, given: Input, status: int) -> None:
        row = TABLE.get((self.state, given))
        if row is None:
            return
        self.state = row.state
        for action in row.actions:
            self._act(action, status)

    def _act(self, action: Action, status: int) -> None:
        wire = self._leg.wire
        if action is Action.STOP:
            self._timer.cancel()
        elif action is Action.SAY_YES:
            self._answer(status, [("Contact", self._leg.contact)])
        elif action is Action.SAY_YES_SILENTLY:
            self._answer(status, [("Contact", self._leg.contact), ("Refer-Sub", "false")])
        elif action is Action.SAY_NO:
            self._answer(status, [])
        elif action is Action.SUBSCRIBE:
            self._timer = wire.timers.add(wire.now + SUBSCRIPTION_S, self._late)
            self._act(Action.TELL, 100)
        elif action is Action.TELL:
            left_s = max(0, round(self._timer.at - wire.now))
            self._notify(status, f"active;expires={left_s}")
        elif action is Action.TELL_LAST:
            self._notify(status, "terminated;reason=noresource")
        else:
            self._notify(408, "terminated;reason=timeout")

    def _answer(self, status: int, headers: list[tuple[str, str]]) -> None:
        self._leg.wire.respond(self._key, response_to(self._request, status, headers=headers))

    def _notify(self, status: int, subscription: str) -> None:
        headers = [
            ("Event", f"refer;id={self._request.cseq.number}"),
            ("Subscription-State", subscription),
            ("Content-Type", SIPFRAG_TYPE),
        ]
        body = f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()
        self._leg.send("NOTIFY", self._notified, headers, body)
