"""A leg: one SIP dialog of one call. It raises events and takes commands; legs never touch each other.

This is what both kinds of `engine.call.legs` share. What few calls need is made when it is first needed:
`leg_offers`, `leg_session`, `leg_refer`, `credentials`.
"""

from __future__ import annotations

from typing import Final

from engine.call.capabilities import (
    ALLOW,
    SDP_TYPE,
    SUPPORTED,
    Headers,
    extension_refusal,
    invite_refusal,
    method_refusal,
    takes_update,
)
from engine.call.leg_challenges import Asking
from engine.call.leg_dialog import LegDialog, Listener, nobody
from engine.call.leg_events import (
    LegAckMissing,
    LegAcknowledged,
    LegEnded,
    LegEvent,
    LegHungUp,
    LegOfferRefused,
    reason_headers,
)
from engine.call.leg_info import AGENT_HEADER, RELAY_TYPE, inform, key_body, report_of
from engine.call.leg_offers import Offers
from engine.call.leg_refer import Referral, refer
from engine.call.leg_refusals import DIALOG_LOST, reasons_of
from engine.call.leg_session import LegSession
from engine.call.session_timer import AGREED, Input, agree_to
from engine.call.wire import ResponseHandler, no_matter
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request, Response, response_to

_DESCRIBES: Final = ("Content-Type", SDP_TYPE)
_CAN: Final = (("Allow", ALLOW), ("Supported", SUPPORTED))


class Leg(LegDialog, eq=False, kw_only=True):
    """What both kinds share."""

    listener: Listener
    answered: bool = False
    """A 2xx has been received, or is on its way: a reliable 18x may still hold ours."""
    accepted: bool = False
    """A 2xx has been sent or received."""
    farewell: Headers = ()
    """Headers of our answer to the peer's BYE."""
    heard_body: bytes = b""
    """The peer's last."""
    allow: str = ""
    """The peer's last Allow, as it came."""
    session: LegSession | None = None
    referral: Referral | None = None
    unreached: bool = False
    """The last audit could not be sent."""
    _offers: Offers | None = None
    _accepted_key: ServerKey | None = None
    """The INVITE whose 2xx waits for its ACK."""
    _accepted_cseq: int = 0
    _alone: bool = False
    """It was a refresh, which the call was not asked about."""
    _leaving: bool = False
    _parting: Headers | None = None
    """Headers of a BYE that waits for an ACK."""

    @property
    def can_update(self) -> bool:
        """Whether the peer takes UPDATE: its Allow says so (RFC 3311 §4)."""
        return takes_update(self.allow)

    # --- who hears of it ---

    def raise_event(self, event: LegEvent) -> None:
        self.listener(self, event)

    def take_description(self, body: bytes) -> None:
        """A description of the peer's counts from now on; empty: nothing new."""
        if body:
            self.heard_body = body

    # --- the dialog ---

    def send(
        self,
        method: str,
        handler: ResponseHandler,
        headers: Headers = (),
        body: bytes = b"",
        dialog: Dialog | None = None,
    ) -> ClientKey:
        """Send a request inside the dialog; challenges are answered where the leg has credentials."""
        dialog = dialog or self.dialog
        assert dialog is not None
        request = dialog.request(method, headers=headers, body=body)
        if self.credentials is not None:
            return Asking(self, dialog, request, handler).key
        wire = self.wire
        return wire.request(request, wire.flow_for(dialog, self.flow), handler)

    @property
    def leaving(self) -> bool:
        """Our BYE has been asked for, or the leg is over."""
        return self._leaving or self.ended

    def rekeyed(self, old: ClientKey, new: ClientKey) -> None:
        """A request goes on under another transaction: it was challenged."""
        if self._offers is not None:
            self._offers.rekeyed(old, new)

    def received(self, key: ServerKey, request: Request) -> None:
        """A request inside the dialog (RFC 3261 §12.2.2)."""
        dialog, tag = self.dialog, request.from_tag or ""
        if dialog is None or dialog.remote_tag != tag:
            dialog = self.early_dialog(tag)
        if dialog is None or self.ended:
            self.wire.respond(key, response_to(request, 481))
            return
        method = request.method
        try:
            dialog.receive(request)
            if method == "BYE" and self.accepted:
                first = request.first
                self.wire.respond(key, response_to(request, 200, headers=self.farewell))
                report = report_of(request) if AGENT_HEADER in first else ""
                self._end(LegHungUp(report, reasons_of(request) if "Reason" in first else ()))
            elif method == "BYE":
                self._said_bye_early(key, request)
            elif method in ("INVITE", "UPDATE"):
                self.offers().received(key, request, invite_refusal(request))
            else:
                self._received(key, request)
        except RemoteProtocolError as error:
            self.wire.respond(key, response_to(request, error.status_hint))

    def _received(self, key: ServerKey, request: Request) -> None:
        """A request that says nothing of offers, nor of the end."""
        refusal = extension_refusal(request)
        if refusal is not None:
            self._answer(key, request, *refusal)
            return
        match request.method:
            case "INFO":
                inform(self, key, request)
            case "PRACK":
                self.pracked(key, request)
            case "REFER":
                refer(self, key, request)
            case "NOTIFY":  # we subscribe to nothing
                self._answer(key, request, 481)
            case "OPTIONS":
                self._answer(key, request, 200, [*_CAN, ("Accept", SDP_TYPE)])
            case method:
                self._answer(key, request, *method_refusal(method))

    def _answer(self, key: ServerKey, request: Request, status: int, headers: Headers = ()) -> None:
        self.wire.respond(key, response_to(request, status, headers=headers))

    def pracked(self, key: ServerKey, request: Request) -> None:
        self._answer(key, request, 481)

    def _said_bye_early(self, key: ServerKey, request: Request) -> None:
        """The dialog is an early one."""

    def acknowledged(self, request: Request) -> None:
        """ACK for a 2xx of ours."""
        key = self._accepted_key
        if key is not None and request.cseq.number == self._accepted_cseq:
            self._accepted_key = None
            self.wire.incoming.pop(key, None)
            body = request.body
            if body:
                self.heard_body = body
            if not self._alone:
                self.listener(self, LegAcknowledged(body))
            if self._parting is not None:
                self._part()

    def ack_missing(self) -> None:
        self._forget_accepted()
        if self._alone and not self._leaving:
            self.lost(408)
            return
        self.raise_event(LegAckMissing())
        self._part()

    def accept(
        self, key: ServerKey, request: Request, body: bytes, to_tag: str | None = None, *, alone: bool = False
    ) -> None:
        """200 to an INVITE; the transaction layer repeats it until the ACK. `alone`: it only refreshes."""
        headers = [("Contact", self.contact), *_CAN, *self._agree(request)]
        if body:
            headers.append(_DESCRIBES)
            self.sent_body = body
        self.accepted, self._alone = True, alone
        self._accepted_key, self._accepted_cseq = key, request.cseq.number
        self.wire.incoming[key] = self
        self.wire.respond(key, response_to(request, 200, to_tag=to_tag, headers=headers, body=body))

    def accept_update(self, key: ServerKey, request: Request, body: bytes) -> None:
        """200 to an UPDATE."""
        headers = [("Contact", self.contact), *_CAN]
        if self.accepted:
            headers += self._agree(request)
        if body:
            headers.append(("Content-Type", SDP_TYPE))
            self.sent_body = body
        self.wire.respond(key, response_to(request, 200, headers=headers, body=body))

    def _forget_accepted(self) -> None:
        if self._accepted_key is not None:
            self.wire.incoming.pop(self._accepted_key, None)
            self._accepted_key = None

    # --- offers inside the dialog ---

    def offers(self) -> Offers:
        if self._offers is None:
            self._offers = Offers(self)
        return self._offers

    @property
    def owes_answer(self) -> bool:
        """The peer's INVITE made an offer that has no answer yet."""
        return False

    @property
    def awaits_answer(self) -> bool:
        """Our INVITE made one."""
        return False

    @property
    def negotiating(self) -> bool:
        """An offer is under way in either direction: another one has to wait (RFC 3261 §14.1, §14.2)."""
        offers = self._offers
        return (
            (offers is not None and (offers.waiting or offers.theirs))
            or self._accepted_key is not None
            or self._unacknowledged is not None
        )

    def cancelled(self, key: ServerKey, cancel: Request) -> None:
        """CANCEL from the peer for an INVITE without final response."""
        if self._offers is not None:
            self._offers.cancelled(key)

    def accept_offer(self, body: bytes) -> None:
        """Answer the peer's offer: 200 to its re-INVITE, UPDATE or PRACK, or the PRACK of a reliable 18x that
        made one.
        """
        if self._offers is not None:
            self._offers.accept(body)

    def refuse_offer(self, status: int) -> None:
        """A final non-2xx to the peer's offer, where one is open."""
        if self._offers is not None:
            self._offers.refuse(status)

    def offer(self, body: bytes, method: str = "INVITE", *, retry: bool = False) -> None:
        """An offer of ours; a re-INVITE without a body asks the peer for one.

        Before the answer only an UPDATE can go (RFC 3311 §5.1), to a peer that allows it. With `retry` the
        leg itself tries again after a glare (RFC 3261 §14.1); without, `LegOfferRefused` tells of the 491.
        """
        if self.leaving or self.current_dialog() is None:
            return
        if not self.accepted and not (method == "UPDATE" and self.can_update):
            self.raise_event(LegOfferRefused(405))
        elif method == "UPDATE" and not self.can_update:
            self.offers().send(body, "INVITE", retry=retry)
        else:
            self.offers().send(body, method, retry=retry)

    def withdraw_offer(self) -> None:
        """CANCEL our re-INVITE, where it has no final response yet; one follows."""
        if self._offers is not None:
            self._offers.withdraw()

    # --- the session's life (RFC 4028) ---

    def timed(self) -> LegSession:
        if self.session is None:
            self.session = LegSession(self)
        return self.session

    def _agree(self, request: Request) -> Headers:
        """Headers of our 2xx to an INVITE or UPDATE; the interval begins anew."""
        wanted_s, session = self.wire.session_expires_s, self.session
        if self._leaving or (session is None and not wanted_s and "Session-Expires" not in request.first):
            return ()
        if session is None:
            session = self.session = LegSession(self)
        agreement, headers = agree_to(request, session.interval_s or wanted_s)
        if agreement is not None:
            session.step(AGREED[agreement.ours], agreement.interval_s)
        return headers

    def lost(self, status: int) -> None:
        """A request of ours says that the peer knows no such dialog (any more)."""
        self.lose(DIALOG_LOST[status])

    def lose(self, reasons: tuple[str, ...]) -> None:
        """The peer is gone without a word: our BYE is for form's sake."""
        self.hang_up(reason_headers(reasons))
        self._end(LegHungUp("", reasons, lost=True))

    # --- keys and references ---

    def report(self, text: str) -> None:
        """INFO with the agent's header: the agent tells the engine something on its own leg."""
        if self.dialog is not None and self.accepted and not self.ended:
            self.send("INFO", no_matter, [(AGENT_HEADER, text)])

    def dtmf(self, digit: str, duration_ms: int) -> None:
        """INFO with one key: 0-9, *, #, A-D."""
        if self.dialog is not None and self.accepted and not self.leaving:
            self.send("INFO", no_matter, [("Content-Type", RELAY_TYPE)], key_body(digit, duration_ms))

    def accept_refer(self) -> None:
        """202 to the peer's REFER; NOTIFY 100 follows unless the peer wants none (RFC 4488)."""
        if self.referral is not None:
            self.referral.accept()

    def refuse_refer(self, status: int = 603) -> None:
        """A final non-2xx to the peer's REFER."""
        if self.referral is not None:
            self.referral.refuse(status)

    def refer_progress(self, status: int) -> None:
        """How the accepted reference goes, by the new call's responses; a final one is the last."""
        if self.referral is not None and not self.leaving:
            self.referral.progress(status)

    # --- the end ---

    def hang_up(self, headers: Headers = ()) -> None:
        """BYE on an answered leg; `LegEnded` follows.

        Who was called must not say it before the ACK, or 64*T1 (RFC 3261 §15).
        """
        if self.ended or self.dialog is None or self._leaving:
            return
        self._leaving = True
        self._stop()
        if self._unacknowledged is not None:
            self.decline()
        if self._accepted_key is not None and not self.owns_call_id:
            self._parting = headers
        else:
            self.send("BYE", self._bye_response, headers)

    def _part(self) -> None:
        """Send the BYE that has had to wait."""
        if self._parting is None or self.ended or self.dialog is None:
            return
        headers, self._parting = self._parting, None
        self.send("BYE", self._bye_response, headers)

    def _bye_response(self, response: Response | None, failure: str) -> None:
        if response is None or response.status >= 200:
            says = response is not None and AGENT_HEADER in response.first
            self._end(LegEnded(report_of(response) if response is not None and says else ""))

    def _stop(self) -> None:
        """Nothing new is begun; what the peer asked gets its answer."""
        if self._offers is not None:
            self._offers.end()
        session, self.session = self.session, None
        if session is not None:
            session.step(Input.STOP)
        if self.referral is not None:
            self.referral.give_up()

    def _end(self, event: LegEvent) -> None:
        if not self.ended:
            if self.session is not None or self._offers is not None or self.referral is not None:
                self._stop()
            self.ended = True
            self.listener(self, event)

    def dispose(self) -> None:
        """Forget everything: the call is over."""
        if not self.ended:
            self._stop()
            self.ended = True
        self.listener = nobody
        dialog = self.dialog
        if dialog is not None:
            self.wire.dialogs.pop((dialog.call_id, dialog.local_tag), None)
        if self._accepted_key is not None:
            self._forget_accepted()
        # what points back here goes: so a leg goes when its call does, and waits for no collector
        if self._offers is not None:
            self._offers.dispose()
            self._offers = None
        self.session = self.referral = None
