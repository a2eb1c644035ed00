"""The edge: who may pass, and which way (RFC 3261 §16.3 to §16.5). Datagrams and times in, effects out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from engine.edge.accounts import Accounts
from engine.edge.bindings import Binding, Bindings
from engine.edge.proxy import Journey, Proxy
from engine.edge.registrar import SUPPORTED, Registrar, delivery_flow
from engine.edge.routing import NOBODY, Hop, Received, Router
from engine.edge.settings import BindingRemoved, EdgeEffect, EdgeSettings, SourceBanned
from engine.edge.throttle import Throttle
from engine.edge.tokens import FlowTokens
from engine.sip.digest_server import Checked, DigestServer, Outcome, Secret
from engine.sip.effects import (
    AckReceived,
    AckTimeout,
    CancelReceived,
    Discarded,
    Effect,
    RequestReceived,
    ResponseReceived,
    Send,
    ServerKey,
    TransactionFailed,
)
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import DEFAULT_PORT, DEFAULT_PORTS, Flow
from engine.sip.ids import IdSource
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, response_to
from engine.sip.salvage import salvaged
from engine.sip.timers import Timers
from engine.sip.uri import Uri

_SCHEMES: Final = ("sip", "sips", "tel")
_ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, INFO, PRACK, UPDATE, REFER, NOTIFY"

Headers = list[tuple[str, str]]


class EdgeCore:
    """Everything one edge process knows. Pure: `now` is monotonic seconds and never goes backwards."""

    def __init__(
        self,
        settings: EdgeSettings,
        secrets: Mapping[str, Secret],
        ids: IdSource,
        *,
        accounts: Accounts,
        is_emergency: Callable[[Uri], bool],
        bindings: Iterable[Binding] = (),
        now: float = 0.0,
        timers: Timers | None = None,
    ) -> None:
        """`accounts` are those of the users that have `secrets`; `now` is when the edge starts."""
        timers = timers or Timers()
        self._settings = settings
        self._engines = settings.engines | {settings.engine}
        self._ids = ids
        self._is_emergency = is_emergency
        self._accounts = accounts
        self._layer = TransactionLayer(
            ids, settings.addresses["udp"], timers, sent_by_of=settings.addresses, proxy=True
        )
        self._layer.rescue = lambda data, flow: salvaged(data, flow.remote, is_emergency)
        self._router = Router(settings, FlowTokens(settings.key))
        self._proxy = Proxy(self._layer, self._router, ids, settings.timer_c_s, timers)
        self._digest = DigestServer(
            settings.realm,
            settings.key,
            secrets,
            now,
            algorithms=settings.algorithms,
            without_qop=settings.without_qop,
        )
        self._throttle = Throttle(settings.guesses, settings.guess_window_s, settings.ban_s)
        self.bindings = Bindings(bindings)
        self._registrar = Registrar(settings, self.bindings)
        # Of each open connection: tells it from earlier and later ones between the same two ends.
        self._serials: dict[Flow, int] = {}
        self._serial = settings.boot

    # --- inputs ---

    def receive(self, data: bytes, flow: Flow, now: float) -> list[EdgeEffect]:
        """One datagram, or one framed message of a connection."""
        return self._handle(self._layer.receive(data, flow, now), now)

    def opened(self, flow: Flow) -> None:
        """A connection is up."""
        self._serial += 1
        self._serials[flow] = self._serial

    def closed(self, flow: Flow, now: float) -> list[EdgeEffect]:
        """A connection is gone, and with it what could be reached by it only."""
        self._serials.pop(flow, None)
        gone: list[EdgeEffect] = []
        for binding in self.bindings.on(flow):
            self.bindings.drop(binding)
            gone.append(BindingRemoved(binding))
        return gone + self._handle(self._proxy.lost(flow, now), now)

    def send_failed(self, flow: Flow, branch: str, error: str, now: float) -> list[EdgeEffect]:
        return self._handle(self._layer.send_failed(flow, branch, error, now), now)

    def timer(self, now: float) -> list[EdgeEffect]:
        effects = self._handle(self._layer.timer(now), now)
        effects += self._handle(self._proxy.timer(now), now)
        return effects + [BindingRemoved(binding) for binding in self.bindings.expire(now)]

    def next_timer(self) -> float | None:
        times = (self._layer.next_timer(), self._proxy.next_timer(), self.bindings.next())
        return min((at for at in times if at is not None), default=None)

    def counts(self) -> dict[str, int]:
        """What is held; all but bindings, nonces and guesses are zero when nothing is up."""
        return {
            "bindings": len(self.bindings),
            "connections": len(self._serials),
            "contexts": len(self._proxy),
            "nonces": len(self._digest),
            "guesses": len(self._throttle),
            **self._layer.counts(),
        }

    # --- from the transaction layer ---

    def _handle(self, given: list[Effect], now: float) -> list[EdgeEffect]:
        effects: list[EdgeEffect] = []
        for effect in given:
            match effect:
                case Send() | Discarded():
                    effects.append(effect)
                case RequestReceived(key, request, flow):
                    effects += self._request(key, request, flow, now)
                case CancelReceived(key, cancel):
                    effects += self._handle(self._proxy.cancelled(key, cancel, now), now)
                case ResponseReceived(client, response):
                    effects += self._handle(self._proxy.responded(client, response, now), now)
                case TransactionFailed(client, reason):
                    effects += self._handle(self._proxy.failed(client, reason, now), now)
                case AckReceived(ack, flow):
                    effects += self._ack(ack, flow, now)
                case AckTimeout():
                    pass  # the peer is gone; what it cost is given back already
        return effects

    def _request(self, key: ServerKey, request: Request, flow: Flow, now: float) -> list[EdgeEffect]:
        try:
            return self._admit(key, request, flow, now)
        except RemoteProtocolError as error:  # in a header that only proxies and registrars read
            return self._refuse(key, request, error.status_hint, flow, now)

    def _admit(self, key: ServerKey, request: Request, flow: Flow, now: float) -> list[EdgeEffect]:
        emergency = request.method == "INVITE" and self._is_emergency(request.uri)
        from_engine = self._is_engine(request, flow)
        if not emergency and not from_engine and self._throttle.banned(flow.remote[0], now):
            received = self._router.take_routes(request)
            if not self._in_dialog(received):
                self._layer.abandon(key)
                return [Discarded("from a banned source", flow)]
        refusal = self._refusal(request, emergency=emergency)
        if refusal is not None:
            status, headers = refusal
            return self._handle(self._layer.dismiss(key, request, status, flow, headers), now)
        if request.method == "OPTIONS" and (request.max_forwards == 0 or self._is_for_us(request)):
            headers = [("Allow", _ALLOW), ("Supported", ", ".join(SUPPORTED))]
            return self._handle(self._layer.dismiss(key, request, 200, flow, headers), now)
        received = self._router.take_routes(request)
        if from_engine:
            return self._to_phone(key, received, flow, now)
        if self._in_dialog(received):
            hop = Hop(received.uri, self._engine_flow(received))
            journey = Journey(received, [[hop]], "", self._phone(flow), record=False)
            return self._handle(self._proxy.start(key, journey, now), now)
        if request.method == "REGISTER":
            return self._register(key, request, flow, now)
        return self._from_phone(key, received, flow, now, emergency=emergency)

    def _refusal(self, request: Request, *, emergency: bool) -> tuple[int, Headers] | None:
        """What no proxy passes on (RFC 3261 §16.3)."""
        uri = request.uri
        if uri.scheme not in _SCHEMES and not emergency:
            return 416, []
        if request.method != "OPTIONS" and self._has_gone_far_enough(request):
            return 483, []
        if self._router.loops(request):
            return 482, []
        asked = [] if emergency else request.get_all("Proxy-Require")
        return (420, [("Unsupported", ", ".join(asked))]) if asked else None

    def _has_gone_far_enough(self, request: Request) -> bool:
        """Max-Forwards (§16.3 item 3); a call for help goes on, with all that belongs to it.

        A loop of ours ends by its Vias, one through the engine by its count of such calls.
        """
        if request.max_forwards:
            return False
        to = request.to
        return not self._is_emergency(to.uri if to.tag is not None else request.uri)

    def _ack(self, ack: Request, flow: Flow, now: float) -> list[EdgeEffect]:
        """The ACK for a 2xx goes the way of the dialog, and nowhere without one (RFC 3261 §16.11)."""
        received = self._router.take_routes(ack)
        if received.token is None or self._has_gone_far_enough(ack):
            return [Discarded("ACK of no dialog that came this way", flow)]
        if self._is_engine(ack, flow):
            target, serial = received.token
            if not self._is_up(target, serial):
                return [Discarded("ACK for a connection that is gone", flow)]
            hop, identity = Hop(received.uri, target), None
        else:
            hop, identity = Hop(received.uri, self._engine_flow(received)), ""
        onward = self._router.onward(received, hop, (), identity)
        return self._handle(self._layer.send(onward, hop.flow, now), now)

    # --- from the engine ---

    def _to_phone(self, key: ServerKey, received: Received, flow: Flow, now: float) -> list[EdgeEffect]:
        request = received.request
        if received.token is not None:
            target, serial = received.token
            if not self._is_up(target, serial):
                return self._refuse(key, request, 430, flow, now)
            hop = Hop(received.uri, target, serial=serial)
            journey = Journey(received, [[hop]], None, record=False)
            return self._handle(self._proxy.start(key, journey, now), now)
        user = self._accounts.owner(request.uri.user)
        if user is None:
            return self._refuse(key, request, 404, flow, now)
        groups = self._targets(user)
        if not groups:
            return self._refuse(key, request, 480, flow, now)
        return self._handle(self._proxy.start(key, Journey(received, groups, None), now), now)

    def _targets(self, user: str) -> list[list[Hop]]:
        """The user's phones; the flows of one phone are a group, the newest first (RFC 5626 §7)."""
        groups: dict[str, list[Hop]] = {}
        for binding in self.bindings.of(user):
            flow = delivery_flow(binding)
            if not self._is_up(flow, self._serials.get(flow, 0)):
                continue
            hop = Hop(binding.contact, flow, binding.path, self._serials.get(flow, 0))
            groups.setdefault(binding.instance if binding.reg_id else binding.contact, []).append(hop)
        return list(groups.values())

    # --- from phones ---

    def _from_phone(
        self, key: ServerKey, received: Received, flow: Flow, now: float, *, emergency: bool
    ) -> list[EdgeEffect]:
        request = received.request
        user = self._known_by_flow(request, flow, emergency=emergency)
        effects: list[EdgeEffect] = []
        if user is None and not emergency:
            checked, effects = self._check(request, "Proxy-Authorization", flow, now)
            if checked.outcome is not Outcome.ACCEPTED:
                return effects + self._challenge(key, request, 407, checked, flow, now)
            user = self._accounts.owner(checked.user)
        if user is not None and not emergency and not self._accounts.may_send(user, request):
            return effects + self._refuse(key, request, 403, flow, now)
        identity = NOBODY if user is None else self._accounts.asserted(user, request)
        # Routes of its own would lead past the engine.
        own = Received(request, received.uri, ())
        hop = Hop(received.uri, self._flow_to(self._settings.engine))
        journey = Journey(own, [[hop]], identity, self._phone(flow))
        return effects + self._handle(self._proxy.start(key, journey, now), now)

    def _known_by_flow(self, request: Request, flow: Flow, *, emergency: bool) -> str | None:
        """The user who registered by this very flow and says to be the caller, where that is proof enough.

        For an emergency call it always is, since nothing better is asked for.
        """
        if not (flow.reliable or emergency or self._settings.registered_pass):
            return None
        users = [binding.user for binding in self.bindings.on(flow)]
        return next((said for said in self._accounts.said(request) if said in users), None)

    def _register(self, key: ServerKey, request: Request, flow: Flow, now: float) -> list[EdgeEffect]:
        checked, effects = self._check(request, "Authorization", flow, now)
        if checked.outcome is not Outcome.ACCEPTED:
            return effects + self._challenge(key, request, 401, checked, flow, now)
        user = self._accounts.owner(checked.user) or checked.user
        own = self._accounts.owner(request.to.uri.user) == user  # RFC 3261 §10.3 item 4
        if not own or not self._accounts.may_send(user, request):
            return effects + self._refuse(key, request, 403, flow, now)
        answer = self._registrar.register(request, user, flow, now)
        effects += answer.changes
        response = response_to(request, answer.status, to_tag=self._ids.tag(), headers=answer.headers)
        return effects + self._handle(self._layer.respond(key, response, now), now)

    def _check(
        self, request: Request, header: str, flow: Flow, now: float
    ) -> tuple[Checked, list[EdgeEffect]]:
        checked = self._digest.check(request.get_all(header), request.method, request.uri, now)
        host = flow.remote[0]
        effects: list[EdgeEffect] = []
        if checked.outcome is Outcome.WRONG and self._throttle.failed(host, checked.user, now):
            effects.append(SourceBanned(host, self._settings.ban_s))
        if checked.user and self._throttle.shut(checked.user, now, lambda: self._is_home(checked.user, host)):
            checked = Checked(Outcome.WRONG, checked.user)
        return checked, effects

    def _is_home(self, user: str, host: str) -> bool:
        account = self._accounts.owner(user)
        if account is None:
            return False
        return any(binding.flow.remote[0] == host for binding in self.bindings.of(account))

    def _challenge(
        self, key: ServerKey, request: Request, status: int, checked: Checked, flow: Flow, now: float
    ) -> list[EdgeEffect]:
        """Ask for credentials; without state, since nobody is known yet (RFC 3261 §26.3.2.4)."""
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        headers = [(name, value) for value in self._digest.challenges(now, stale=checked.stale)]
        return self._handle(self._layer.dismiss(key, request, status, flow, headers), now)

    # --- ways ---

    def _refuse(
        self, key: ServerKey, request: Request, status: int, flow: Flow, now: float
    ) -> list[EdgeEffect]:
        return self._handle(self._layer.dismiss(key, request, status, flow), now)

    def _is_engine(self, request: Request, flow: Flow) -> bool:
        """By the very port that a worker listens at: its host may run more than the engine."""
        if not flow.reliable:
            return flow.remote in self._engines
        # Connections leave from any port; the Via says where their sender listens.
        via = request.top_via
        port = via.port or DEFAULT_PORTS.get(via.transport, DEFAULT_PORT)
        return flow.remote[0] == via.host and (via.host, port) in self._engines

    def _is_for_us(self, request: Request) -> bool:
        return request.uri.user is None and self._router.is_ours(request.uri)

    def _in_dialog(self, received: Received) -> bool:
        """Whether a phone's request is of a dialog that came this way: others cannot have the token."""
        return received.token is not None and received.request.to.tag is not None

    def _is_up(self, flow: Flow, serial: int) -> bool:
        if not flow.reliable:
            return True
        return serial != 0 and self._serials.get(flow) == serial

    def _phone(self, flow: Flow) -> tuple[Flow, int]:
        return flow, self._serials.get(flow, 0)

    def _flow_to(self, address: tuple[str, int]) -> Flow:
        return Flow("udp", self._settings.bound["udp"], address)

    def _engine_flow(self, received: Received) -> Flow:
        """To the engine worker that the dialog names; a phone's word leads nowhere else."""
        uri = received.uri if isinstance(received.uri, Uri) else received.request.uri
        if received.routes:
            uri = received.routes[0].uri
        named = (uri.host, uri.port or DEFAULT_PORT)
        return self._flow_to(named if named in self._engines else self._settings.engine)
