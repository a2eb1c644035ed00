"""Looks after trunks on the wire: an OPTIONS to each target (RFC 3261 §11), and the addresses of names."""

from __future__ import annotations

from engine.call.names import Names
from engine.call.trunk import Endpoint
from engine.call.trunks import Trunks
from engine.call.values import Hop, Resolved
from engine.call.wire import Wire
from engine.model.address import Address
from engine.sip.effects import ClientKey
from engine.sip.message import Response
from engine.sip.messages import out_of_dialog
from engine.sip.uri import NameAddr, Uri

SENDER = "ping"


class Keeper:
    """What trunks have under way. `next` and `timer` are the core's."""

    __slots__ = ("_names", "_pings", "_trunks", "_wire")

    def __init__(self, wire: Wire, trunks: Trunks, names: Names) -> None:
        self._wire = wire
        self._trunks = trunks
        self._names = names
        self._pings: dict[ClientKey, tuple[float, Endpoint]] = {}
        """OPTIONS without a response, and until when it is waited for."""

    def next(self) -> float | None:
        """When `timer` has something next."""
        planned = self._trunks.next
        if not self._pings:
            return planned
        first = min(at for at, _ in self._pings.values())
        return first if planned is None else min(first, planned)

    def timer(self) -> None:
        """Judge what has had no response in time, and send what is due."""
        if self._pings:
            late = [(key, endpoint) for key, (at, endpoint) in self._pings.items() if at <= self._wire.now]
            for key, endpoint in late:
                del self._pings[key]
                self._wire.forget(key)
                self._trunks.heard(endpoint, 0, "timeout")
        planned = self._trunks.next
        if planned is None or planned > self._wire.now:
            return
        pings, lookups = self._trunks.due()
        for endpoint in pings:
            self._ping(endpoint)
        for lookup in lookups:
            self._names.request(lookup.query_id, lookup.uri)

    def resolved(self, resolved: Resolved) -> None:
        """The answer to a lookup, of a trunk or of a dialog."""
        if not self._trunks.resolved(resolved.query_id, resolved.location):
            self._names.resolved(resolved, self._wire.now)

    def _ping(self, endpoint: Endpoint) -> None:
        target = endpoint.target
        flow = self._wire.flow_to(Hop(Address(target.host, target.port), target.transport))
        uri = Uri("sip", None, target.host, target.port)
        host = self._wire.contact.host
        request = out_of_dialog(
            "OPTIONS",
            target=uri,
            from_=NameAddr(None, Uri("sip", SENDER, host)).with_tag(self._wire.ids.tag()),
            to=NameAddr(None, uri.replace(port=None)),
            call_id=self._wire.ids.call_id(),
            contact=self._wire.contacts[flow.transport],
            headers=[("Accept", "application/sdp")],
        )

        def answered(response: Response | None, failure: str) -> None:
            if self._pings.pop(key, None) is not None:
                self._trunks.heard(endpoint, response.status if response is not None else 0, failure)

        key = self._wire.request(request, flow, answered)
        self._pings[key] = (self._wire.now + self._trunks.patience_s(endpoint), endpoint)

    def __len__(self) -> int:
        return len(self._pings)
