"""A leg as an end of a dialog: who listens to it, where its requests go, and who it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from engine.call.capabilities import Headers
from engine.call.credentials import Authenticator, Credentials
from engine.call.leg_challenges import Asking
from engine.call.leg_events import LegEvent
from engine.call.leg_origin import OwnOrigin
from engine.call.wire import ResponseHandler, Wire
from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey
from engine.sip.flow import Flow

if TYPE_CHECKING:
    from engine.call.leg import Leg

Listener = Callable[["Leg", LegEvent], None]


class LegDialog(OwnOrigin):
    """What `engine.call.leg.Leg`, and nothing else, stands on."""

    __slots__ = ("_identity", "_listener", "credentials", "dialog", "ended", "flow", "role")

    owns_call_id = False
    """Whether the Call-ID is of our making: it decides who waits how long after a glare."""

    def __init__(
        self, wire: Wire, role: str, flow: Flow, listener: Listener, credentials: Credentials | None
    ) -> None:
        super().__init__(wire)
        self.role = role
        """"caller", "callee" or "agent": also the name of its media endpoint."""
        self.flow = flow
        self.credentials = credentials
        """What challenges of this leg's peer are answered with."""
        self.dialog: Dialog | None = None
        self.ended = False
        self._listener: Listener | None = listener
        self._identity: Authenticator | None = None

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def raise_event(self, event: LegEvent) -> None:
        if self._listener is not None:
            self._listener(cast("Leg", self), event)

    def is_from(self, host: str) -> bool:
        """Whether the peer may speak from `host`: where it was, said it is, or is reached through."""
        if host == self.flow.remote[0]:
            return True
        dialog = self.current_dialog()
        return dialog is not None and (
            host == dialog.remote_target.host or any(host == route.uri.host for route in dialog.route_set)
        )

    @property
    def contact(self) -> str:
        return self.wire.contact_of(self.flow)

    def adopt(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.wire.dialogs[dialog.id.call_id, dialog.id.local_tag] = cast("Leg", self)

    def current_dialog(self) -> Dialog | None:
        """Where requests of ours go: the dialog, or the early one that was heard last."""
        return self.dialog

    def dialog_with(self, remote_tag: str) -> Dialog | None:
        """The dialog, early or not, whose other end has this tag."""
        dialog = self.dialog
        return dialog if dialog is not None and dialog.id.remote_tag == remote_tag else None

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
        return Asking(cast("Leg", self), dialog, request, handler).key

    def identity(self) -> Authenticator:
        assert self.credentials is not None
        if self._identity is None:
            self._identity = Authenticator(self.credentials, self.wire.ids.token)
        return self._identity
