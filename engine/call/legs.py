"""Legs: one SIP dialog each, of one call. They raise events and take commands; they never touch each other.

`IncomingLeg` is a user agent server (a caller reached us), `OutgoingLeg` a client (we called somebody).
Once answered they are alike: a dialog, an `o=` line of their own, BYE and re-INVITE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.call.credentials import Credentials, authorised, challenged
from engine.call.leg_events import (
    LegAckMissing,
    LegAcknowledged,
    LegAnswered,
    LegCancelled,
    LegEnded,
    LegEvent,
    LegHungUp,
    LegInfo,
    LegOfferAnswered,
    LegOffered,
    LegOfferRefused,
    LegRefused,
    LegRinging,
)
from engine.call.wire import Wire
from engine.sdp import Origin, rewrite_origin
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.message import Request, Response, response_to

SDP_TYPE = "application/sdp"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS"
AGENT_HEADER = "Ringward-Agent"
"""How the dissuasion agent reports on its own leg: `notice-given` in an INFO, `outcome=…` at the end."""

Headers = Sequence[tuple[str, str]]
Listener = Callable[["Leg", LegEvent], None]


class Leg:
    """What both kinds share once there is a dialog."""

    __slots__ = (
        "_accepted_cseq",
        "_accepted_key",
        "_ack",
        "_ack_cseq",
        "_description",
        "_listener",
        "_offer_key",
        "_offer_request",
        "_our_offer",
        "_session_id",
        "_session_version",
        "answered",
        "dialog",
        "ended",
        "farewell",
        "flow",
        "role",
        "wire",
    )

    def __init__(self, wire: Wire, role: str, flow: Flow, listener: Listener) -> None:
        self.wire = wire
        self.role = role
        """"caller", "callee" or "agent": also the name of its media endpoint."""
        self.flow = flow
        self.dialog: Dialog | None = None
        self.answered = False
        """A 2xx has been sent or received."""
        self.ended = False
        self.farewell: Headers = ()
        """Headers of our answer to the peer's BYE."""
        self._listener: Listener | None = listener
        self._session_id = 0
        self._session_version = 0
        self._description = b""
        self._offer_key: ServerKey | None = None
        self._offer_request: Request | None = None
        self._our_offer: ClientKey | None = None
        self._accepted_key: ServerKey | None = None
        self._accepted_cseq = 0
        self._ack: Request | None = None
        self._ack_cseq = 0

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def raise_event(self, event: LegEvent) -> None:
        if self._listener is not None:
            self._listener(self, event)

    # --- session descriptions: `o=` is ours, per leg, from the first offer on (RFC 3264 §8) ---

    def next_origin(self) -> Origin:
        """The origin for a new description of ours on this leg; its version rises each time."""
        if not self._session_id:
            self._session_id = self.wire.session_id()
        self._session_version += 1
        return self._origin()

    def own(self, body: bytes) -> bytes:
        """A peer's description under this leg's own origin; the version rises only with the content.

        Raises `engine.sdp.SdpError`.
        """
        if not body:
            return body
        if body == self._description:
            return rewrite_origin(body, self._origin())
        owned = rewrite_origin(body, self.next_origin())
        self._description = body
        return owned

    def _origin(self) -> Origin:
        return Origin("-", self._session_id, self._session_version, self.wire.contact.host)

    # --- the dialog ---

    @property
    def contact(self) -> str:
        return f"<sip:{self.wire.contact}>"

    def adopt(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.wire.dialogs[dialog.id.call_id, dialog.id.local_tag] = self

    def received(self, key: ServerKey, request: Request) -> None:
        """A request inside the dialog (RFC 3261 §12.2.2)."""
        if self.dialog is None or self.ended:
            self.wire.respond(key, response_to(request, 481))
            return
        try:
            self.dialog.receive(request)
        except RemoteProtocolError as error:
            self.wire.respond(key, response_to(request, error.status_hint))
            return
        report = request.get(AGENT_HEADER) or ""
        if request.method == "BYE":
            self.wire.respond(key, response_to(request, 200, headers=self.farewell))
            self._end(LegHungUp(report))
        elif request.method == "INVITE":
            self._offered(key, request)
        elif request.method == "INFO" and report:
            self.wire.respond(key, response_to(request, 200))
            self.raise_event(LegInfo(report))
        elif request.method == "OPTIONS":
            self.wire.respond(key, response_to(request, 200, headers=[("Allow", ALLOW)]))
        else:
            self.wire.respond(key, response_to(request, 405, headers=[("Allow", ALLOW)]))

    def acknowledged(self, request: Request) -> None:
        """ACK for a 2xx of ours."""
        if self._accepted_key is not None and request.cseq.number == self._accepted_cseq:
            self._forget_accepted()
            self.raise_event(LegAcknowledged(request.body))

    def ack_missing(self) -> None:
        self._forget_accepted()
        self.raise_event(LegAckMissing())

    def _accept(self, key: ServerKey, request: Request, body: bytes, to_tag: str | None = None) -> None:
        """200 to an INVITE; the transaction layer repeats it until the ACK."""
        headers = [("Contact", self.contact), ("Allow", ALLOW)]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
        self._forget_accepted()
        self._accepted_key, self._accepted_cseq = key, request.cseq.number
        self.wire.incoming[key] = self
        self.wire.respond(key, response_to(request, 200, to_tag=to_tag, headers=headers, body=body))

    def _forget_accepted(self) -> None:
        if self._accepted_key is not None:
            self.wire.incoming.pop(self._accepted_key, None)
            self._accepted_key = None

    # --- offers inside the dialog ---

    def _offered(self, key: ServerKey, request: Request) -> None:
        if self.negotiating:
            self.wire.respond(key, response_to(request, 491))  # RFC 3261 §14.2
            return
        self._offer_key, self._offer_request = key, request
        self.wire.incoming[key] = self
        self.wire.respond(key, response_to(request, 100))
        self.raise_event(LegOffered(request.body))

    def accept_offer(self, body: bytes) -> None:
        """200 to the peer's re-INVITE."""
        key, request = self._take_offer()
        if key is not None and request is not None:
            self._accept(key, request, body)

    def refuse_offer(self, status: int) -> None:
        """A final non-2xx to the peer's re-INVITE, where one is open."""
        key, request = self._take_offer()
        if key is not None and request is not None:
            self.wire.respond(key, response_to(request, status))

    def _take_offer(self) -> tuple[ServerKey | None, Request | None]:
        key, request = self._offer_key, self._offer_request
        self._offer_key = self._offer_request = None
        if key is not None:
            self.wire.incoming.pop(key, None)
        return key, request

    @property
    def negotiating(self) -> bool:
        """An offer is open in either direction: another one has to wait (RFC 3261 §14.2)."""
        return self._offer_key is not None or self._our_offer is not None

    def offer(self, body: bytes) -> None:
        """re-INVITE; without a body the peer is asked for an offer."""
        if self.dialog is None or self.ended:
            return
        headers = [("Allow", ALLOW)]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
        request = self.dialog.request("INVITE", headers=headers, body=body)
        self._our_offer = self.wire.request(request, self._flow(), self._offer_response)

    def _offer_response(self, response: Response | None, failure: str) -> None:
        if response is not None and response.status < 200:
            return
        pending, self._our_offer = self._our_offer, None
        if response is not None and response.status < 300:
            if pending is not None:
                self._ack, self._ack_cseq = None, response.cseq.number
                self.raise_event(LegOfferAnswered(response.body))
            else:
                self._acknowledge_again(response)
            return
        status = response.status if response is not None else 408
        if status in (408, 481):  # RFC 3261 §12.2.1.2: the dialog is gone
            self.hang_up()
            self._end(LegHungUp())
        else:
            self.raise_event(LegOfferRefused(status))

    def acknowledge(self, body: bytes = b"") -> None:
        """ACK for the peer's 2xx; with a body it answers the peer's offer."""
        if self.dialog is None:
            return
        headers = [("Content-Type", SDP_TYPE)] if body else []
        self._ack = self.dialog.ack(self._ack_cseq, body=body, headers=headers)
        self.wire.send(self._ack, self._flow())

    def _acknowledge_again(self, response: Response) -> None:
        if self._ack is not None and self._ack.cseq.number == response.cseq.number:
            self.wire.send(self._ack, self._flow())

    # --- the end ---

    def report(self, text: str) -> None:
        """INFO with the agent's header: the agent tells the engine something on its own leg."""
        if self.dialog is not None and not self.ended:
            request = self.dialog.request("INFO", headers=[(AGENT_HEADER, text)])
            self.wire.request(request, self._flow(), lambda response, failure: None)

    def hang_up(self, headers: Headers = ()) -> None:
        """BYE on an answered leg; `LegEnded` follows."""
        if self.ended or self.dialog is None:
            return
        self.refuse_offer(487)
        request = self.dialog.request("BYE", headers=headers)
        self.wire.request(request, self._flow(), self._bye_response)

    def _bye_response(self, response: Response | None, failure: str) -> None:
        if response is None or response.status >= 200:
            report = response.get(AGENT_HEADER) if response is not None else None
            self._end(LegEnded(report or ""))

    def _end(self, event: LegEvent) -> None:
        if not self.ended:
            self.refuse_offer(487)
            self.ended = True
            self.raise_event(event)

    def dispose(self) -> None:
        """Forget everything: the call is over."""
        self.ended = True
        self._listener = None
        if self.dialog is not None:
            self.wire.dialogs.pop((self.dialog.id.call_id, self.dialog.id.local_tag), None)
        self._take_offer()
        self._forget_accepted()
        self.wire.forget(self._our_offer)

    def _flow(self) -> Flow:
        return self.wire.flow_for(self.dialog, self.flow) if self.dialog is not None else self.flow


class IncomingLeg(Leg):
    """A caller's INVITE and what becomes of it."""

    __slots__ = ("_key", "_tag", "request")

    def __init__(
        self, wire: Wire, role: str, flow: Flow, listener: Listener, key: ServerKey, request: Request
    ) -> None:
        super().__init__(wire, role, flow, listener)
        self.request = request
        self._key = key
        self._tag = wire.ids.tag()
        wire.incoming[key] = self

    def progress(self, status: int, body: bytes = b"") -> None:
        """180 or 183, from one early dialog."""
        if self.answered or self.ended:
            return
        headers = [("Contact", self.contact), ("Allow", ALLOW)]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
        response = response_to(self.request, status, to_tag=self._tag, headers=headers, body=body)
        self.wire.respond(self._key, response)

    def answer(self, body: bytes) -> None:
        """200, and the dialog is confirmed."""
        if self.answered or self.ended:
            return
        self.answered = True
        self._accept(self._key, self.request, body, self._tag)
        self.adopt(Dialog.uas(self.request, self._tag, self.contact))

    def refuse(self, status: int, headers: Headers = ()) -> None:
        """A final non-2xx: the leg is over."""
        if self.answered or self.ended:
            return
        self.ended = True
        self.wire.incoming.pop(self._key, None)
        self.wire.respond(self._key, response_to(self.request, status, to_tag=self._tag, headers=headers))

    def cancelled(self) -> None:
        """CANCEL from the caller (RFC 3261 §9.2)."""
        if self.answered or self.ended:
            return
        self.refuse(487)
        self.raise_event(LegCancelled())

    def dispose(self) -> None:
        super().dispose()
        self.wire.incoming.pop(self._key, None)


class OutgoingLeg(Leg):
    """An INVITE of ours and what becomes of it."""

    __slots__ = ("_cancelling", "_credentials", "_key", "_request")

    def __init__(
        self,
        wire: Wire,
        role: str,
        flow: Flow,
        listener: Listener,
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__(wire, role, flow, listener)
        self._credentials = credentials
        self._key: ClientKey | None = None
        self._request: Request | None = None
        self._cancelling = False

    def invite(self, request: Request) -> None:
        self._request = request
        self._key = self.wire.request(request, self.flow, self._response)

    def _response(self, response: Response | None, failure: str) -> None:
        if response is None:
            status = 408 if failure == "timeout" else 503
            self._refused(LegRefused(status, "", no_response=failure))
        elif response.status < 200:
            # 100 says only that the next hop has the INVITE
            if response.status > 100 and not self._cancelling:
                self.raise_event(LegRinging(response.body))
        elif response.status < 300:
            self._answered(response)
        elif not self._authorised(response):
            self._refused(LegRefused(response.status, response.reason, response.get("Call-Info") or ""))

    def _authorised(self, response: Response) -> bool:
        """Answer a challenge, once; the leg goes on with the new INVITE."""
        credentials, self._credentials = self._credentials, None
        if credentials is None or self._request is None or self._cancelling or not challenged(response):
            return False
        again = authorised(self._request, response, credentials, self.wire.ids.token())
        if again is not None:
            self.invite(again)
        return again is not None

    def _answered(self, response: Response) -> None:
        assert self._request is not None
        if self.dialog is not None:
            if response.to.tag == self.dialog.id.remote_tag:
                self._acknowledge_again(response)
            else:
                self._drop_fork(response)
            return
        try:
            dialog = Dialog.uac(self._request, response, self.contact)
        except RemoteProtocolError as error:  # a 2xx without Contact cannot be acknowledged
            self._refused(LegRefused(502, str(error)))
            return
        self.answered = True
        self._ack_cseq = self._request.cseq.number
        self.adopt(dialog)
        if self._cancelling:  # the 200 crossed our CANCEL (RFC 3261 §9.1)
            self.acknowledge()
            self.hang_up()
        else:
            self.raise_event(LegAnswered(response.body))

    def _drop_fork(self, response: Response) -> None:
        """A second 2xx from another branch of a fork: acknowledge and end it (RFC 3261 §13.2.2.4)."""
        assert self._request is not None
        other = Dialog.uac(self._request, response, self.contact)
        flow = self.wire.flow_for(other, self.flow)
        self.wire.send(other.ack(self._request.cseq.number), flow)
        self.wire.request(other.request("BYE"), flow, lambda response, failure: None)

    def _refused(self, event: LegRefused) -> None:
        if self.ended:
            return
        self.ended = True
        self.raise_event(event)

    def cancel(self) -> None:
        """CANCEL an INVITE that has no final response; `LegRefused` or `LegEnded` follows."""
        if self._key is not None and not self._cancelling and not self.answered and not self.ended:
            self._cancelling = True
            self.wire.cancel(self._key)

    def dispose(self) -> None:
        super().dispose()
        self.wire.forget(self._key)
