"""The two kinds of legs: `IncomingLeg` is a user agent server (a caller reached us), `OutgoingLeg` a client
(we called somebody). Once answered they are alike, see `engine.call.leg`.
"""

from __future__ import annotations

from engine.call.credentials import Credentials, authorised, challenged
from engine.call.leg import AGENT_HEADER, ALLOW, SDP_TYPE, Headers, Leg, Listener
from engine.call.leg_events import LegAnswered, LegCancelled, LegRefused, LegRinging
from engine.call.leg_refusals import refusal
from engine.call.wire import Wire
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.message import Request, Response, response_to

__all__ = ["AGENT_HEADER", "ALLOW", "SDP_TYPE", "Headers", "IncomingLeg", "Leg", "Listener", "OutgoingLeg"]


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

    def refuse(self, status: int, headers: Headers = (), reason_phrase: str | None = None) -> None:
        """A final non-2xx: the leg is over."""
        if self.answered or self.ended:
            return
        self.ended = True
        self.wire.incoming.pop(self._key, None)
        response = response_to(self.request, status, reason_phrase, to_tag=self._tag, headers=headers)
        self.wire.respond(self._key, response)

    def cancelled(self, key: ServerKey) -> None:
        """CANCEL from the caller (RFC 3261 §9.2), of the first INVITE or of a later one."""
        if key != self._key:
            super().cancelled(key)
        elif not self.answered and not self.ended:
            self.refuse(487)
            self.raise_event(LegCancelled())

    def _must_stay(self) -> bool:
        """RFC 3261 §15: who was called must not say BYE before the ACK, or 64*T1."""
        return self._accepted_key is not None

    def dispose(self) -> None:
        super().dispose()
        self.wire.incoming.pop(self._key, None)


class OutgoingLeg(Leg):
    """An INVITE of ours and what becomes of it."""

    __slots__ = ("_cancelling", "_credentials", "_key", "_request", "heard")

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
        self.heard = False
        """The next hop has said something."""

    def invite(self, request: Request) -> None:
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
                self.raise_event(LegRinging(response.body, response.status))
        elif response.status < 300:
            self._answered(response)
        elif not self._authorised(response):
            self._refused(refusal(response))

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
        self._ack_cseq, self._unacknowledged = self._request.cseq.number, response.body
        self.adopt(dialog)
        if self._cancelling:  # the 200 crossed our CANCEL (RFC 3261 §9.1)
            if self._request.body:
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

    def cancel(self, headers: Headers = ()) -> None:
        """CANCEL an INVITE that has no final response; `LegRefused` or `LegEnded` follows."""
        if self._key is None:
            self.ended = True  # it was never sent
        elif not self._cancelling and not self.answered and not self.ended:
            self._cancelling = True
            self.wire.cancel(self._key, headers)

    def dispose(self) -> None:
        super().dispose()
        self.wire.forget(self._key)
