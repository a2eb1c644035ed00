"""A leg that a caller reached us by: user agent server of its first INVITE."""

from __future__ import annotations

from engine.call.capabilities import ALLOW, RELIABLE, SDP_TYPE, Headers, has_tag
from engine.call.leg import Leg
from engine.call.leg_events import LegCancelled, LegEnded, LegHungUp, LegProgressAcknowledged
from engine.call.leg_refusals import reasons_of
from engine.call.reliable import ReliableProgress
from engine.sip.dialog import Dialog
from engine.sip.effects import ServerKey
from engine.sip.message import Request, response_to


class IncomingLeg(Leg, eq=False, kw_only=True):
    """A caller's INVITE and what becomes of it."""

    key: ServerKey
    invite: Request | None
    """It is forgotten once it has been accepted."""
    offered: bool = False
    """The INVITE made an offer."""
    demands_reliable: bool = False
    _tag: str = ""
    _reliable: ReliableProgress | None = None

    def __post_init__(self) -> None:
        wire, request = self.wire, self.invite
        assert request is not None
        self.contact = wire.contacts[self.flow.transport]
        self.heard_body = request.body
        self.offered = bool(request.body)
        first = request.first
        self.demands_reliable = "Require" in first and has_tag(request, "Require", RELIABLE)
        self.allow = ", ".join(request.rows("Allow"))
        self._tag = wire.ids.tag()
        wire.incoming[self.key] = self

    # --- before the answer ---

    @property
    def request(self) -> Request:
        """The INVITE, before it has been accepted."""
        assert self.invite is not None
        return self.invite

    @property
    def settled(self) -> bool:
        """The caller has acknowledged a description of ours: only an UPDATE can change it now."""
        return self._reliable is not None and self._reliable.settled

    def progress(self, status: int, body: bytes = b"") -> None:
        """18x, from one early dialog; reliably where the caller demands it, or can and gets a description."""
        request = self.invite
        if self.answered or self.ended or request is None:
            return
        if self.dialog is None:
            self.dialog = Dialog.uas(request, self._tag, self.contact)
            self.wire.dialogs[request.call_id, self._tag] = self
        if self._reliable is not None and self._reliable.settled:
            body = b""
        if self.demands_reliable or (body and has_tag(request, "Supported", RELIABLE)):
            if self._reliable is None:
                self._reliable = ReliableProgress(self, request.cseq.number)
            self._reliable.send(status, body)
        else:
            self.send_progress(status, body, 0)

    def send_progress(self, status: int, body: bytes, rseq: int) -> None:
        """One 18x; reliable where `rseq` is not 0."""
        request = self.invite
        assert request is not None
        headers = [("Contact", self.contact), ("Allow", ALLOW)]
        if rseq:
            headers += [("Require", RELIABLE), ("RSeq", str(rseq))]
        if body:
            headers.append(("Content-Type", SDP_TYPE))
            self.sent_body = body
        response = response_to(request, status, to_tag=self._tag, headers=headers, body=body)
        self.wire.respond(self.key, response)

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
        if request.body and (self.offered or not described):
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
        return not self.accepted and self.offered and not self.settled

    @property
    def awaits_answer(self) -> bool:
        return not self.accepted and not self.offered and bool(self.sent_body) and not self.settled

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
        if self._reliable is not None and self._reliable.settled:
            body = b""  # the answer has been given, and a second one would be ignored (RFC 3261 §13.2.1)
        request = self.invite
        assert request is not None
        if self.dialog is None:
            self.dialog = Dialog.uas(request, self._tag, self.contact)
            self.wire.dialogs[request.call_id, self._tag] = self
        self.dialog.confirmed = True
        self.accept(self.key, request, body, self._tag)
        self.invite = None

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
        self.wire.incoming.pop(self.key, None)
        response = response_to(self.request, status, reason_phrase, to_tag=self._tag, headers=headers)
        self.wire.respond(self.key, response)

    def cancelled(self, key: ServerKey, cancel: Request) -> None:
        """CANCEL from the caller (RFC 3261 §9.2), of the first INVITE or of a later one."""
        if key != self.key:
            super().cancelled(key, cancel)
        else:
            self._called_off(487, reasons_of(cancel))

    def _said_bye_early(self, key: ServerKey, request: Request) -> None:
        """RFC 3261 §15.1.2: the INVITE ends with it."""
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
            self.wire.timers.add(self.wire.now, self._gone)
        elif self.accepted:
            super().hang_up(headers)

    def _gone(self) -> None:
        self.raise_event(LegEnded())

    def dispose(self) -> None:
        super().dispose()
        if self._reliable is not None:
            self._reliable.refused()
            self._reliable = None
        if not self.accepted:
            self.wire.incoming.pop(self.key, None)
