"""Offers inside one leg's dialog, both ways: re-INVITE (RFC 3261 §14), UPDATE (RFC 3311), and PRACK with an
offer (RFC 3262 §5). Made with a leg's first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.call.capabilities import ALLOW, SDP_TYPE, SUPPORTED_INSIDE, Refusal
from engine.call.leg_events import (
    LegOfferAnswered,
    LegOfferCancelled,
    LegOffered,
    LegOfferRefused,
    LegRefreshed,
)
from engine.call.leg_refusals import retry_after
from engine.call.offer_table import TABLE, Given, Ruling, Standing
from engine.sip.effects import ClientKey, ServerKey
from engine.sip.message import Request, Response, response_to
from engine.sip.session_expires import session_expires

if TYPE_CHECKING:
    from engine.call.leg import Leg
    from engine.call.timers import LegTimer

RETRY_AFTER_S: Final = 10
"""A peer that offers twice at once is told to wait 0 to 10 s (RFC 3261 §14.2, RFC 3311 §5.2)."""
PATIENCE_S: Final = 20.0
"""An UPDATE or PRACK wants an answer at once: 504 comes before the peer's own timer F."""
MOST_RETRIES: Final = 8
"""Of an offer of ours that meets one of the peer's each time."""
STEP_S: Final = 0.01


class Offers:
    """What is under way in either direction."""

    __slots__ = (
        "_again",
        "_body",
        "_key",
        "_leg",
        "_method",
        "_patience",
        "_refreshes",
        "_request",
        "_retries",
        "ours",
        "waiting",
    )

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._key: ServerKey | None = None
        """The peer's, not answered yet."""
        self._request: Request | None = None
        self._patience: LegTimer | None = None
        self.ours: ClientKey | None = None
        """Our last one: a 2xx to a re-INVITE may come again."""
        self.waiting = False
        """… and it has no final response yet."""
        self._body = b""
        self._method = "INVITE"
        self._refreshes = False
        """Our last one only refreshes the session: the leg's own affair."""
        self._retries = 0
        """How often it may still be sent again by itself."""
        self._again: LegTimer | None = None

    @property
    def theirs(self) -> bool:
        return self._key is not None

    # --- the peer's ---

    def received(self, key: ServerKey, request: Request, refusal: Refusal | None) -> None:
        """A re-INVITE or UPDATE."""
        leg = self._leg
        refusal = refusal or self._overlap(request)
        if refusal is not None:
            status, headers = refusal
            leg.wire.respond(key, response_to(request, status, headers=headers))
        elif not self._refreshed(key, request):
            self._ask(key, request)

    def pracked(self, key: ServerKey, request: Request) -> None:
        """A PRACK whose body is a new offer."""
        refusal = self._overlap(request)
        if refusal is not None:
            status, headers = refusal
            self._leg.wire.respond(key, response_to(request, status, headers=headers))
        else:
            self._ask(key, request)

    def _overlap(self, request: Request) -> Refusal | None:
        """Why an offer cannot be looked at now."""
        ruling = TABLE[self._standing(), self._given(request)]
        if ruling is Ruling.TAKE:
            return None
        if ruling is Ruling.GLARE:
            return 491, ()
        if ruling is Ruling.BUSY:
            return 500, ()
        return 500, [("Retry-After", str(self._leg.wire.pick(RETRY_AFTER_S + 1)))]

    def _standing(self) -> Standing:
        leg = self._leg
        if self.theirs:
            return Standing.CROSSED if self.waiting else Standing.THEIRS
        if self.waiting:
            return Standing.OURS
        if leg.negotiating or leg.awaits_answer:
            return Standing.UNSETTLED
        return Standing.OWED if leg.owes_answer else Standing.SETTLED

    def _given(self, request: Request) -> Given:
        leg = self._leg
        if request.method == "PRACK":
            return Given.PRACK
        if request.method == "UPDATE":
            return Given.UPDATE if request.body else Given.BARE
        if leg.accepted:
            return Given.INVITE
        return Given.BACK if leg.owns_call_id else Given.SECOND

    def _refreshed(self, key: ServerKey, request: Request) -> bool:
        """Answer what changes nothing: an UPDATE without offer, a refresh that repeats the description."""
        leg = self._leg
        same = session_expires(request) is not None and request.body == leg.heard_body != b""
        if request.method == "UPDATE" and (same or not request.body):
            leg.accept_update(key, request, leg.sent_body if request.body else b"")
        elif request.method == "INVITE" and same and leg.sent_body:
            leg.accept(key, request, leg.sent_body, alone=True)
        else:
            return False
        leg.raise_event(LegRefreshed())
        return True

    def _ask(self, key: ServerKey, request: Request) -> None:
        leg = self._leg
        self._key, self._request = key, request
        leg.wire.incoming[key] = leg
        if request.method == "INVITE":
            leg.wire.respond(key, response_to(request, 100))
        else:
            self._patience = leg.wire.timers.add(leg.wire.now + PATIENCE_S, self._out_of_patience)
        leg.raise_event(LegOffered(request.body, request.method))

    def _out_of_patience(self) -> None:
        self.refuse(504)
        self._leg.raise_event(LegOfferCancelled())

    def cancelled(self, key: ServerKey) -> None:
        """CANCEL for a re-INVITE without final response; the call goes on without its offer."""
        if key == self._key:
            self.refuse(487)
            self._leg.raise_event(LegOfferCancelled())

    def accept(self, body: bytes) -> None:
        key, request = self.take()
        if key is None or request is None:
            return
        leg = self._leg
        leg.take_description(request.body)
        if request.method == "INVITE":
            leg.accept(key, request, body)
        elif request.method == "UPDATE":
            leg.accept_update(key, request, body)
        else:
            leg.sent_body = body
            headers = [("Content-Type", SDP_TYPE)]
            leg.wire.respond(key, response_to(request, 200, headers=headers, body=body))

    def refuse(self, status: int) -> None:
        key, request = self.take()
        if key is not None and request is not None:
            self._leg.wire.respond(key, response_to(request, status))

    def take(self) -> tuple[ServerKey | None, Request | None]:
        key, request = self._key, self._request
        self._key = self._request = None
        if key is not None:
            self._leg.wire.incoming.pop(key, None)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        return key, request

    # --- ours ---

    def send(self, body: bytes, method: str, *, retry: bool, refreshes: bool = False) -> None:
        self._body, self._method, self._refreshes = body, method, refreshes
        self._retries = MOST_RETRIES if retry else 0
        self._send()

    def _send(self) -> None:
        leg, body = self._leg, self._body
        self._stop_retrying()
        dialog = leg.current_dialog()
        if dialog is None or leg.leaving:
            return
        headers: list[tuple[str, str]] = [
            ("Allow", ALLOW),
            ("Supported", SUPPORTED_INSIDE),
            *(leg.session.headers() if leg.session is not None else ()),
        ]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
            leg.sent_body = body
        leg.wire.forget(self.ours)
        self.waiting = True
        self.ours = leg.send(self._method, self._response, headers, body, dialog)

    def withdraw(self) -> None:
        """CANCEL our re-INVITE, where it has no final response yet; one follows."""
        self._stop_retrying()
        if self.waiting and self.ours is not None and self.ours.method == "INVITE":
            self._leg.wire.cancel(self.ours)

    def _response(self, response: Response | None, failure: str) -> None:
        if response is not None and response.status < 200:
            return
        if response is not None and response.status < 300:
            self._answered(response)
            return
        self.waiting = False
        leg = self._leg
        status = response.status if response is not None else 408
        wait_s = retry_after(response) if response is not None else None
        if status in (408, 481) and leg.accepted:  # RFC 3261 §12.2.1.2: the dialog is gone
            leg.lost(status)
        elif (
            status == 422
            and response is not None
            and leg.session is not None
            and leg.session.lengthen(response)
        ):
            self._send()
        elif self._retries and not leg.leaving and (status == 491 or (status == 500 and wait_s is not None)):
            self._retries -= 1
            delay_s = self.glare_s() if status == 491 else float(wait_s or 0)
            self._again = leg.wire.timers.add(leg.wire.now + delay_s, self._retry)
        elif self._refreshes:
            leg.timed().refused(status, self._method)
        else:
            leg.raise_event(LegOfferRefused(status, wait_s))

    def _answered(self, response: Response) -> None:
        leg = self._leg
        if not self.waiting:
            leg.wire.acknowledge_again(self.ours, response.to_tag or "")
            return
        self.waiting = False
        method = response.cseq.method
        changed = response.body if response.body != leg.heard_body else b""
        leg.take_description(response.body)
        dialog = leg.current_dialog()
        if dialog is not None:
            dialog.refresh(response)
        if method == "INVITE":
            leg.must_acknowledge(self.ours, response.cseq.number, response.body)
        if leg.session is not None and not leg.leaving:
            leg.session.agreed(response)
        if self._refreshes:
            leg.acknowledge()
            leg.raise_event(LegRefreshed(changed))
        else:
            leg.raise_event(LegOfferAnswered(response.body, method))

    def glare_s(self) -> float:
        """How long to wait after a glare (RFC 3261 §14.1): 2.1 to 4 s for who made the Call-ID, else to 2."""
        pick = self._leg.wire.pick
        if self._leg.owns_call_id:
            return round(2.1 + STEP_S * pick(191), 2)
        return round(STEP_S * pick(201), 2)

    def _retry(self) -> None:
        leg = self._leg
        self._again = None
        if leg.negotiating:
            self._again = leg.wire.timers.add(leg.wire.now + self.glare_s(), self._retry)
        else:
            self._send()

    def _stop_retrying(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    # --- the end ---

    def rekeyed(self, old: ClientKey, new: ClientKey) -> None:
        """Our offer goes on under another transaction: it was challenged."""
        if self.ours == old:
            self.ours = new

    def end(self) -> None:
        """Nothing more is offered; what the peer offered gets its answer."""
        self._stop_retrying()
        self.refuse(487)

    def dispose(self) -> None:
        self.take()
        self.withdraw()  # its transaction would wait for a final response for ever
        self._leg.wire.forget(self.ours)
