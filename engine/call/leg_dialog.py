"""A leg as an end of a dialog: who its peer is, who it is there, and the ACKs that it sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.call.capabilities import SDP_TYPE
from engine.call.credentials import Authenticator, Credentials
from engine.call.leg_events import LegEvent
from engine.call.leg_origin import OwnOrigin
from engine.sdp import SdpError, build_refusal
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey
from engine.sip.flow import Flow

if TYPE_CHECKING:
    from engine.call.leg import Leg

Listener = Callable[["Leg", LegEvent], None]


def nobody(leg: Leg, event: LegEvent) -> None:
    """Listener of a leg whose call is over."""


class LegDialog(OwnOrigin, eq=False, kw_only=True):
    """What `engine.call.leg.Leg`, and nothing else, stands on."""

    owns_call_id = False
    """Whether the Call-ID is of our making: it decides who waits how long after a glare."""

    role: str
    """"caller", "callee" or "agent": also the name of its media endpoint."""
    flow: Flow
    contact: str = ""
    """The Contact value by which the peer reaches us."""
    trunk: str = ""
    """Which the peer is on; empty: none."""
    credentials: Credentials | None = None
    """What challenges of this leg's peer are answered with."""
    dialog: Dialog | None = None
    ended: bool = False
    sent_body: bytes = b""
    """Our last description, as sent."""
    _unacknowledged: bytes | None = None
    """Body of the peer's 2xx that we have not acknowledged."""
    _ack_cseq: int = 0
    _ack_key: ClientKey | None = None
    """The INVITE that the 2xx answered."""
    _identity: Authenticator | None = None

    def is_from(self, host: str) -> bool:
        """Whether the peer may speak from `host`, which is not where it was: it said so, or is reached so."""
        dialog = self.current_dialog()
        return dialog is not None and (
            host == dialog.remote_target.host or any(host == route.uri.host for route in dialog.route_set)
        )

    def current_dialog(self) -> Dialog | None:
        """Where requests of ours go: the dialog, or the early one that was heard last."""
        return self.dialog

    def early_dialog(self, remote_tag: str) -> Dialog | None:
        """The early dialog whose other end has this tag, while there is no other."""
        return None

    def identity(self) -> Authenticator:
        assert self.credentials is not None
        if self._identity is None:
            self._identity = Authenticator(self.credentials, self.wire.ids.token)
        return self._identity

    # --- the ACK of the peer's 2xx ---

    def must_acknowledge(self, invite: ClientKey | None, cseq: int, body: bytes) -> None:
        """The peer's 2xx, with this body, to an INVITE of ours wants its ACK."""
        self._ack_key, self._ack_cseq, self._unacknowledged = invite, cseq, body

    def acknowledge(self, body: bytes = b"") -> None:
        """ACK for the peer's 2xx; with a body it answers the peer's offer. Nothing where none is due."""
        if self.dialog is None or self._unacknowledged is None:
            return
        self._unacknowledged = None
        headers = []
        if body:
            self.sent_body = body
            headers.append(("Content-Type", SDP_TYPE))
        if self._identity is not None:
            headers += self._identity.invite_headers
        ack = self.dialog.request("ACK", headers=headers, body=body, of_invite=self._ack_cseq)
        self.wire.acknowledge(self._ack_key, self.dialog, ack, self.flow)

    def decline(self) -> None:
        """Acknowledge a 2xx whose offer nobody will answer (RFC 3261 §13.2.2.4)."""
        offer = self._unacknowledged
        try:
            self.acknowledge(build_refusal(offer, self.next_origin()) if offer else b"")
        except SdpError:
            self.acknowledge()
