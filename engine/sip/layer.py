"""The transaction layer (RFC 3261 §17, §18, RFC 6026): what comes in and what the TU asks, effects out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2s
from types import MappingProxyType
from typing import Final

from engine.sip.effects import (
    AckReceived,
    CancelReceived,
    ClientKey,
    Discarded,
    Effect,
    RequestReceived,
    Send,
    ServerKey,
)
from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.flow import DEFAULT_PORT, DEFAULT_PORTS, Flow
from engine.sip.grammar import TOKEN, split_list
from engine.sip.ids import IdSource
from engine.sip.machines import (
    INVITE_CLIENT,
    INVITE_PROXY_SERVER,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Input,
    State,
)
from engine.sip.matching import reply_by, reply_flow, server_key
from engine.sip.message import Request, Response, response_to
from engine.sip.messages import cancel_for
from engine.sip.parse import parse
from engine.sip.plain import Gate, plain_invite, refusal_of
from engine.sip.status import reason_phrase
from engine.sip.timers import Timers
from engine.sip.transaction import ClientTransaction, MergeKey, ServerTransaction
from engine.sip.transitions import Transactions
from engine.sip.uri import format_host
from engine.sip.via import Via

_KEEP_ALIVE: Final = b"\r\n\0"
_LINE_END: Final = b"\r\n"
NO_PORTS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType({})


class TransactionLayer(Transactions):
    """All transactions of one worker, whose Via names `sent_by`, or what `sent_by_of` has for the transport.

    Pure: `now` is monotonic seconds and never goes backwards. Feed it datagrams, the TU's messages and timer
    readings; carry the effects out in their order and ask `next_timer()` again after each call.

    For a `proxy` responses come up with the Vias below ours, requests that merge are a matter of its loop
    detection, 2xx are passed on each time they come, and so are ACKs that no transaction takes.
    """

    def __init__(
        self,
        ids: IdSource,
        sent_by: tuple[str, int],
        timers: Timers | None = None,
        *,
        sent_by_of: Mapping[str, tuple[str, int]] = NO_PORTS,
        proxy: bool = False,
    ) -> None:
        super().__init__(timers or Timers())
        self._ids = ids
        self._proxy = proxy
        ours = {transport: (host.lower(), port) for transport, (host, port) in sent_by_of.items()}
        self._sent_by = (sent_by[0].lower(), sent_by[1])
        # What a Via of ours begins with, up to its branch.
        self._via_of = {
            name: f"SIP/2.0/{name.upper()} {format_host(*ours.get(name, self._sent_by))};branch="
            for name in ("udp", "tcp", "tls", "ws", "wss", *ours)
        }
        self._own = frozenset((self._sent_by, *ours.values()))
        self.gate: Gate | None = None
        """Asked of every INVITE before it is parsed."""
        self.rescue: Callable[[bytes, Flow], Request | None] | None = None
        """Asked of what is malformed: the request that is made of it after all."""
        self.repeats_received = 0
        """Requests that came again."""

    # --- from the network ---

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """One datagram, or one framed message of a stream. Never raises for what a peer sent."""
        if data[:1] in _KEEP_ALIVE and not data.strip(_KEEP_ALIVE):
            return []  # RFC 5626 §3.5.1
        message: Request | Response | None = None
        try:
            effects: list[Effect] | None = None
            if data.startswith(b"ACK "):
                effects = self._acknowledged_at_once(data, now)
            elif self.gate is not None and data.startswith(b"INVITE "):
                effects = self._refused_at_once(self.gate, data, flow, now)
            if effects is not None:
                return effects
            message = parse(data)
            if isinstance(message, Request):
                return self._receive_request(message, flow, now)
            return self._receive_response(message, flow, now)
        except RemoteProtocolError as error:
            if error.request is None and isinstance(message, Request):
                error.request = message
            effects = self._rescued(data, flow, now)
            return self._refuse(error, flow) if effects is None else effects

    def _rescued(self, data: bytes, flow: Flow, now: float) -> list[Effect] | None:
        """What a malformed request is worth all the same; None: its refusal."""
        request = self.rescue(data, flow) if self.rescue is not None else None
        try:
            return self._receive_request(request, flow, now) if request is not None else None
        except RemoteProtocolError:
            return None

    # --- from the transaction user ---

    def request(
        self, request: Request, flow: Flow, now: float, branch: str | None = None
    ) -> tuple[ClientKey, list[Effect]]:
        """Start a client transaction; the layer adds the top Via. Not for ACK and CANCEL.

        `branch` is a proxy's, made unique by it: it tells a loop from its own branch (RFC 3261 §16.6 item 8).
        """
        method = request.method
        if method in ("ACK", "CANCEL"):
            raise LocalProtocolError(f"{method} has no transaction of its own: see send() and cancel()")
        if branch is None:
            branch = self._ids.branch()
        elif not TOKEN.fullmatch(branch):
            raise LocalProtocolError(f"{branch!r} is not a branch")
        key = ClientKey(branch, method)
        via = f"{self._via_of[flow.transport]}{branch};rport"
        data = request.to_bytes().replace(_LINE_END, f"\r\nVia: {via}\r\n".encode(), 1)
        if method == "INVITE":
            machine = INVITE_CLIENT
            client = ClientTransaction(key, machine, machine.initial, data, flow, request, via)
        else:
            machine = NON_INVITE_CLIENT
            client = ClientTransaction(key, machine, machine.initial, data, flow)
        self._clients[branch] = client
        self._queues.start(client, machine.entry, now)
        return key, [Send(flow, data, branch)]

    def cancel(self, key: ClientKey, now: float, headers: Iterable[tuple[str, str]] = ()) -> list[Effect]:
        """Cancel an INVITE, with `headers` (a Reason) added (RFC 3261 §9.1).

        Held until a provisional response has come; without effect once a final one has. The INVITE still
        ends by a final response (a 2xx if the two cross), or by TransactionFailed 64*T1 after the CANCEL.
        """
        invite = self._clients.get(key.branch)
        if key.method != "INVITE":
            raise LocalProtocolError("only an INVITE can be cancelled")
        if invite is None or invite.cancel or invite.request is None:
            return []
        if invite.state not in (State.CALLING, State.PROCEEDING):
            return []
        # Written now: a bad header is not to be raised when a response arrives.
        invite.cancel = cancel_for(invite.request, invite.via, headers).to_bytes()
        return [] if invite.state is State.CALLING else self._send_cancel(invite, now)

    def respond(self, key: ServerKey, response: Response, now: float) -> list[Effect]:
        """Answer a request. LocalProtocolError when its transaction is gone or has its final response."""
        server = self._servers.get(key)
        if server is None:
            raise LocalProtocolError(f"no server transaction {key}")
        data = response.to_bytes()
        status = response.status
        if status < 200:
            given = Input.SEND_PROVISIONAL
        else:
            given = Input.SEND_SUCCESS if status < 300 else Input.SEND_FAILURE
        tag: str | None = None
        if status > 100 and key.method == "INVITE":
            tag = None if self._proxy else server.to_tag
            tag = tag or response.to_tag
            if tag is None and not self._proxy:
                raise LocalProtocolError(f"{status} to an INVITE needs a To tag")
        effects = self._step(server, given, now, data=data)
        if tag is not None:
            server.to_tag = tag
            if given is Input.SEND_SUCCESS and not self._proxy:
                if server.merge_key is not None:
                    _, call_id, number, _ = server.merge_key
                else:
                    call_id, number = response.call_id, response.cseq.number
                server.ack_key = (call_id, tag, number)
                self._accepted[server.ack_key] = server
        return effects

    def dismiss(
        self,
        key: ServerKey,
        request: Request,
        status: int,
        flow: Flow,
        headers: Iterable[tuple[str, str]] = (),
    ) -> list[Effect]:
        """Refuse a request that has no answer yet and keep nothing of it (RFC 3261 §8.2.7).

        For strangers: what is kept and repeated for them can be used against us, and against whoever's
        address they write into their datagrams.
        """
        server = self._servers.get(key)
        if server is None:
            raise LocalProtocolError(f"no server transaction {key}")
        self._forget(server)
        return [_stateless(request, status, None, request.top_via, flow, headers)]

    def abandon(self, key: ServerKey) -> None:
        """Forget a request without an answer: no 408 is sent to anything but an INVITE (RFC 4320 §4.2)."""
        server = self._servers.get(key)
        if server is not None:
            self._forget(server)

    def send(
        self, request: Request, flow: Flow, now: float, invite: ClientKey | None = None, tag: str = ""
    ) -> list[Effect]:
        """Send the ACK for a 2xx: no transaction, a Via of its own (RFC 3261 §13.2.2.4).

        With the key of an INVITE of ours and the 2xx's To tag it is kept for `send_again`, until timer M.
        """
        branch = self._ids.branch()
        via = f"\r\nVia: {self._via_of[flow.transport]}{branch};rport\r\n"
        ack = Send(flow, request.to_bytes().replace(_LINE_END, via.encode(), 1), branch)
        client = self._clients.get(invite.branch) if invite is not None else None
        if client is not None:
            if client.acks is None:
                client.acks = {}
            client.acks[tag] = ack
        return [ack]

    def send_again(self, invite: ClientKey, tag: str) -> list[Effect]:
        """The very ACK that went out for this 2xx, which has come again; nothing where none has."""
        client = self._clients.get(invite.branch)
        ack = client.acks.get(tag) if client is not None and client.acks is not None else None
        if ack is None:
            return []
        self.repeats_sent += 1
        return [ack]

    # --- received messages ---

    def _acknowledged_at_once(self, data: bytes, now: float) -> list[Effect] | None:
        """The ACK of a refused INVITE is known by its top Via alone (RFC 3261 §17.1.1.3); None: parse it."""
        begin = data.find(b"\r\nVia: ") + 7
        server = self._refused.get(data[begin : data.find(b"\r\n", begin)])
        if server is None or begin < 7:
            return None
        return self._step(server, Input.RECEIVE_ACK, now)

    def _refused_at_once(self, gate: Gate, data: bytes, flow: Flow, now: float) -> list[Effect] | None:
        """What the gate refuses gets its answer here, before it is parsed; None: nothing of that."""
        suspect = gate.suspect(data, flow)
        plain = plain_invite(data) if suspect is not None else None
        if plain is None or plain.key in self._servers:
            return None
        host, port = plain.key.sent_by
        merge_key = (plain.from_tag, plain.call_id, plain.cseq, "INVITE")
        if (host != flow.remote[0] and not plain.asks_rport) or merge_key in self._merges:
            return None
        refusal = gate.refusal(suspect, plain, flow)
        if refusal is None:
            return None
        tag = self._ids.tag()
        answer = refusal_of(plain, refusal, tag, flow.remote)
        back = reply_flow(flow, port, asks_rport=plain.asks_rport)
        server = ServerTransaction(plain.key, INVITE_SERVER, INVITE_SERVER.initial, back, merge_key)
        server.to_tag = tag
        server.via = plain.via.encode()
        self._servers[plain.key] = self._merges[merge_key] = self._refused[server.via] = server
        return self._step(server, Input.SEND_FAILURE, now, data=answer)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        via = request.top_via
        method = request.method
        key = server_key(request, via)
        if method == "ACK":
            return self._receive_ack(request, key, flow, now)
        server = self._servers.get(key)
        if server is not None:
            self.repeats_received += 1
            return self._step(server, Input.RECEIVE_REQUEST, now)
        request.validate()
        request.stamp(*flow.remote)
        if method == "CANCEL":
            return self._receive_cancel(request, key, via, flow, now)
        merge_key: MergeKey | None = None
        if request.to_tag is None and not self._proxy:
            merge_key = (request.from_tag, request.call_id, request.cseq.number, method)
            if merge_key in self._merges:
                return [_stateless(request, 482, None, via, flow)]  # RFC 3261 §8.2.2.2
        if method == "INVITE":
            machine = INVITE_PROXY_SERVER if self._proxy else INVITE_SERVER
        else:
            machine = NON_INVITE_SERVER
        server = ServerTransaction(key, machine, machine.initial, reply_by(via, flow), merge_key)
        self._servers[key] = server
        if merge_key is not None:
            self._merges[merge_key] = server
        return [RequestReceived(key, request, flow)]

    def _receive_ack(self, ack: Request, key: ServerKey, flow: Flow, now: float) -> list[Effect]:
        # A failure's ACK has the INVITE's branch, a 2xx's has its own and is known by its dialog.
        server = self._servers.get(key)
        if server is None:
            server = self._accepted.get((ack.call_id, ack.to_tag, ack.cseq.number))
        if server is None and self._proxy:
            ack.validate()
            return [AckReceived(ack, flow)]
        if server is None:
            return [Discarded("ACK matches no INVITE", flow)]
        if server.state is State.ACCEPTED:
            ack.validate()
        return self._step(server, Input.RECEIVE_ACK, now, message=ack, flow=flow)

    def _receive_cancel(
        self, cancel: Request, key: ServerKey, via: Via, flow: Flow, now: float
    ) -> list[Effect]:
        invite = self._servers.get(ServerKey(key.branch, key.sent_by, "INVITE"))
        # Branches of some peers can be guessed: only the host that sent the INVITE may take it back.
        if invite is None or invite.flow.remote[0] != flow.remote[0]:
            return [_stateless(cancel, 481, None, via, flow)]  # RFC 3261 §9.2
        machine = NON_INVITE_SERVER
        server = ServerTransaction(key, machine, machine.initial, reply_by(via, flow))
        self._servers[key] = server
        answer = response_to(cancel, 200, to_tag=invite.to_tag or self._ids.tag())
        effects = self._step(server, Input.SEND_SUCCESS, now, data=answer.to_bytes())
        if invite.state is State.PROCEEDING:
            effects.append(CancelReceived(invite.key, cancel))
        return effects

    def _receive_response(self, response: Response, flow: Flow, now: float) -> list[Effect]:
        first = response.first["Via"]
        ours = self._via_of[flow.transport]
        if len(response.first) == len(response.headers) and first.startswith(ours) and "," not in first:
            # our own Via came back as we wrote it, but for space
            branch = first[len(ours) :].partition(";")[0].rstrip(" \t")
        else:
            via = response.top_via
            rows = response.rows("Via")
            if not self._proxy and (len(rows) > 1 or ("," in rows[0] and len(split_list(rows[0])) > 1)):
                return [Discarded("response for another element", flow)]  # RFC 3261 §8.1.3.3
            if (via.host, via.port or DEFAULT_PORTS.get(via.transport, DEFAULT_PORT)) not in self._own:
                return [Discarded("response names another sent-by", flow)]  # RFC 3261 §18.1.2
            branch = via.branch or ""
        method = response.cseq.method
        table = self._cancels if method == "CANCEL" else self._clients
        client = table.get(branch)
        if client is None or client.key.method != method:
            return [Discarded("response matches no request", flow)]
        response.validate()
        if response.status < 200:
            given = Input.RECEIVE_PROVISIONAL
        else:
            given = Input.RECEIVE_SUCCESS if response.status < 300 else Input.RECEIVE_FAILURE
        return self._step(client, given, now, message=response)

    def _refuse(self, error: RemoteProtocolError, flow: Flow) -> list[Effect]:
        """Note a bad message, and answer it without state where that is possible."""
        effects: list[Effect] = [Discarded(str(error), flow)]
        request = error.request
        if request is not None and request.method != "ACK":
            via = request.top_via
            request.stamp(*flow.remote)
            status = error.status_hint
            # RFC 3261 §21.4.1 wants a 400 to say what was wrong; our messages repeat no wire text.
            reason = f"{reason_phrase(status)} ({error})" if status == 400 else None
            effects.append(_stateless(request, status, reason, via, flow))
        return effects


def _stateless(
    request: Request,
    status: int,
    reason: str | None,
    via: Via,
    flow: Flow,
    headers: Iterable[tuple[str, str]] = (),
) -> Send:
    """An answer without transaction; its tag is the same each time (RFC 3261 §8.2.7)."""
    tag = blake2s(f"{via}{request.get('Call-ID')}".encode(), digest_size=8).hexdigest()
    answer = response_to(request, status, reason, to_tag=tag, headers=headers)
    return Send(reply_by(via, flow), answer.to_bytes(), "")
