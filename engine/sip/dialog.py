"""Dialogs (RFC 3261 §12): the state both ends share, and the requests made from it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.message import DEFAULT_MAX_FORWARDS, Request, Response
from engine.sip.uri import NameAddr, Uri

# Requests that may move the remote target carry a Contact (RFC 3261 §12.2, 3311, 3515, 6665).
_MAX_FORWARDS = ("Max-Forwards", str(DEFAULT_MAX_FORWARDS))
_TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})


class Dialog(msgspec.Struct, kw_only=True, eq=False):
    """One dialog, early until `confirmed`. `contact` is the Contact value of our requests.

    `local` and `remote` are what they say as From and To, with tags: values of the messages that made it.
    A peer of RFC 2543 may lack a tag; it reads as an empty string then (§12.1.1).
    """

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    local_cseq: int
    remote_cseq: int | None
    remote_target: Uri
    route_set: tuple[NameAddr, ...]
    contact: str
    confirmed: bool
    _written: tuple[Uri, str] | None = None
    """The target beside its text: written once."""

    @classmethod
    def uas(cls, request: Request, response_or_local_tag: Response | str, contact: str) -> Dialog:
        """The dialog our response to `request` makes (§12.1.1); early when only a tag is given.

        RemoteProtocolError(400) when the request has no Contact.
        """
        if isinstance(response_or_local_tag, str):
            tag: str | None = response_or_local_tag
            confirmed = False
        else:
            tag = response_or_local_tag.to_tag
            confirmed = response_or_local_tag.status >= 200
        if not tag:
            raise LocalProtocolError("a response that makes a dialog needs a To tag")
        contacts = request.contacts
        if not contacts:
            raise RemoteProtocolError("no Contact header", request=request)
        return cls(
            call_id=request.call_id,
            local_tag=tag,
            remote_tag=request.from_tag or "",
            local=f"{request.first['To']};tag={tag}",
            remote=request.first["From"],
            local_cseq=0,
            remote_cseq=request.cseq.number,
            remote_target=contacts[0].uri,
            route_set=request.record_routes,
            contact=contact,
            confirmed=confirmed,
        )

    @classmethod
    def uac(cls, request: Request, response: Response, contact: str) -> Dialog:
        """The dialog a response to our `request` makes (§12.1.2), early for a 1xx.

        Call-ID and local tag are the request's, whatever the response says of them. A response without
        Contact, which gateways do send, leaves the Request-URI as remote target.
        """
        local = request.first["From"]
        tag = request.from_tag or ""
        uri = request.request_uri
        return cls.opened(request.call_id, tag, local, request.cseq.number, uri, response, contact)

    @classmethod
    def opened(
        cls,
        call_id: str,
        tag: str,
        local: str,
        cseq: int,
        uri: Uri | str,
        response: Response,
        contact: str,
    ) -> Dialog:
        """The same for who knows what the request said: Call-ID, our tag, all of From, CSeq number, URI."""
        contacts = response.contacts
        if contacts:
            target = contacts[0].uri
        else:
            target = uri if isinstance(uri, Uri) else Uri.parse(uri)
        return cls(
            call_id=call_id,
            local_tag=tag,
            remote_tag=response.to_tag or "",
            local=local,
            remote=response.first["To"],
            local_cseq=cseq,
            remote_cseq=None,
            remote_target=target,
            route_set=response.record_routes[::-1],
            contact=contact,
            confirmed=response.status >= 200,
        )

    def confirm(self, response: Response) -> None:
        """The 2xx to the INVITE that made this dialog, sent or received.

        As UAC the route set is computed anew and the target refreshed (§13.2.2.4).
        """
        if self.remote_cseq is None and not self.confirmed:
            self.route_set = response.record_routes[::-1]
        if response.from_tag == self.local_tag:
            self.refresh(response)
        self.confirmed = True

    def refresh(self, message: Request | Response) -> None:
        """Take the Contact of a target refresh request, or of the 2xx to ours, as remote target (§12.2)."""
        peer = message.contact
        if peer is not None:
            self.remote_target = peer.uri

    def receive(self, request: Request) -> None:
        """Check a request of the peer inside this dialog (§12.2.2).

        RemoteProtocolError(500) when its CSeq is out of order; ACK and CANCEL have their INVITE's.
        """
        if request.method in ("ACK", "CANCEL"):
            return
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            raise RemoteProtocolError("CSeq out of order", 500, request)
        self.remote_cseq = number
        if request.method in _TARGET_REFRESH:
            self.refresh(request)

    def request(
        self,
        method: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        of_invite: int | None = None,
    ) -> Request:
        """The next request of ours (§12.2.1.1); not a CANCEL.

        `of_invite` is for the ACK for a 2xx: the CSeq number of our INVITE (§13.2.2.4).
        """
        cseq = of_invite
        if cseq is None:
            if method in ("ACK", "CANCEL"):
                raise LocalProtocolError(f"{method} takes the CSeq number of its INVITE")
            cseq = self.local_cseq = self.local_cseq + 1
        target = self.remote_target
        uri: Uri | str
        routes: list[tuple[str, str]] = []
        if self.route_set:
            uri, routes = self._routed(target)
        else:
            if self._written is None or self._written[0] is not target:
                self._written = target, str(target)
            uri = self._written[1]
        rows = [
            _MAX_FORWARDS,
            *routes,
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if method in _TARGET_REFRESH:
            rows.append(("Contact", self.contact))
        rows += headers
        return Request(method, uri, rows, body)

    def next_hop(self) -> Uri:
        """Where requests go: the first route, or the remote target."""
        return self.route_set[0].uri if self.route_set else self.remote_target

    def _routed(self, target: Uri) -> tuple[Uri, list[tuple[str, str]]]:
        """The Request-URI and the Route rows where there is a route set (§12.2.1.1)."""
        routes = [str(route) for route in self.route_set]
        first = self.route_set[0].uri
        if "lr" not in first.params:
            # A strict router wants itself in the Request-URI and the target last.
            routes = [*routes[1:], f"<{target}>"]
            target = first.replace(params=first.params.without("method"), headers=())
        return target, [("Route", route) for route in routes]
