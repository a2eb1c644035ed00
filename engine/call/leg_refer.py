"""REFER inside a dialog, and the subscription that tells how it goes (RFC 3515, RFC 4488)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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


class Referral:
    """One REFER: undecided, then with a subscription until the final progress."""

    __slots__ = ("_key", "_leg", "_request", "_timer", "open")

    def __init__(self, leg: Leg, key: ServerKey, request: Request) -> None:
        self._leg = leg
        self._key: ServerKey | None = key
        self._request = request
        self.open = True
        """Not yet refused or told to be over."""
        self._timer: LegTimer = leg.wire.timers.add(leg.wire.now + DECIDE_S, self.refuse)

    def accept(self) -> None:
        """202, and the first NOTIFY unless the peer wants none."""
        if self._key is None:
            return
        silent = (self._request.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower() == "false"
        headers = [("Contact", self._leg.contact)]
        if silent:
            headers.append(("Refer-Sub", "false"))
        self._answer(202, headers)
        if silent:
            self.open = False
            return
        wire = self._leg.wire
        self._timer = wire.timers.add(wire.now + SUBSCRIPTION_S, self._expired)
        self._notify(100, "active")

    def refuse(self, status: int = 603) -> None:
        if self._key is not None:
            self._answer(status, [])
            self.open = False

    def progress(self, status: int) -> None:
        """NOTIFY how the reference goes; a final status ends the subscription."""
        if self._key is not None or not self.open:
            return
        if status < 200:
            self._notify(status, "active")
        else:
            self.stop()
            self._notify(status, "terminated;reason=noresource")

    def stop(self) -> None:
        """The subscription, or the leg, is over."""
        self.open = False
        self._timer.cancel()

    def give_up(self) -> None:
        """The leg ends: a REFER without an answer gets one."""
        self.refuse(487)
        self.stop()

    def _answer(self, status: int, headers: list[tuple[str, str]]) -> None:
        assert self._key is not None
        self._leg.wire.respond(self._key, response_to(self._request, status, headers=headers))
        self._key = None
        self._timer.cancel()

    def _notify(self, status: int, subscription: str) -> None:
        if subscription == "active":
            left_s = max(0, round(self._timer.at - self._leg.wire.now))
            subscription = f"active;expires={left_s}"
        headers = [
            ("Event", f"refer;id={self._request.cseq.number}"),
            ("Subscription-State", subscription),
            ("Content-Type", SIPFRAG_TYPE),
        ]
        body = f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()
        self._leg.send("NOTIFY", self._notified, headers, body)

    def _notified(self, response: Response | None, failure: str) -> None:
        if response is None or response.status >= 300:  # nobody wants to know (RFC 6665 §4.2.2)
            self.stop()

    def _expired(self) -> None:
        self.open = False
        self._notify(408, "terminated;reason=timeout")
