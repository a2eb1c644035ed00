"""A leg by which we call somebody: user agent client of its first INVITE."""

from __future__ import annotations

from engine.call.capabilities import RELIABLE, SDP_TYPE, SUPPORTED, SUPPORTED_INSIDE, Headers, has_tag
from engine.call.credentials import Attempt, Credentials, asked_again, challenged
from engine.call.early import MAX_EARLY, Early
from engine.call.leg import Leg
from engine.call.leg_dialog import Listener
from engine.call.leg_events import LegAnswered, LegRefused, LegRinging
from engine.call.leg_refusals import refusal
from engine.call.reliable import rseq_of
from engine.call.session_timer import asking_headers, longer_interval
from engine.call.wire import Wire
from engine.sdp import SdpError, build_refusal
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.headers import Message
from engine.sip.message import Request, Response, response_to


class OutgoingLeg(Leg):
    """An INVITE of ours and what becomes of it."""

    __slots__ = (
        "_attempt",
        "_cancelling",
        "_current",
        "_early",
        "_key",
        "_owed",
        "_reliable",
        "_request",
        "_session_s",
        "_tellable",
        "heard",
    )

    owns_call_id = True

    def __init__(
        self,
        wire: Wire,
        role: str,
        flow: Flow,
        listener: Listener,
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__(wire, role, flow, listener, credentials)
        self._key: ClientKey | None = None
        self._request: Request | None = None
        self._attempt: Attempt | None = None
        self._cancelling = False
        self.heard = False
        """The next hop has said something."""
        self._reliable = False
        """100rel was offered."""
        self._session_s = 0
        """The session interval that the INVITE asks for."""
        self._early: dict[str, Early] | None = None
        """To tag → early dialog."""
        self._current: Early | None = None
        """The early dialog heard last."""
        self._owed: Early | None = None
        """The early dialog whose reliable 18x made an offer that we have not answered."""
        self._tellable: Message | None = None
        """The peer's message that says what it can do."""

    # --- the INVITE ---

    def invite(self, request: Request, *, reliable: bool | None = None) -> None:
        """Send the first INVITE; Supported and Session-Expires are the leg's to add.

        `reliable` offers 100rel. By default an INVITE with an offer does: without one a reliable 18x may make
        an offer (`LegRinging.offers`), which somebody must be there to answer at once.
        """
        self._reliable = bool(request.body) if reliable is None else reliable
        self._session_s = self.wire.session_expires_s
        self.sent_body = request.body
        headers = [*request.headers, ("Supported", SUPPORTED if self._reliable else SUPPORTED_INSIDE)]
        if self._session_s:
            headers += asking_headers(self._session_s)
        self._send(Request(request.method, request.request_uri, headers, request.body))

    def _send(self, request: Request) -> None:
        self._request = request
        self._key = self.wire.request(request, self.flow, self._response)

    def _response(self, response: Response | None, failure: str) -> None:
        self.heard = response is not None
        if response is None:
            status = 408 if failure == "timeout" else 503
            self._refused(LegRefused(status, "", no_response=failure))
        elif response.status < 200:
            # 100 says only that the next hop has the INVITE
            if response.status > 100 and not self._cancelling:
                self._progressed(response)
        elif response.status < 300:
            self._answered(response)
        elif self._cancelling or not self._asked_again(response):
            self._refused(refusal(response))

    def _asked_again(self, response: Response) -> bool:
        """Answer a challenge, or a demand for longer sessions; the leg goes on with the new INVITE."""
        request = self._request
        if request is None:
            return False
        number = request.cseq.number + 1
        if challenged(response):
            if self.credentials is None:
                return False
            if self._attempt is None:
                self._attempt = Attempt()
            if not self.identity().learn(response, self._attempt):
                return False
            request = asked_again(request, number)
        elif response.status == 422:
            longer_s = longer_interval(response, self._session_s)
            if not longer_s:
                return False
            self._session_s = longer_s
            rows = [
                row
                for row in asked_again(request, number).headers
                if row[0] not in ("Session-Expires", "Min-SE")
            ]
            rows += asking_headers(longer_s, least_s=longer_s)
            request = Request(request.method, request.request_uri, rows, request.body)
        else:
            return False
        self._forget_early()
        self._send(self.identity().dress(request) if self._attempt is not None else request)
        return True

    # --- before the answer ---

    def _progressed(self, response: Response) -> None:
        assert self._request is not None
        tag = response.to.tag or ""
        early = self._early
        if early is None:
            early = self._early = {}
            self.wire.dialogs[self._request.call_id, self._request.from_.tag or ""] = self
        known = early.get(tag)
        if response.status == 199:  # one branch of the fork is over; the others go on (RFC 6228)
            early.pop(tag, None)
            return
        if known is None:
            known = Early(response)
            if len(early) < MAX_EARLY:
                early[tag] = known
        rseq = rseq_of(response) if self._reliable and has_tag(response, "Require", RELIABLE) else None
        if rseq is not None and (tag not in early or not known.takes(rseq)):
            return
        self._current, self._tellable, self._updates = known, response, None
        offers = rseq is not None and bool(response.body) and not self._request.body
        if rseq is not None:
            known.described = response.body or known.described
            if offers:
                self._owed = known
            else:
                self._prack(known, b"")
        self.take_description(response.body)
        self.raise_event(LegRinging(response.body, response.status, rseq is not None, offers))

    def _prack(self, early: Early, body: bytes) -> None:
        assert self._request is not None
        headers = [("RAck", f"{early.rseq} {self._request.cseq.number} INVITE")]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
            self.sent_body = body
        dialog = early.dialog(self._request, self.contact)
        self.send("PRACK", _nothing, headers, body, dialog)

    def accept_offer(self, body: bytes) -> None:
        owed, self._owed = self._owed, None
        if owed is not None:
            self._prack(owed, body)
        else:
            super().accept_offer(body)

    def refuse_offer(self, status: int) -> None:
        owed, self._owed = self._owed, None
        if owed is None:
            super().refuse_offer(status)
            return
        try:
            self._prack(owed, build_refusal(owed.described, self.next_origin()))
        except SdpError:
            self._prack(owed, b"")

    @property
    def awaits_answer(self) -> bool:
        current = self._current
        described = current is not None and current.described
        return not self.accepted and self._request is not None and bool(self._request.body) and not described

    @property
    def owes_answer(self) -> bool:
        return self._owed is not None

    def take_description(self, body: bytes) -> None:
        super().take_description(body)
        if body and self._current is not None and self._current.described:
            self._current.described = body

    def current_dialog(self) -> Dialog | None:
        if self.dialog is None and self._current is not None and self._request is not None:
            return self._current.dialog(self._request, self.contact)
        return self.dialog

    def dialog_with(self, remote_tag: str) -> Dialog | None:
        if self.dialog is None and self._early is not None and self._request is not None:
            early = self._early.get(remote_tag)
            return early.dialog(self._request, self.contact) if early is not None else None
        return super().dialog_with(remote_tag)

    def _said_bye(self, key: ServerKey, request: Request) -> None:
        if self.accepted:
            super()._said_bye(key, request)
        else:  # RFC 3261 §15: who was called refuses the INVITE instead
            self.wire.respond(key, response_to(request, 481))

    def _forget_early(self) -> None:
        self._early = self._current = self._owed = None

    # --- the answer ---

    def _answered(self, response: Response) -> None:
        assert self._request is not None
        tag = response.to.tag or ""
        if self.dialog is not None:
            if tag == self.dialog.id.remote_tag:
                self.acknowledge_again(response)
            else:
                self._drop_fork(response)
            return
        early = self._early.get(tag) if self._early is not None else None
        try:
            if early is None or not early.has_dialog:
                dialog = Dialog.uac(self._request, response, self.contact)
            else:
                dialog = early.dialog(self._request, self.contact)
                dialog.confirm(response)
        except RemoteProtocolError as error:  # a 2xx without Contact cannot be acknowledged
            self._refused(LegRefused(502, str(error)))
            return
        self.answered = self.accepted = True
        self._ack_cseq, self._unacknowledged = self._request.cseq.number, response.body
        self._tellable, self._updates = response, None
        self.adopt(dialog)
        if self._cancelling:  # the 200 crossed our CANCEL (RFC 3261 §9.1)
            if self._request.body:
                self.acknowledge()
            self.hang_up()
            return
        if self._session_s or response.rows("Session-Expires"):
            self.timed().agreed(response, self._session_s)
        body = (early.described if early is not None else b"") or response.body
        self.take_description(body)
        self.raise_event(LegAnswered(body))

    def _drop_fork(self, response: Response) -> None:
        """A second 2xx from another branch of a fork: acknowledge and end it (RFC 3261 §13.2.2.4)."""
        request, tag = self._request, response.to.tag or ""
        assert request is not None
        if self._early is None:
            self._early = {}
        early = self._early.get(tag)
        again = early is not None and early.dropped
        if not again and sum(each.dropped for each in self._early.values()) >= MAX_EARLY:
            return
        if early is None:
            early = self._early[tag] = Early(response)
        early.dropped = True
        other = early.dialog(request, self.contact)
        other.confirm(response)
        identity = self._identity
        headers = identity.invite_headers if identity is not None else ()
        self.wire.send(other.ack(request.cseq.number, headers=headers), self.wire.flow_for(other, self.flow))
        if not again:
            self.send("BYE", _nothing, dialog=other)

    def _refused(self, event: LegRefused) -> None:
        if self.ended:
            return
        self._stop()
        self.ended = True
        self.raise_event(event)

    def cancel(self, headers: Headers = ()) -> None:
        """CANCEL an INVITE that has no final response; `LegRefused` or `LegEnded` follows."""
        if self._key is None:
            self.ended = True  # it was never sent
        elif not self._cancelling and not self.answered and not self.ended:
            self._cancelling = True
            self._stop()
            self.wire.cancel(self._key, headers)

    def _capabilities(self) -> Message | None:
        return self._tellable

    def dispose(self) -> None:
        if self.dialog is None and self._request is not None:
            self.wire.dialogs.pop((self._request.call_id, self._request.from_.tag or ""), None)
        super().dispose()
        self.wire.forget(self._key)


def _nothing(response: Response | None, failure: str) -> None:
    """For requests whose answer changes nothing."""
