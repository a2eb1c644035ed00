"""What legs share: the transaction layer, ids, and where their effects go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Final
from zlib import crc32

from engine.call.capabilities import Headers
from engine.call.names import Names
from engine.call.timers import LegTimers
from engine.call.troubles import Troubles
from engine.call.values import NO_CONTACTS, EventRaised, Hop, MediaRequested
from engine.model.address import Address
from engine.model.events import AnyEvent
from engine.model.media import AnyMediaCommand
from engine.sip.dialog import Dialog
from engine.sip.effects import (
    AckReceived,
    AckTimeout,
    ClientKey,
    Effect,
    ResponseReceived,
    ServerKey,
    TransactionFailed,
)
from engine.sip.flow import DEFAULT_PORTS, Flow
from engine.sip.ids import IdSource
from engine.sip.layer import TransactionLayer
from engine.sip.location import TRANSPORTS
from engine.sip.message import Request, Response, response_to
from engine.sip.uri import is_address

if TYPE_CHECKING:
    from engine.call.legs import Leg
    from engine.call.values import CallEffect

TRANSPORT_PARAMETERS: Final = {
    "udp": "",
    "tcp": ";transport=tcp",
    "tls": ";transport=tls",
    "ws": ";transport=ws",
    "wss": ";transport=ws",
}
"""What a URI says of the transport (RFC 3261 §19.1.1, RFC 7118 §5.2)."""

# The same few hosts are asked for in every dialog; what only looks like an address is a name.
_is_address = lru_cache(maxsize=4096)(is_address)

ResponseHandler = Callable[[Response | None, str], None]
"""Told each response of a client transaction, or (None, "timeout" | "transport")."""


def no_matter(response: Response | None, failure: str) -> None:
    """Handler for requests whose answer changes nothing."""


class Wire:
    """The core's side that legs talk to. One instance per core; `now` is set before each input."""

    __slots__ = (
        "_handlers",
        "_layer",
        "_locals",
        "contact",
        "contacts",
        "dialogs",
        "effects",
        "ids",
        "incoming",
        "names",
        "now",
        "place",
        "session_expires_s",
        "session_id",
        "tell_legs",
        "timers",
        "troubles",
        "trunk_at",
    )

    def __init__(
        self,
        layer: TransactionLayer,
        ids: IdSource,
        contact: Address,
        contacts: Mapping[str, Address] = NO_CONTACTS,
        *,
        session_expires_s: int = 0,
    ) -> None:
        self._layer = layer
        self._handlers: dict[ClientKey, ResponseHandler] = {}
        self.ids = ids
        self.contact = contact
        self.contacts = {
            transport: f"<sip:{contacts.get(transport, contact)}{parameter}>"
            for transport, parameter in TRANSPORT_PARAMETERS.items()
        }
        """The Contact value by which a peer reaches us, by transport."""
        self._locals = {
            transport: (address.host, address.port)
            for transport in TRANSPORT_PARAMETERS
            for address in (contacts.get(transport, contact),)
        }
        self.place = f"IN {'IP6' if ':' in contact.host else 'IP4'} {contact.host}".encode()
        """Where we are, as an `o=` line says it (RFC 4566 §5.2)."""
        self.names = Names(
            lambda asked: self.effects.append(asked),
            ("udp", "tcp", *(each for each in ("tls",) if each in contacts)),
            ("AAAA",) if ":" in contact.host else ("A",),
        )
        self.trunk_at: Callable[[str, str, Address], str | None] = lambda by, transport, address: None
        """See `Trunks.redirected`."""
        self.now = 0.0
        self.timers = LegTimers()
        self.session_expires_s = session_expires_s
        """How long sessions of ours live without a refresh (RFC 4028); 0: we ask for no session timer."""
        self.tell_legs = False
        first = (int.from_bytes(ids.token().encode()[:5], "big") << 16) + 1
        self.session_id: Callable[[], int] = count(first).__next__
        """An id for an `o=` line: a positive number that no other leg has."""
        self.effects: list[Effect | CallEffect] = []
        self.troubles = Troubles(self.emit)
        self.dialogs: dict[tuple[str, str], Leg] = {}
        """(Call-ID, our tag) → the leg that has it."""
        self.incoming: dict[ServerKey, Leg] = {}
        """INVITE server transactions without a final response, or whose 2xx waits for its ACK."""

    # --- towards the network ---

    def flow_to(self, hop: Hop) -> Flow:
        """The flow to a hop: our listening address of its transport, and its own."""
        return Flow(hop.transport, self._locals[hop.transport], (hop.address.host, hop.address.port))

    def request(self, request: Request, flow: Flow, handler: ResponseHandler) -> ClientKey:
        key, effects = self._layer.request(request, flow, self.now)
        self._handlers[key] = handler
        self.effects.extend(effects)
        return key

    def cancel(self, key: ClientKey, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.effects.extend(self._layer.cancel(key, self.now, headers))

    def respond(self, key: ServerKey, response: Response) -> None:
        self.effects.extend(self._layer.respond(key, response, self.now))

    def answer(self, key: ServerKey, request: Request, status: int, headers: Headers = ()) -> None:
        """The final response to a request outside any dialog, which makes none."""
        self.respond(key, response_to(request, status, to_tag=self.ids.tag(), headers=headers))

    def dismiss(self, key: ServerKey, request: Request, status: int, flow: Flow) -> None:
        self.effects.extend(self._layer.dismiss(key, request, status, flow))

    def acknowledge(self, invite: ClientKey | None, dialog: Dialog, ack: Request, flow: Flow) -> None:
        """Send the ACK for the 2xx to an INVITE of ours that made, or changed, this dialog."""
        self.effects.extend(
            self._layer.send(ack, self.flow_for(dialog, flow), self.now, invite, dialog.remote_tag)
        )

    def acknowledge_again(self, invite: ClientKey | None, tag: str) -> None:
        """The 2xx with this To tag has come again: so goes its ACK, where it has been sent."""
        if invite is not None:
            self.effects.extend(self._layer.send_again(invite, tag))

    def flow_for(self, dialog: Dialog, flow: Flow) -> Flow:
        """Where the dialog's next request goes: the address in its route or target, else its source.

        `flow` is the dialog's own. A WebSocket only the peer can open (RFC 7118 §5.4).
        """
        uri = dialog.route_set[0].uri if dialog.route_set else dialog.remote_target
        if flow.transport in ("ws", "wss") or uri.scheme not in ("sip", "sips"):
            return flow
        if not _is_address(uri.host):
            target = self.names.target(uri, self.now)
            return (
                self._flow(target.transport, target.host, target.port, flow) if target is not None else flow
            )
        transport = flow.transport
        if uri.params or uri.scheme == "sips":
            asked = (uri.params.get("transport") or ("tls" if uri.scheme == "sips" else transport)).lower()
            transport = TRANSPORTS.get((uri.scheme, asked), transport)
        port = uri.port or DEFAULT_PORTS[transport]
        if transport != flow.transport:
            return self._flow(transport, uri.host, port, flow)
        return Flow(transport, flow.local, (uri.host, port))

    def _flow(self, transport: str, host: str, port: int, flow: Flow) -> Flow:
        if transport in ("ws", "wss"):
            return flow
        local = flow.local if transport == flow.transport else self._locals[transport]
        return Flow(transport, local, (host, port))

    def pick(self, count: int) -> int:
        """A number below `count` that nobody can foresee."""
        return crc32(self.ids.token().encode()) % count

    # --- from the network ---

    def heard(self, effect: Effect) -> bool:
        """Pass on what a leg or a handler of ours waits for; False for what is the core's own to take."""
        match effect:
            case ResponseReceived(key, response):
                handler = self._handlers.get(key)
                if handler is None:
                    return True
                status = response.status
                if status >= 300 or (status >= 200 and key.method != "INVITE"):
                    del self._handlers[key]
                handler(response, "")
            case AckReceived(request, _):
                leg = self.dialogs.get((request.call_id, request.to_tag or ""))
                if leg is not None:
                    leg.acknowledged(request)
            case TransactionFailed(key, reason):
                self.failed(key, reason)
            case AckTimeout(key, final):
                leg = self.incoming.get(key) if final == "2xx" else None
                if leg is not None:  # what was refused has ended, acknowledged or not
                    leg.ack_missing()
            case _:
                return False
        return True

    def failed(self, key: ClientKey, reason: str) -> None:
        handler = self._handlers.pop(key, None)
        if handler is not None:
            handler(None, reason)

    def forget(self, key: ClientKey | None) -> None:
        """Stop listening; late responses are absorbed by the transaction layer."""
        if key is not None:
            self._handlers.pop(key, None)

    # --- towards the runtime ---

    def media(self, command: AnyMediaCommand) -> None:
        self.effects.append(MediaRequested(command))

    def emit(self, event: AnyEvent) -> None:
        self.effects.append(EventRaised(event))

    @property
    def open_transactions(self) -> int:
        return len(self._handlers)
