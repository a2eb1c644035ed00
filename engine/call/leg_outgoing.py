"""A leg by which we call somebody: user agent client of its first INVITE."""

from __future__ import annotations

from engine.call.capabilities import (
    ALLOW,
    RELIABLE,
    SDP_TYPE,
    SUPPORTED,
    SUPPORTED_INSIDE,
    Headers,
    has_tag,
)
from engine.call.credentials import Attempt, asked_again, challenged
from engine.call.early import MAX_EARLY, Early
from engine.call.leg import Leg
from engine.call.leg_events import LegAnswered, LegRefused, LegRinging
from engine.call.leg_refusals import refusal
from engine.call.leg_session import LegSession
from engine.call.reliable import rseq_of
from engine.call.session_timer import AGREED, agreed_by, asking_headers, longer_interval
from engine.call.wire import no_matter
from engine.sdp import SdpError, build_refusal
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import DEFAULT_MAX_FORWARDS, Request, Response, response_to


class OutgoingLeg(Leg, eq=False, kw_only=True):
    """An INVITE of ours and what becomes of it."""

    owns_call_id = True

    call_id: str
    tag: str
    """Ours, in From."""
    heard: bool = False
    """The next hop has said something."""
    _key: ClientKey | None = None
    _request: Request | None = None
    """The INVITE, which is forgotten once it has been answered."""
    _cseq: int = 1
    """Its number."""
    _from: str = ""
    """All of From."""
    _uri: str = ""
    """The Request-URI."""
    _attempt: Attempt | None = None
    _cancelling: bool = False
    _offered: bool = False
    """The INVITE makes an offer."""
    _reliable: bool = False
    """100rel was offered."""
    _session_s: int = 0
    """The session interval that the INVITE asks for."""
    _early: dict[str, Early] | None = None
    """To tag → early dialog."""
    _current: Early | None = None
    """The early dialog heard last."""
    _owed: Early | None = None
    """The early dialog whose reliable 18x made an offer that we have not answered."""

    # --- the INVITE ---

    def call(
        self,
        asked: str,
        from_: str,
        body: bytes,
        headers: Headers = (),
        *,
        port: int = 0,
        kind: str = SDP_TYPE,
        max_forwards: int = DEFAULT_MAX_FORWARDS,
        allow: str = ALLOW,
        reliable: bool | None = None,
    ) -> None:
        """Send the first INVITE, with a body of that kind; `from_` has no tag yet.

        `asked` is the URI that To names, and the Request-URI, there with `port` unless that is 0.
        `reliable` offers 100rel. By default an INVITE with an offer does: without one a reliable 18x may make
        an offer (`LegRinging.offers`), which somebody must be there to answer at once.
        """
        wire = self.wire
        offered = bool(body)
        if reliable is None:
            reliable = offered
        self._from = from_ = f"{from_};tag={self.tag}"
        rows = [
            ("Max-Forwards", str(max_forwards)),
            ("From", from_),
            ("To", f"<{asked}>"),
            ("Call-ID", self.call_id),
            ("CSeq", "1 INVITE"),
            ("Contact", self.contact),
            ("Allow", allow),
            *headers,
            ("Supported", SUPPORTED if reliable else SUPPORTED_INSIDE),
        ]
        session_s = wire.session_expires_s
        if session_s:
            rows += asking_headers(session_s)
        if offered:
            rows.append(("Content-Type", kind))
        self.sent_body, self._offered, self._reliable, self._session_s = body, offered, reliable, session_s
        self._uri = target = f"{asked}:{port}" if port else asked
        self._request = Request("INVITE", target, rows, body)
        self._key = wire.request(self._request, self.flow, self._response)

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
        number = self._cseq + 1
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
        self._cseq = number
        self._request = self.identity().dress(request) if self._attempt is not None else request
        self._key = self.wire.request(self._request, self.flow, self._response)
        return True

    # --- before the answer ---

    def _progressed(self, response: Response) -> None:
        tag = response.to_tag or ""
        status, early = response.status, self._early
        if early is None:
            early = self._early = {}
            self.wire.dialogs[self.call_id, self.tag] = self
        known = early.get(tag)
        if status == 199:  # one branch of the fork is over; the others go on (RFC 6228)
            early.pop(tag, None)
            return
        if known is None:
            known = Early(response)
            if len(early) < MAX_EARLY:
                early[tag] = known
        body = response.body
        reliable = offers = False
        rseq = None
        first = response.first
        if self._reliable and "Require" in first and has_tag(response, "Require", RELIABLE):
            rseq = rseq_of(response)
        if rseq is not None:
            if tag not in early or not known.takes(rseq):
                return
            reliable, offers = True, bool(body) and not self._offered
            known.described = body or known.described
        self._current = known
        self.allow = ", ".join(response.rows("Allow"))
        if offers:
            self._owed = known
        elif reliable:
            self._prack(known, b"")
        if body:
            self.take_description(body)
        self.listener(self, LegRinging(body, status, reliable, offers))

    def _prack(self, early: Early, body: bytes) -> None:
        headers = [("RAck", f"{early.rseq} {self._cseq} INVITE")]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
            self.sent_body = body
        self.send("PRACK", no_matter, headers, body, self._dialog_of(early))

    def _dialog_of(self, early: Early) -> Dialog:
        """Its dialog, which is made when something is sent or received in it."""
        if early.dialog is None:
            early.dialog = Dialog.opened(
                self.call_id, self.tag, self._from, self._cseq, self._uri, early.response, self.contact
            )
        return early.dialog

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
        return not self.accepted and self._offered and not described

    @property
    def owes_answer(self) -> bool:
        return self._owed is not None

    def take_description(self, body: bytes) -> None:
        super().take_description(body)
        if body and self._current is not None and self._current.described:
            self._current.described = body

    def current_dialog(self) -> Dialog | None:
        if self.dialog is None and self._current is not None:
            return self._dialog_of(self._current)
        return self.dialog

    def early_dialog(self, remote_tag: str) -> Dialog | None:
        early = self._early.get(remote_tag) if self.dialog is None and self._early is not None else None
        return self._dialog_of(early) if early is not None else None

    def _said_bye_early(self, key: ServerKey, request: Request) -> None:
        """RFC 3261 §15: who was called refuses the INVITE instead."""
        self.wire.respond(key, response_to(request, 481))

    def _forget_early(self) -> None:
        self._early = self._current = self._owed = None

    # --- the answer ---

    def _answered(self, response: Response) -> None:
        tag = response.to_tag or ""
        if self.dialog is not None:
            if tag == self.dialog.remote_tag:
                self.wire.acknowledge_again(self._key, tag)
            else:
                self._drop_fork(response)
            return
        early = None
        if self._early is None:
            self.wire.dialogs[self.call_id, self.tag] = self
        else:
            early = self._early.pop(tag, None)
        try:
            if early is None or early.dialog is None:
                dialog = Dialog.opened(
                    self.call_id, self.tag, self._from, self._cseq, self._uri, response, self.contact
                )
            else:
                dialog = early.dialog
                dialog.confirm(response)
        except RemoteProtocolError as error:  # a 2xx without Contact cannot be acknowledged
            self._refused(LegRefused(502, str(error)))
            return
        self.answered = self.accepted = True
        self._ack_key, self._ack_cseq, self._unacknowledged = self._key, self._cseq, response.body
        first = response.first
        self.allow = ", ".join(response.rows("Allow"))
        self.dialog = dialog
        if self._cancelling:  # the 200 crossed our CANCEL (RFC 3261 §9.1)
            if self._offered:
                self.acknowledge()
            self.hang_up()
            return
        if self._session_s or "Session-Expires" in first:
            agreement = agreed_by(response, self._session_s)
            if agreement is not None:
                self.session = LegSession(self)
                self.session.step(AGREED[agreement.ours], agreement.interval_s)
        body = (early.described if early is not None else b"") or response.body
        if body:
            self.heard_body = body
        self._request = self._current = None
        if self._early is not None:
            self._early = _begun(self._early) if self._early else None
        self.listener(self, LegAnswered(body))

    def _drop_fork(self, response: Response) -> None:
        """A second 2xx from another branch of a fork: acknowledge and end it (RFC 3261 §13.2.2.4)."""
        tag = response.to_tag or ""
        if self._early is None:
            self._early = {}
        early = self._early.get(tag)
        if early is not None and early.dropped:
            self.wire.acknowledge_again(self._key, tag)
            return
        if sum(each.dropped for each in self._early.values()) >= MAX_EARLY:
            return
        if early is None:
            early = self._early[tag] = Early(response)
        early.dropped = True
        other = self._dialog_of(early)
        other.confirm(response)
        identity = self._identity
        headers = identity.invite_headers if identity is not None else ()
        ack = other.request("ACK", headers=headers, of_invite=self._cseq)
        self.wire.acknowledge(self._key, other, ack, self.flow)
        self.send("BYE", no_matter, dialog=other)

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

    def dispose(self) -> None:
        if self.dialog is None:
            self.wire.dialogs.pop((self.call_id, self.tag), None)
        super().dispose()
        self.wire.forget(self._key)


def _begun(early: dict[str, Early]) -> dict[str, Early] | None:
    """The branches of a fork in which something was sent: if they answer too late, BYE goes on from there."""
    return {tag: each for tag, each in early.items() if each.dialog is not None} or None
