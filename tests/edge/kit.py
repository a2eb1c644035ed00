"""An edge between phones and an engine in virtual time; credentials as phones make them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.edge.accounts import Accounts
from engine.edge.bindings import Binding
from engine.edge.core import EdgeCore
from engine.edge.settings import BindingRemoved, BindingSaved, EdgeEffect, EdgeSettings
from engine.sip.digest_server import Secret
from engine.sip.effects import ClientKey, RequestReceived, ResponseReceived
from engine.sip.flow import Flow
from engine.sip.message import Request, Response
from engine.sip.uri import NameAddr, Uri
from tests.edge.credentials import with_credentials
from tests.sip.ids import SeededIds
from tests.sip.kit import Host, Net, make_request

EDGE = ("192.0.2.1", 5060)
ENGINE = ("192.0.2.2", 5060)
REALM = "test"
USERS = {"bob": "secret-b", "alice": "secret-a", "carol": "secret-c"}
NUMBERS = {"carol": ("801", "802")}
EMERGENCY = ("110", "119", "112")
SETTINGS = EdgeSettings(
    realm=REALM,
    addresses=dict.fromkeys(("udp", "tcp", "tls", "ws", "wss"), EDGE),
    bound=dict.fromkeys(("udp", "tcp", "tls", "ws", "wss"), EDGE),
    engine=ENGINE,
    key=b"k" * 32,
)


def is_emergency(uri: Uri) -> bool:
    return uri.user in EMERGENCY or (uri.scheme == "urn" and uri.host.startswith("service:sos"))


class Lab(Net):
    """The edge `E` and the engine `N`; phones are added."""

    def __init__(self, settings: EdgeSettings = SETTINGS) -> None:
        super().__init__()
        self.settings = settings
        self.edge = self.host("E", EDGE)
        self.engine = self.host("N", ENGINE)
        self.start()

    def start(self) -> EdgeCore:
        """Start the edge, or start it again with nothing but what its repository would have kept."""
        saved = self.saved
        self.edge.heard.clear()
        self.edge.layer = self.core = EdgeCore(  # type: ignore[assignment]
            self.settings,
            {user: Secret.of_password(user, REALM, password) for user, password in USERS.items()},
            SeededIds("E"),
            accounts=Accounts(USERS, NUMBERS, address_of=lambda user: user.removeprefix("+86")),
            is_emergency=is_emergency,
            bindings=saved,
            now=self.now,
        )
        return self.core

    @property
    def told(self) -> list[EdgeEffect]:
        return self.edge.heard  # type: ignore[return-value]

    @property
    def saved(self) -> list[Binding]:
        """What a repository holds by now."""
        kept: list[Binding] = []
        for effect in self.edge.heard:
            if isinstance(effect, BindingSaved):
                kept = [binding for binding in kept if not binding.is_same(effect.binding)]
                kept.append(effect.binding)
            elif isinstance(effect, BindingRemoved) and effect.binding in kept:
                kept.remove(effect.binding)
        return kept

    def phone(self, name: str, host: str, transport: str = "udp", port: int = 5060) -> Phone:
        phone = Phone(self, name, (host, port), transport)
        self._hosts[phone.address] = phone
        self._names[phone.address] = name
        if transport != "udp":
            self.core.opened(phone.flow_at_edge)
        return phone

    def hang_up_connection(self, phone: Phone) -> None:
        self.edge.carry_out(self.core.closed(phone.flow_at_edge, self.now))  # type: ignore[arg-type]


class Phone(Host):
    """A user agent that knows one user's password."""

    cseq = 0

    @property
    def flow_at_edge(self) -> Flow:
        return Flow(self.transport, EDGE, self.address)

    def make(
        self,
        method: str,
        to: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        call_id: str = "",
        user: str = "",
        contact: str | None = None,
    ) -> Request:
        self.cseq += 1
        name = user or self.name
        target = Uri("sip", None if method == "REGISTER" else to, EDGE[0])
        rows = [
            ("Max-Forwards", "70"),
            ("From", str(NameAddr(None, Uri("sip", name, EDGE[0])).with_tag(f"{name}-tag"))),
            ("To", f"<sip:{to}@{EDGE[0]}>"),
            ("Call-ID", call_id or f"{self.name}-call"),
            ("CSeq", f"{self.cseq} {method}"),
        ]
        contact = self.contact if contact is None else contact
        if contact:
            rows.append(("Contact", contact))
        return Request(method, target, [*rows, *headers])

    def ask(self, request: Request) -> Response:
        """Send it; the answer that comes at once."""
        self.request(request, EDGE)
        return self.hear(ResponseReceived).response

    def send(self, request: Request) -> ClientKey:
        return self.request(request, EDGE)

    def with_credentials(
        self,
        request: Request,
        challenged: Response,
        *,
        user: str = "",
        password: str | None = None,
        algorithm: str | None = None,
        nonce_count: int = 1,
    ) -> Request:
        """The request again with the next CSeq and credentials."""
        self.cseq += 1
        user = user or self.name
        return with_credentials(
            request,
            challenged,
            cseq=self.cseq,
            user=user,
            password=USERS.get(user, "") if password is None else password,
            algorithm=algorithm,
            nonce_count=nonce_count,
        )

    def register(self, *, headers: Iterable[tuple[str, str]] = (), contact: str | None = None) -> Response:
        request = self.make("REGISTER", self.name, headers=headers, contact=contact)
        return self.ask(self.with_credentials(request, self.ask(request)))

    def takes(self) -> RequestReceived:
        """The oldest request that came."""
        return self.hear(RequestReceived)


def settings(**changes: object) -> EdgeSettings:
    return replace(SETTINGS, **changes)  # type: ignore[arg-type]


# --- calls ---


def registered(lab: Lab, phone: Phone) -> Phone:
    """The same once its registration is over and forgotten."""
    phone.register()
    lab.ladder()
    return phone


def second(lab: Lab, transport: str = "ws") -> Phone:
    """Another phone of bob's."""
    phone = lab.phone("bob", "192.0.2.21", transport, 40001)
    phone.name = "bob"
    phone.cseq = 10
    phone.register(contact=f"<sip:bob@a.invalid;transport={transport}>")
    lab.ladder()
    return phone


def below(request: Request, via: str) -> bytes:
    """As it is sent with that Via on top."""
    return request.to_bytes().replace(b"\r\n", f"\r\nVia: {via}\r\n".encode(), 1)


def ring(lab: Lab, to: str = "bob", method: str = "INVITE", **changes: str) -> Request:
    """The engine sends a request to a user."""
    request = make_request(method, lab.engine, EDGE, **changes)
    request = Request(method, Uri("sip", to, *EDGE), request.headers)
    lab.engine.request(request, EDGE)
    return request


def answers(host: Host) -> list[int]:
    """Statuses of all responses heard, in order."""
    found = [effect.response.status for effect in host.heard if isinstance(effect, ResponseReceived)]
    host.heard = [effect for effect in host.heard if not isinstance(effect, ResponseReceived)]
    return found


def last(host: Host) -> Response:
    return [effect for effect in host.heard if isinstance(effect, ResponseReceived)][-1].response


def place(phone: Phone, to: str = "13800138000", **changes: object) -> Request:
    """A call with credentials, as far as the INVITE that the edge accepts."""
    invite = phone.make("INVITE", to, call_id=f"to-{to}", **changes)  # type: ignore[arg-type]
    answer = phone.ask(invite)
    assert answer.status == 407
    again = phone.with_credentials(invite, answer)
    phone.send(again)
    return again
