"""A leg as an end of a dialog: who its peer is, and who it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.call.credentials import Authenticator, Credentials
from engine.call.leg_events import LegEvent
from engine.call.leg_origin import OwnOrigin
from engine.sip.dialog import Dialog
from engine.sip.flow import Flow

if TYPE_CHECKING:
    from engine.call.leg import Leg

Listener = Callable[["Leg", LegEvent], None]


def nobody(leg: Leg, event: LegEvent) -> None:
    """Listener of a leg whose call is over."""


class LegDialog(OwnOrigin):
    """What `engine.call.leg.Leg`, and nothing else, stands on."""

    __slots__ = ("_identity", "contact", "credentials", "dialog", "ended", "flow", "role", "trunk")

    owns_call_id = False
    """Whether the Call-ID is of our making: it decides who waits how long after a glare."""

    role: str
    """"caller", "callee" or "agent": also the name of its media endpoint."""
    flow: Flow
    contact: str
    """The Contact value by which the peer reaches us."""
    trunk: str
    """Which the peer is on; empty: none."""
    credentials: Credentials | None
    """What challenges of this leg's peer are answered with."""
    dialog: Dialog | None
    ended: bool
    _identity: Authenticator | None

    def is_from(self, host: str) -> bool:
        """Whether the peer may speak from `host`: where it was, said it is, or is reached through."""
        if host == self.flow.remote[0]:
            return True
        dialog = self.current_dialog()
        return dialog is not None and (
            host == dialog.remote_target.host or any(host == route.uri.host for route in dialog.route_set)
        )

    def current_dialog(self) -> Dialog | None:
        """Where requests of ours go: the dialog, or the early one that was heard last."""
        return self.dialog

    def dialog_with(self, remote_tag: str) -> Dialog | None:
        """The dialog, early or not, whose other end has this tag."""
        dialog = self.dialog
        return dialog if dialog is not None and dialog.remote_tag == remote_tag else None

    def identity(self) -> Authenticator:
        assert self.credentials is not None
        if self._identity is None:
            self._identity = Authenticator(self.credentials, self.wire.ids.token)
        return self._identity
