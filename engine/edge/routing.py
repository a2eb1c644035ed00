"""What a proxy changes in the messages it passes on (RFC 3261 §16.4, §16.6, §16.7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Final

from engine.edge.settings import EdgeSettings
from engine.edge.tokens import FlowTokens
from engine.sip.digest import directives
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import DEFAULT_PORT, DEFAULT_PORTS, Flow
from engine.sip.grammar import split_list
from engine.sip.message import Request, Response
from engine.sip.salvage import hops_onward
from engine.sip.uri import NameAddr, Uri, format_host

_CREDENTIALS: Final = ("Authorization", "Proxy-Authorization")
_ASSERTED: Final = ("P-Asserted-Identity", "P-Preferred-Identity")
_NOT_OF_PHONES: Final = (*_ASSERTED, "Remote-Party-Id", "Diversion", "History-Info")
"""What only the network knows: who calls, and whom the call was for before."""
NOBODY: Final = "anonymous"
"""Vouched for where a caller is let through unknown: so the engine takes no number in From for theirs."""
_NOBODY: Final = Uri("sip", NOBODY, "anonymous.invalid")  # RFC 3323 §4.1.1.3
_LOOP_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class Hop:
    """One place a request is sent to."""

    uri: Uri | str
    """The Request-URI there."""
    flow: Flow
    routes: tuple[str, ...] = ()
    serial: int = 0
    """Of the phone's connection."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request whose own routes have been taken off (RFC 3261 §16.4)."""

    request: Request
    uri: Uri | str
    routes: tuple[NameAddr, ...]
    """What is left of the Route."""
    token: tuple[Flow, int] | None = field(default=None)
    """The flow that one of our routes named."""


class Router:
    """Reads and writes routes; knows which addresses are ours."""

    def __init__(self, settings: EdgeSettings, tokens: FlowTokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._own = frozenset(settings.addresses.values())

    def is_ours(self, uri: Uri) -> bool:
        default = DEFAULT_PORTS.get((uri.params.get("transport") or "").lower(), DEFAULT_PORT)
        return (uri.host, uri.port or default) in self._own

    def take_routes(self, request: Request) -> Received:
        """Take off what names us; RemoteProtocolError when the Route cannot be read."""
        routes = list(request.routes)
        uri: Uri | str = request.request_uri
        token = None
        if routes and request.uri.user and self.is_ours(request.uri):
            token = self._tokens.read(request.uri.user)
            if token is not None:  # a strict router before us (RFC 3261 §16.4)
                uri = routes.pop().uri
        while routes:
            first = routes[0].uri
            found = self._tokens.read(first.user) if first.user else None
            if found is None and not self.is_ours(first):
                break
            token = token or found
            del routes[0]
        return Received(request, uri, tuple(routes), token)

    def record_route(self, phone: Flow, serial: int, *, to_phone: bool) -> list[str]:
        """Our Record-Route values: one for each side where the two differ (RFC 5658)."""
        user = self._tokens.make(phone, serial)
        addresses = self._settings.addresses
        inner = f"<sip:{user}@{format_host(*addresses['udp'])};lr>"
        if phone.transport == "udp":
            return [inner]
        parameter = "ws" if phone.transport == "wss" else phone.transport
        outer = f"<sip:{user}@{format_host(*addresses[phone.transport])};transport={parameter};lr>"
        return [outer, inner] if to_phone else [inner, outer]

    def loops(self, request: Request) -> bool:
        """Whether this very request has been here before (RFC 3261 §16.3 item 4, RFC 5393 §4.2)."""
        mark = loop_mark(request)
        for via in request.vias:
            port = via.port or DEFAULT_PORTS.get(via.transport, DEFAULT_PORT)
            if (via.host, port) in self._own and (via.branch or "").endswith(mark):
                return True
        return False

    def onward(
        self, received: Received, hop: Hop, record_route: Iterable[str], identity: str | None
    ) -> Request:
        """The request as it is passed on (RFC 3261 §16.6).

        `identity` is the user we vouch for (`NOBODY`: told as such), "" where there is nothing to tell, None
        where the sender's word is believed.
        """
        request = received.request
        rows = [("Max-Forwards", str(hops_onward(request.max_forwards)))]
        rows += [("Record-Route", value) for value in record_route]
        rows += [("Route", str(value)) for value in (*hop.routes, *received.routes)]
        if identity:
            known = identity != NOBODY
            asserted = Uri("sip", identity, self._settings.addresses["udp"][0]) if known else _NOBODY
            rows.append(("P-Asserted-Identity", f"<{asserted}>"))
        for name, value in request.headers:
            if name in ("Max-Forwards", "Route"):
                continue
            if identity is not None and name in _NOT_OF_PHONES:
                continue
            if name in _ASSERTED and _wants_privacy(request):
                continue
            if name in _CREDENTIALS and self._is_for_us(value):
                continue
            rows.append((name, value))
        return Request(request.method, hop.uri, rows, request.body)

    def _is_for_us(self, credentials: str) -> bool:
        try:
            return directives(credentials).get("realm") == self._settings.realm
        except RemoteProtocolError:
            return False


def loop_mark(request: Request) -> str:
    """The end of a branch of ours: the same for the same request, and for none that is routed otherwise."""
    parts = (
        str(request.request_uri),
        request.from_tag or "",
        request.to_tag or "",
        request.call_id,
        str(request.cseq.number),
        *request.rows("Route"),
    )
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return "." + blake2s(text, digest_size=_LOOP_CHARS // 2).hexdigest()


def backward(response: Response, extra: Iterable[tuple[str, str]] = ()) -> Response:
    """The response without our Via, with `extra` header rows added."""
    rows: list[tuple[str, str]] = []
    first = True
    for name, value in response.headers:
        if first and name == "Via":
            first = False
            rest = split_list(value)[1:]
            if rest:
                rows.append((name, ", ".join(rest)))
            continue
        rows.append((name, value))
    return Response(response.status, response.reason, [*rows, *extra], response.body)


def _wants_privacy(request: Request) -> bool:
    """Whether the identity must stay inside the trust domain (RFC 3325 §7)."""
    privacy = request.get("Privacy") or ""
    return "id" in [value.strip(" \t").lower() for value in privacy.split(";")]
