"""A leg: one SIP dialog of one call. It raises events and takes commands; legs never touch each other.

This is what both kinds of `engine.call.legs` share once they are answered: a dialog, an `o=` line of their
own, BYE and re-INVITE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from engine.call.leg_events import (
    LegAckMissing,
    LegAcknowledged,
    LegEnded,
    LegEvent,
    LegHungUp,
    LegInfo,
    LegOfferAnswered,
    LegOfferCancelled,
    LegOffered,
    LegOfferRefused,
)
from engine.call.leg_refusals import reasons_of
from engine.call.wire import Wire
from engine.sdp import Origin, SdpError, build_refusal, rewrite_origin
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, Effect, ServerKey
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.message import Request, Response, response_to

SDP_TYPE: Final = "application/sdp"
ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS"
AGENT_HEADER: Final = "Ringward-Agent"
"""How the dissuasion agent reports on its own leg: `notice-given` in an INFO, `outcome=…` at the end."""
RETRY_AFTER_S: Final = 3
"""When a peer may offer again that did so twice at once."""

_KNOWN: Final = frozenset(
    (
        *("ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS"),
        *("PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"),
    )
)

Headers = Sequence[tuple[str, str]]
Listener = Callable[["Leg", LegEvent], None]
Refusal = tuple[int, Headers]
"""Status and headers of an answer."""


def method_refusal(method: str) -> Refusal:
    """The answer to a method that is not served (RFC 3261 §8.2.1)."""
    return (405 if method in _KNOWN else 501), [("Allow", ALLOW)]


def invite_refusal(request: Request) -> Refusal | None:
    """Why an INVITE, inside a dialog or not, cannot be taken (RFC 3261 §8.2.2.3, §8.2.3).

    Raises RemoteProtocolError for a Require that cannot be read.
    """
    if request.requires:  # no extension is supported yet
        return 420, [("Unsupported", ", ".join(request.requires))]
    kind = (request.get("Content-Type") or "").partition(";")[0].strip().lower()
    if request.body and kind != SDP_TYPE:
        return 415, [("Accept", SDP_TYPE)]
    return None


class Leg:
    """What both kinds share once there is a dialog."""

    __slots__ = (
        "_accepted_cseq",
        "_accepted_key",
        "_ack",
        "_ack_cseq",
        "_described",
        "_leaving",
        "_listener",
        "_offer_key",
        "_offer_request",
        "_offering",
        "_our_invite",
        "_parting",
        "_session_id",
        "_session_version",
        "_unacknowledged",
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
        self._described = b""
        """What our last description was made of."""
        self._offer_key: ServerKey | None = None
        self._offer_request: Request | None = None
        self._our_invite: ClientKey | None = None
        """The last re-INVITE of ours: its 2xx may come again."""
        self._offering = False
        """… and has no final response yet."""
        self._accepted_key: ServerKey | None = None
        """The INVITE whose 2xx waits for its ACK."""
        self._accepted_cseq = 0
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
        dialog = self.dialog
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

    # --- the dialog ---

    @property
    def contact(self) -> str:
        return self.wire.contact_of(self.flow)

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
            refusal = invite_refusal(request) if request.method == "INVITE" else None
        except RemoteProtocolError as error:
            self.wire.respond(key, response_to(request, error.status_hint))
            return
        report = request.get(AGENT_HEADER) or ""
        if request.method == "BYE":
            self.wire.respond(key, response_to(request, 200, headers=self.farewell))
            self._end(LegHungUp(report, reasons_of(request)))
        elif request.method == "INVITE":
            self._offered(key, request, refusal)
        elif request.method == "INFO" and report:
            self.wire.respond(key, response_to(request, 200))
            self.raise_event(LegInfo(report))
        elif request.method == "OPTIONS":
            self.wire.respond(key, response_to(request, 200, headers=[("Allow", ALLOW)]))
        else:
            status, headers = method_refusal(request.method)
            self.wire.respond(key, response_to(request, status, headers=headers))

    def acknowledged(self, request: Request) -> None:
        """ACK for a 2xx of ours."""
        if self._accepted_key is not None and request.cseq.number == self._accepted_cseq:
            self._forget_accepted()
            self.raise_event(LegAcknowledged(request.body))
            self._part()

    def ack_missing(self) -> None:
        self._forget_accepted()
        self.raise_event(LegAckMissing())
        self._part()

    def _accept(self, key: ServerKey, request: Request, body: bytes, to_tag: str | None = None) -> None:
        """200 to an INVITE; the transaction layer repeats it until the ACK."""
        headers = [("Contact", self.contact), ("Allow", ALLOW)]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
        self._accepted_key, self._accepted_cseq = key, request.cseq.number
        self.wire.incoming[key] = self
        self.wire.respond(key, response_to(request, 200, to_tag=to_tag, headers=headers, body=body))

    def _forget_accepted(self) -> None:
        if self._accepted_key is not None:
            self.wire.incoming.pop(self._accepted_key, None)
            self._accepted_key = None

    # --- offers inside the dialog ---

    def _offered(self, key: ServerKey, request: Request, refusal: Refusal | None) -> None:
        if self._offer_key is not None:  # RFC 3261 §14.2: a second one before the answer to the first
            refusal = 500, [("Retry-After", str(RETRY_AFTER_S))]
        elif self.negotiating:
            refusal = 491, ()
        if refusal is not None:
            status, headers = refusal
            self.wire.respond(key, response_to(request, status, headers=headers))
            return
        self._offer_key, self._offer_request = key, request
        self.wire.incoming[key] = self
        self.wire.respond(key, response_to(request, 100))
        self.raise_event(LegOffered(request.body))

    def cancelled(self, key: ServerKey) -> None:
        """CANCEL from the peer for an INVITE without final response; the call goes on without its offer."""
        if key == self._offer_key:
            self.refuse_offer(487)
            self.raise_event(LegOfferCancelled())

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
        """An INVITE is under way in either direction: another one has to wait (RFC 3261 §14.1, §14.2)."""
        return (
            self._offering
            or self._offer_key is not None
            or self._accepted_key is not None
            or self._unacknowledged is not None
        )

    def offer(self, body: bytes) -> None:
        """re-INVITE; without a body the peer is asked for an offer."""
        if self.dialog is None or self.ended:
            return
        headers = [("Allow", ALLOW)]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
        request = self.dialog.request("INVITE", headers=headers, body=body)
        self.wire.forget(self._our_invite)
        self._offering = True
        self._our_invite = self.wire.request(request, self._flow(), self._offer_response)

    def withdraw_offer(self) -> None:
        """CANCEL our re-INVITE, where it has no final response yet; one follows."""
        if self._offering and self._our_invite is not None:
            self.wire.cancel(self._our_invite)

    def _offer_response(self, response: Response | None, failure: str) -> None:
        if response is not None and response.status < 200:
            return
        if response is not None and response.status < 300:
            if self._offering:
                self._ack, self._ack_cseq = [], response.cseq.number
                self._offering, self._unacknowledged = False, response.body
                self.raise_event(LegOfferAnswered(response.body))
            else:
                self._acknowledge_again(response)
            return
        self._offering = False
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
        self._unacknowledged = None
        headers = [("Content-Type", SDP_TYPE)] if body else []
        ack = self.dialog.ack(self._ack_cseq, body=body, headers=headers)
        self._ack = self.wire.send(ack, self._flow())

    def _acknowledge_again(self, response: Response) -> None:
        if response.cseq.number == self._ack_cseq:
            self.wire.repeat(self._ack)

    def decline(self) -> None:
        """Acknowledge a 2xx whose offer nobody will answer (RFC 3261 §13.2.2.4)."""
        offer = self._unacknowledged
        try:
            self.acknowledge(build_refusal(offer, self.next_origin()) if offer else b"")
        except SdpError:
            self.acknowledge()

    # --- the end ---

    def report(self, text: str) -> None:
        """INFO with the agent's header: the agent tells the engine something on its own leg."""
        if self.dialog is not None and not self.ended:
            request = self.dialog.request("INFO", headers=[(AGENT_HEADER, text)])
            self.wire.request(request, self._flow(), lambda response, failure: None)

    def hang_up(self, headers: Headers = ()) -> None:
        """BYE on an answered leg; `LegEnded` follows."""
        if self.ended or self.dialog is None or self._leaving:
            return
        self._leaving = True
        self.refuse_offer(487)
        if self._unacknowledged is not None:
            self.decline()
        self._parting = headers
        self._part()

    def _part(self) -> None:
        """Send the BYE that is wanted, unless it has to wait."""
        if self._parting is None or self.ended or self.dialog is None or self._must_stay():
            return
        request = self.dialog.request("BYE", headers=self._parting)
        self._parting = None
        self.wire.request(request, self._flow(), self._bye_response)

    def _must_stay(self) -> bool:
        return False

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
        self.withdraw_offer()  # its transaction would wait for a final response for ever
        self.wire.forget(self._our_invite)

    def _flow(self) -> Flow:
        return self.wire.flow_for(self.dialog, self.flow) if self.dialog is not None else self.flow
