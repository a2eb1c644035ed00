"""The two kinds of legs: `IncomingLeg` is a user agent server (a caller reached us), `OutgoingLeg` a client
(we called somebody). Once answered they are alike, see `engine.call.leg`.
"""

from __future__ import annotations

from engine.call.capabilities import ALLOW, RELIABLE, SDP_TYPE, SUPPORTED, Headers, has_tag
from engine.call.credentials import Attempt, Credentials, asked_again, challenged
from engine.call.early import MAX_EARLY, Early
from engine.call.leg import AGENT_HEADER, Leg, Listener
from engine.call.leg_events import (
    LegAnswered,
    LegCancelled,
    LegEnded,
    LegHungUp,
    LegProgressAcknowledged,
    LegRefused,
    LegRinging,
)
from engine.call.leg_refusals import reasons_of, refusal
from engine.call.reliable import ReliableProgress, rseq_of
from engine.call.session_timer import agreed_by, asking_headers, longer_interval
from engine.call.wire import Wire
from engine.sdp import SdpError, build_refusal
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.headers import Message
from engine.sip.message import Request, Response, response_to

__all__ = ["AGENT_HEADER", "ALLOW", "SDP_TYPE", "Headers", "IncomingLeg", "Leg", "Listener", "OutgoingLeg"]


class IncomingLeg(Leg):
    """A caller's INVITE and what becomes of it."""

    __slots__ = ("_key", "_reliable", "_tag", "request")

    def __init__(
        self, wire: Wire, role: str, flow: Flow, listener: Listener, key: ServerKey, request: Request
    ) -> None:
        super().__init__(wire, role, flow, listener)
        self.request = request
        self.heard_body = request.body
        self._key = key
        self._tag = wire.ids.tag()
        self._reliable: ReliableProgress | None = None
        wire.incoming[key] = self

    # --- before the answer ---

    @property
    def settled(self) -> bool:
        """The caller has acknowledged a description of ours: only an UPDATE can change it now."""
        return self._reliable is not None and self._reliable.settled

    def progress(self, status: int, body: bytes = b"") -> None:
        """18x, from one early dialog; reliably where the caller demands it, or can and gets a description."""
        if self.answered or self.ended:
            return
        if self.dialog is None:
            self.adopt(Dialog.uas(self.request, self._tag, self.contact))
        if self.settled:
            body = b""
        demanded = self.demands_reliable
        if demanded or (body and has_tag(self.request, "Supported", RELIABLE)):
            if self._reliable is None:
                self._reliable = ReliableProgress(self)
            self._reliable.send(status, body)
        else:
            self.send_progress(status, body, 0)

    @property
    def demands_reliable(self) -> bool:
        return RELIABLE in self.request.requires

    def send_progress(self, status: int, body: bytes, rseq: int) -> None:
        """One 18x; reliable where `rseq` is not 0."""
        headers = [("Contact", self.contact), ("Allow", ALLOW)]
        if rseq:
            headers += [("Require", RELIABLE), ("RSeq", str(rseq))]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
            self.sent_body = body
        response = response_to(self.request, status, to_tag=self._tag, headers=headers, body=body)
        self.wire.respond(self._key, response)

    def pracked(self, key: ServerKey, request: Request) -> None:
        if self._reliable is None:
            self.refuse_prack(key, request)
        else:
            self._reliable.prack(key, request)

    def refuse_prack(self, key: ServerKey, request: Request) -> None:
        """It acknowledges nothing that waits (RFC 3262 §3)."""
        self.wire.respond(key, response_to(request, 481))

    def take_prack(self, key: ServerKey, request: Request, *, described: bool) -> None:
        """A PRACK for the 18x that waited; `described`: which carried a description."""
        if request.body and (self.request.body or not described):
            self.offers().pracked(key, request)
            self.raise_event(LegProgressAcknowledged(b""))
            return
        self.take_description(request.body)
        self.wire.respond(key, response_to(request, 200))
        self.raise_event(LegProgressAcknowledged(request.body))

    def progress_unacknowledged(self) -> None:
        """No PRACK in 64*T1 (RFC 3262 §3)."""
        self._called_off(504, ())

    @property
    def owes_answer(self) -> bool:
        return not self.accepted and bool(self.request.body) and not self.settled

    @property
    def awaits_answer(self) -> bool:
        return not self.accepted and not self.request.body and bool(self.sent_body) and not self.settled

    # --- the answer ---

    def answer(self, body: bytes) -> None:
        """200, as soon as a reliable 18x with a description is acknowledged; the dialog is confirmed."""
        if self.answered or self.ended:
            return
        self.answered = True
        if self._reliable is not None:
            self._reliable.answer(body)
        else:
            self.send_answer(body)

    def send_answer(self, body: bytes) -> None:
        if self.settled:  # the answer has been given, and a second one would be ignored (RFC 3261 §13.2.1)
            body = b""
        if self.dialog is None:
            self.adopt(Dialog.uas(self.request, self._tag, self.contact))
        assert self.dialog is not None
        self.dialog.confirmed = True
        self.accept(self._key, self.request, body, self._tag)

    def refuse(self, status: int, headers: Headers = (), reason_phrase: str | None = None) -> None:
        """A final non-2xx: the leg is over."""
        if self.answered or self.ended:
            return
        self._refuse(status, headers, reason_phrase)

    def _refuse(self, status: int, headers: Headers = (), reason_phrase: str | None = None) -> None:
        self._stop()
        self.ended = True
        if self._reliable is not None:
            self._reliable.refused()
        self.wire.incoming.pop(self._key, None)
        response = response_to(self.request, status, reason_phrase, to_tag=self._tag, headers=headers)
        self.wire.respond(self._key, response)

    def cancelled(self, key: ServerKey, cancel: Request) -> None:
        """CANCEL from the caller (RFC 3261 §9.2), of the first INVITE or of a later one."""
        if key != self._key:
            super().cancelled(key, cancel)
        else:
            self._called_off(487, reasons_of(cancel))

    def _said_bye(self, key: ServerKey, request: Request) -> None:
        if self.accepted:
            super()._said_bye(key, request)
        else:  # RFC 3261 §15.1.2: the INVITE ends with it
            self.wire.respond(key, response_to(request, 200))
            self._called_off(487, reasons_of(request))

    def _called_off(self, status: int, reasons: tuple[str, ...]) -> None:
        """The INVITE is over before our 2xx has left."""
        if self.accepted or self.ended:
            return
        self._refuse(status)
        # who has been told that the caller is through hears that it is gone
        self.raise_event(LegHungUp("", reasons) if self.answered else LegCancelled(status, reasons))

    # --- the end ---

    def hang_up(self, headers: Headers = ()) -> None:
        if self.answered and not self.accepted and not self.ended:  # the 2xx still waits for a PRACK
            self._refuse(480, headers)
            self.wire.timers.set(self.wire.now, self._gone)
        elif self.accepted:
            super().hang_up(headers)

    def _gone(self) -> None:
        self.raise_event(LegEnded())

    def _capabilities(self) -> Message | None:
        return self.request

    def _must_stay(self) -> bool:
        """RFC 3261 §15: who was called must not say BYE before the ACK, or 64*T1."""
        return self._accepted_key is not None

    def dispose(self) -> None:
        super().dispose()
        if self._reliable is not None:
            self._reliable.refused()
        self.wire.incoming.pop(self._key, None)


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
        headers = [*request.headers, ("Supported", SUPPORTED if self._reliable else "timer, norefersub")]
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
            self.wire.dialogs[response.call_id, self._request.from_.tag or ""] = self
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
        agreement = agreed_by(response, self._session_s)
        if agreement is not None:
            self._timed().agree(agreement)
        body = (early.described if early is not None else b"") or response.body
        self.take_description(body)
        self.raise_event(LegAnswered(body))

    def _drop_fork(self, response: Response) -> None:
        """A second 2xx from another branch of a fork: acknowledge and end it (RFC 3261 §13.2.2.4)."""
        assert self._request is not None
        early = self._early.get(response.to.tag or "") if self._early is not None else None
        if early is not None:
            other = early.dialog(self._request, self.contact)
            other.confirm(response)
        else:
            other = Dialog.uac(self._request, response, self.contact)
        identity = self._identity
        headers = identity.invite_headers if identity is not None else ()
        self.wire.send(
            other.ack(self._request.cseq.number, headers=headers), self.wire.flow_for(other, self.flow)
        )
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
