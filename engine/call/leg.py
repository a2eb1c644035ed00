"""A leg: one SIP dialog of one call. It raises events and takes commands; legs never touch each other.

This is what both kinds of `engine.call.legs` share: a dialog, an `o=` line of their own, BYE, and what
comes inside a dialog. What few calls need is made when it is first needed: `engine.call.leg_offers`,
`engine.call.leg_refer`, `engine.call.session_timer`, `engine.call.credentials`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.call.capabilities import (
    ALLOW,
    SDP_TYPE,
    SUPPORTED,
    Headers,
    extension_refusal,
    has_tag,
    invite_refusal,
    method_refusal,
)
from engine.call.credentials import Attempt, Authenticator, Credentials, asked_again, challenged
from engine.call.leg_events import (
    LegAckMissing,
    LegAcknowledged,
    LegDtmf,
    LegEnded,
    LegEvent,
    LegHungUp,
    LegInfo,
    LegOfferRefused,
    reason_headers,
)
from engine.call.leg_info import RELAY_TYPE, Key, key_body, read_info
from engine.call.leg_offers import Offers
from engine.call.leg_refer import Referral, referred
from engine.call.leg_refusals import reasons_of
from engine.call.session_timer import (
    Input,
    SessionTimer,
    State,
    agree_to,
    agreed_by,
    asking_headers,
)
from engine.call.wire import ResponseHandler, Wire
from engine.sdp import Origin, SdpError, build_refusal, rewrite_origin
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, Effect, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.headers import Message
from engine.sip.message import Request, Response, response_to

AGENT_HEADER: Final = "Ringward-Agent"
"""How the dissuasion agent reports on its own leg: `notice-given` in an INFO, `outcome=…` at the end."""
EXPIRED: Final = ('SIP;cause=408;text="Session expired"',)
"""Reason of a BYE for a session that nobody refreshed."""
DIALOG_LOST: Final = {
    408: ('SIP;cause=408;text="Request Timeout"',),
    481: ('SIP;cause=481;text="Call/Transaction Does Not Exist"',),
}
_CAN: Final = (("Allow", ALLOW), ("Supported", SUPPORTED))

Listener = Callable[["Leg", LegEvent], None]


class Leg:
    """What both kinds share."""

    __slots__ = (
        "_accepted_cseq",
        "_accepted_key",
        "_ack",
        "_ack_cseq",
        "_alone",
        "_described",
        "_identity",
        "_leaving",
        "_listener",
        "_offers",
        "_parting",
        "_referral",
        "_session",
        "_session_id",
        "_session_version",
        "_unacknowledged",
        "_updates",
        "accepted",
        "answered",
        "credentials",
        "dialog",
        "ended",
        "farewell",
        "flow",
        "heard_body",
        "role",
        "sent_body",
        "wire",
    )

    owns_call_id = False
    """Whether the Call-ID is of our making: it decides who waits how long after a glare."""

    def __init__(
        self,
        wire: Wire,
        role: str,
        flow: Flow,
        listener: Listener,
        credentials: Credentials | None = None,
    ) -> None:
        self.wire = wire
        self.role = role
        """"caller", "callee" or "agent": also the name of its media endpoint."""
        self.flow = flow
        self.credentials = credentials
        """What challenges of this leg's peer are answered with."""
        self.dialog: Dialog | None = None
        self.answered = False
        """A 2xx has been received, or is on its way: a reliable 18x may still hold ours."""
        self.accepted = False
        """A 2xx has been sent or received."""
        self.ended = False
        self.farewell: Headers = ()
        """Headers of our answer to the peer's BYE."""
        self.sent_body = b""
        """Our last description, as sent."""
        self.heard_body = b""
        """The peer's last."""
        self._listener: Listener | None = listener
        self._session_id = 0
        self._session_version = 0
        self._described = b""
        """What our last description was made of."""
        self._offers: Offers | None = None
        self._session: SessionTimer | None = None
        self._referral: Referral | None = None
        self._identity: Authenticator | None = None
        self._updates: bool | None = None
        """Whether the peer takes UPDATE; None: not looked yet."""
        self._accepted_key: ServerKey | None = None
        """The INVITE whose 2xx waits for its ACK."""
        self._accepted_cseq = 0
        self._alone = False
        """It was a refresh, which the call was not asked about."""
        self._ack: list[Effect] = []
        self._ack_cseq = 0
        self._unacknowledged: bytes | None = None
        """Body of the peer's 2xx that we have not acknowledged."""
        self._leaving = False
        self._parting: Headers | None = None
        """Headers of a BYE that waits for an ACK."""

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def raise_event(self, event: LegEvent) -> None:
        if self._listener is not None:
            self._listener(self, event)

    def is_from(self, host: str) -> bool:
        """Whether the peer may speak from `host`: where it was, said it is, or is reached through."""
        if host == self.flow.remote[0]:
            return True
        dialog = self.current_dialog()
        return dialog is not None and (
            host == dialog.remote_target.host or any(host == route.uri.host for route in dialog.route_set)
        )

    # --- session descriptions: `o=` is ours, per leg, from the first offer on (RFC 3264 §8) ---

    def next_origin(self) -> Origin:
        """The origin for a new description of ours on this leg; its version rises each time."""
        if not self._session_id:
            self._session_id = self.wire.session_id()
        self._session_version += 1
        return self._origin()

    def own(self, body: bytes) -> bytes:
        """A description under this leg's own origin; the version rises only with the content.

        Raises `engine.sdp.SdpError`.
        """
        if not body:
            return body
        if body == self._described:
            return rewrite_origin(body, self._origin())
        owned = rewrite_origin(body, self.next_origin())
        self._described = body
        return owned

    def _origin(self) -> Origin:
        return Origin("-", self._session_id, self._session_version, self.wire.contact.host)

    def take_description(self, body: bytes) -> None:
        """A description of the peer's counts from now on; empty: nothing new."""
        if body:
            self.heard_body = body

    # --- the dialog ---

    @property
    def contact(self) -> str:
        return self.wire.contact_of(self.flow)

    def adopt(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.wire.dialogs[dialog.id.call_id, dialog.id.local_tag] = self

    def current_dialog(self) -> Dialog | None:
        """Where requests of ours go: the dialog, or the early one that was heard last."""
        return self.dialog

    def dialog_with(self, remote_tag: str) -> Dialog | None:
        """The dialog, early or not, whose other end has this tag."""
        dialog = self.dialog
        return dialog if dialog is not None and dialog.id.remote_tag == remote_tag else None

    @property
    def leaving(self) -> bool:
        """Our BYE has been asked for, or the leg is over."""
        return self._leaving or self.ended

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
        if self.credentials is None:
            return self.wire.request(request, self.wire.flow_for(dialog, self.flow), handler)
        return self._ask(dialog, request, handler)

    def _ask(self, dialog: Dialog, request: Request, handler: ResponseHandler) -> ClientKey:
        identity, attempt = self.identity(), Attempt()
        flow = self.wire.flow_for(dialog, self.flow)
        key: ClientKey

        def heard(response: Response | None, failure: str) -> None:
            nonlocal key
            if response is None or not challenged(response) or not identity.learn(response, attempt):
                handler(response, failure)
                return
            dialog.local_cseq += 1
            again = self.wire.request(identity.dress(asked_again(request, dialog.local_cseq)), flow, heard)
            if self._offers is not None:
                self._offers.rekeyed(key, again)
            key = again

        key = self.wire.request(identity.dress(request), flow, heard)
        return key

    def identity(self) -> Authenticator:
        assert self.credentials is not None
        if self._identity is None:
            self._identity = Authenticator(self.credentials, self.wire.ids.token)
        return self._identity

    def received(self, key: ServerKey, request: Request) -> None:
        """A request inside the dialog (RFC 3261 §12.2.2)."""
        dialog = None if self.ended else self.dialog_with(request.from_.tag or "")
        if dialog is None:
            self.wire.respond(key, response_to(request, 481))
            return
        method = request.method
        try:
            dialog.receive(request)
            if method == "BYE":
                self._said_bye(key, request)
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
                self._informed(key, request)
            case "PRACK":
                self.pracked(key, request)
            case "REFER":
                self._referred(key, request)
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

    def _said_bye(self, key: ServerKey, request: Request) -> None:
        self._answer(key, request, 200, self.farewell)
        self._end(LegHungUp(request.get(AGENT_HEADER) or "", reasons_of(request)))

    def acknowledged(self, request: Request) -> None:
        """ACK for a 2xx of ours."""
        if self._accepted_key is not None and request.cseq.number == self._accepted_cseq:
            self._forget_accepted()
            if request.body:
                self.heard_body = request.body
            if not self._alone:
                self.raise_event(LegAcknowledged(request.body))
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
            headers.append(("Content-Type", SDP_TYPE))
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

    @property
    def can_update(self) -> bool:
        """Whether the peer takes UPDATE: its Allow says so (RFC 3311 §4)."""
        if self._updates is None:
            last = self._capabilities()
            self._updates = last is not None and has_tag(last, "Allow", "UPDATE")
        return self._updates

    def _capabilities(self) -> Message | None:
        """The peer's message that says what it can do."""
        return None

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

    def must_acknowledge(self, response: Response) -> None:
        """The peer's 2xx to an INVITE of ours wants its ACK."""
        self._ack, self._ack_cseq = [], response.cseq.number
        self._unacknowledged = response.body

    def acknowledge(self, body: bytes = b"") -> None:
        """ACK for the peer's 2xx; with a body it answers the peer's offer. Nothing where none is due."""
        if self.dialog is None or self._unacknowledged is None:
            return
        self._unacknowledged = None
        headers = [("Content-Type", SDP_TYPE)] if body else []
        if body:
            self.sent_body = body
        if self._identity is not None:
            headers += self._identity.invite_headers
        ack = self.dialog.ack(self._ack_cseq, body=body, headers=headers)
        self._ack = self.wire.send(ack, self._flow())

    def acknowledge_again(self, response: Response) -> None:
        """The peer has not heard our ACK."""
        if response.cseq.number == self._ack_cseq:
            self.wire.repeat(self._ack)

    def decline(self) -> None:
        """Acknowledge a 2xx whose offer nobody will answer (RFC 3261 §13.2.2.4)."""
        offer = self._unacknowledged
        try:
            self.acknowledge(build_refusal(offer, self.next_origin()) if offer else b"")
        except SdpError:
            self.acknowledge()

    # --- the session's life (RFC 4028) ---

    @property
    def session_timed(self) -> bool:
        """Whether a session timer is running."""
        return self._session is not None and self._session.state is not State.OFF

    @property
    def session_interval_s(self) -> int:
        return self._session.interval_s if self._session is not None else 0

    @session_interval_s.setter
    def session_interval_s(self, interval_s: int) -> None:
        if self._session is not None:
            self._session.interval_s = self._session.least_s = interval_s

    def session_headers(self) -> Headers:
        """Of an INVITE or UPDATE of ours: who refreshes stays as it is."""
        session = self._session
        if session is None or session.state is State.OFF:
            return ()
        return asking_headers(session.interval_s, ours=session.state is State.OURS, least_s=session.least_s)

    def session_agreed(self, response: Response) -> None:
        """A 2xx to an INVITE or UPDATE of ours."""
        if not self.accepted or self._leaving:
            return
        agreement = agreed_by(response, self.session_interval_s)
        if agreement is not None:
            self._timed().agree(agreement)

    def _agree(self, request: Request) -> Headers:
        """Headers of our 2xx to an INVITE or UPDATE; the interval begins anew."""
        if self._leaving:
            return ()
        agreement, headers = agree_to(request, self.session_interval_s or self.wire.session_expires_s)
        if agreement is not None:
            self._timed().agree(agreement)
        return headers

    def _timed(self) -> SessionTimer:
        if self._session is None:
            self._session = SessionTimer(self)
        return self._session

    def refresh(self) -> None:
        """Send what tells the peer that we are there: UPDATE, or the description we sent last once more."""
        if self.negotiating:
            self._refused_refresh()
        elif self.can_update or not self.sent_body:
            self.offers().send(b"", "UPDATE", retry=True, refreshes=True)
        else:
            self.offers().send(self.sent_body, "INVITE", retry=True, refreshes=True)

    def refresh_refused(self, status: int, method: str) -> None:
        """Our refresh got a final non-2xx that says nothing of the dialog."""
        if method == "UPDATE" and status in (405, 501) and self.sent_body:
            self._updates = False
            self.refresh()
        else:
            self._refused_refresh()

    def _refused_refresh(self) -> None:
        if self._session is not None:
            self._session.step(Input.REFUSED)

    def session_expired(self) -> None:
        self._lose(EXPIRED)

    def lost(self, status: int) -> None:
        """A request of ours says that the peer knows no such dialog (any more)."""
        self._lose(DIALOG_LOST[status])

    def _lose(self, reasons: tuple[str, ...]) -> None:
        self.hang_up(reason_headers(reasons))
        self._end(LegHungUp("", reasons))

    # --- keys and references ---

    def report(self, text: str) -> None:
        """INFO with the agent's header: the agent tells the engine something on its own leg."""
        if self.dialog is not None and self.accepted and not self.ended:
            self.send("INFO", _nothing, [(AGENT_HEADER, text)])

    def dtmf(self, digit: str, duration_ms: int) -> None:
        """INFO with one key: 0-9, *, #, A-D."""
        if self.dialog is not None and self.accepted and not self.leaving:
            self.send("INFO", _nothing, [("Content-Type", RELAY_TYPE)], key_body(digit, duration_ms))

    def _informed(self, key: ServerKey, request: Request) -> None:
        report = request.get(AGENT_HEADER)
        if report:
            self._answer(key, request, 200)
            if self.accepted:
                self.raise_event(LegInfo(report))
            return
        told = read_info(request)
        if isinstance(told, Key):
            self._answer(key, request, 200)
            self.raise_event(LegDtmf(told.digit, told.duration_ms))
        elif told is None:
            self._answer(key, request, 200)
        else:
            self._answer(key, request, *told)

    def _referred(self, key: ServerKey, request: Request) -> None:
        if not self.accepted or (self._referral is not None and self._referral.open):
            self._answer(key, request, 500, [("Retry-After", "5")])
            return
        event = referred(key, request)
        self._referral = Referral(self, key, request)
        self.raise_event(event)

    def accept_refer(self) -> None:
        """202 to the peer's REFER; NOTIFY 100 follows unless the peer wants none (RFC 4488)."""
        if self._referral is not None:
            self._referral.accept()

    def refuse_refer(self, status: int = 603) -> None:
        """A final non-2xx to the peer's REFER."""
        if self._referral is not None:
            self._referral.refuse(status)

    def refer_progress(self, status: int, reason: str = "") -> None:
        """How the accepted reference goes, as the new call's responses say it; a final one is the last."""
        if self._referral is not None and not self.leaving:
            self._referral.progress(status, reason)

    # --- the end ---

    def hang_up(self, headers: Headers = ()) -> None:
        """BYE on an answered leg; `LegEnded` follows."""
        if self.ended or self.dialog is None or self._leaving:
            return
        self._leaving = True
        self._stop()
        if self._unacknowledged is not None:
            self.decline()
        self._parting = headers
        self._part()

    def _part(self) -> None:
        """Send the BYE that is wanted, unless it has to wait."""
        if self._parting is None or self.ended or self.dialog is None or self._must_stay():
            return
        headers, self._parting = self._parting, None
        self.send("BYE", self._bye_response, headers)

    def _must_stay(self) -> bool:
        return False

    def _bye_response(self, response: Response | None, failure: str) -> None:
        if response is None or response.status >= 200:
            report = response.get(AGENT_HEADER) if response is not None else None
            self._end(LegEnded(report or ""))

    def _stop(self) -> None:
        """Nothing new is begun; what the peer asked gets its answer."""
        if self._offers is not None:
            self._offers.end()
        if self._session is not None:
            self._session.step(Input.STOP)
        if self._referral is not None:
            self._referral.give_up()

    def _end(self, event: LegEvent) -> None:
        if not self.ended:
            self._stop()
            self.ended = True
            self.raise_event(event)

    def dispose(self) -> None:
        """Forget everything: the call is over."""
        self._stop()
        self.ended = True
        self._listener = None
        if self.dialog is not None:
            self.wire.dialogs.pop((self.dialog.id.call_id, self.dialog.id.local_tag), None)
        self._forget_accepted()
        if self._offers is not None:
            self._offers.dispose()

    def _flow(self) -> Flow:
        return self.wire.flow_for(self.dialog, self.flow) if self.dialog is not None else self.flow


def _nothing(response: Response | None, failure: str) -> None:
    """For requests whose answer changes nothing."""
