"""A small UDP network in virtual time, so that tests read as ladders, and requests as peers write them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from engine.sip.dialog import Dialog
from engine.sip.effects import ClientKey, Effect, Send, ServerKey
from engine.sip.flow import Flow
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, Response, response_to
from engine.sip.messages import out_of_dialog
from engine.sip.parse import parse
from engine.sip.uri import NameAddr, Uri
from tests.sip.ids import SeededIds

Address = tuple[str, int]
E = TypeVar("E", bound=Effect)

ALICE = ("192.0.2.2", 5060)
BOB = ("192.0.2.1", 5060)
PEER = ("192.0.2.9", 5060)


def summary(data: bytes) -> str:
    """`INVITE` or `180 Ringing`, with the method for answers to anything but an INVITE."""
    message = parse(data)
    if isinstance(message, Request):
        return message.method
    method = message.cseq.method
    return f"{message.status} {message.reason}" + ("" if method == "INVITE" else f" ({method})")


class Datagram(NamedTuple):
    source: str
    target: str
    summary: str
    data: bytes


class Host:
    """A user agent with a transaction layer. `heard` is what the layer reported, in order."""

    def __init__(self, net: Net, name: str, address: Address, transport: str) -> None:
        self.net = net
        self.name = name
        self.address = address
        self.transport = transport
        self.layer = TransactionLayer(SeededIds(name), address)
        self.heard: list[Effect] = []

    def flow(self, remote: Address) -> Flow:
        return Flow(self.transport, self.address, remote)

    def carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.net.post(self, effect.flow, effect.data)
            else:
                self.heard.append(effect)

    def hear(self, kind: type[E]) -> E:
        """The oldest report, which must be of that kind; it is taken out."""
        assert self.heard, f"{self.name} heard nothing"
        effect = self.heard.pop(0)
        assert isinstance(effect, kind), effect
        return effect

    def request(self, request: Request, remote: Address) -> ClientKey:
        key, effects = self.layer.request(request, self.flow(remote), self.net.now)
        self.carry_out(effects)
        return key

    def respond(
        self, key: ServerKey, request: Request, status: int, headers: Iterable[tuple[str, str]] = ()
    ) -> Response:
        tag = None if status == 100 else f"{self.name}-local"
        response = response_to(request, status, to_tag=tag, headers=[*headers, ("Contact", self.contact)])
        self.carry_out(self.layer.respond(key, response, self.net.now))
        return response

    def cancel(self, key: ClientKey, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.carry_out(self.layer.cancel(key, self.net.now, headers))

    def ack(self, dialog: Dialog, remote: Address) -> None:
        ack = dialog.request("ACK", of_invite=dialog.local_cseq)
        self.carry_out(self.layer.send(ack, self.flow(remote), self.net.now))

    @property
    def contact(self) -> str:
        return f"<sip:{self.name}@{self.address[0]}:{self.address[1]}>"


class Net:
    """Delivers after `delay_s` what `lose` does not take; knows when each datagram left."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.now = 0.0
        self.delay_s = delay_s
        self.lose: Callable[[Datagram], bool] = lambda datagram: False
        self.written: dict[str, bytes] = {}
        """What left last, by its summary."""
        self._hosts: dict[Address, Host] = {}
        self._names: dict[Address, str] = {}
        self._in_flight: list[tuple[float, int, Address, Flow, bytes]] = []
        self._count = 0
        self._sent: list[tuple[float, str, str, str]] = []

    def host(self, name: str, address: Address, transport: str = "udp") -> Host:
        host = Host(self, name, address, transport)
        self._hosts[address] = host
        self._names[address] = name
        return host

    def stranger(self, name: str, address: Address) -> None:
        """An address whose datagrams a test writes by hand with `inject`."""
        self._names[address] = name

    def inject(self, data: bytes, source: Address, target: Host) -> None:
        """A datagram from a stranger, delivered at once."""
        flow = Flow(target.transport, target.address, source)
        target.carry_out(target.layer.receive(data, flow, self.now))

    def post(self, source: Host, flow: Flow, data: bytes) -> None:
        target = self._names.get(flow.remote, f"{flow.remote[0]}:{flow.remote[1]}")
        datagram = Datagram(source.name, target, summary(data), data)
        self._sent.append((self.now, datagram.source, datagram.target, datagram.summary))
        self.written[datagram.summary] = data
        if not self.lose(datagram):
            self._count += 1
            back = Flow(flow.transport, flow.remote, flow.local)
            entry = (self.now + self.delay_s, self._count, flow.remote, back, data)
            heapq.heappush(self._in_flight, entry)
            self._deliver()

    def advance(self, seconds: float) -> None:
        """Let time pass: datagrams arrive and timers fire when they are due."""
        end = self.now + seconds
        while True:
            due = [at for host in self._hosts.values() if (at := host.layer.next_timer()) is not None]
            if self._in_flight:
                due.append(self._in_flight[0][0])
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            self._deliver()
            for host in self._hosts.values():
                host.carry_out(host.layer.timer(self.now))
        self.now = end

    def _deliver(self) -> None:
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, address, flow, data = heapq.heappop(self._in_flight)
            host = self._hosts.get(address)
            if host is not None:
                host.carry_out(host.layer.receive(data, flow, self.now))

    def sent(self, name: str) -> list[str]:
        """What a host sent since it was last asked."""
        found = [what for _, source, _, what in self._sent if source == name]
        self._sent = [entry for entry in self._sent if entry[1] != name]
        return found

    def times(self, name: str, what: str) -> list[float]:
        """When a host sent that, since `sent` was last asked."""
        return [round(at, 3) for at, source, _, sent in self._sent if source == name and sent == what]

    def ladder(self) -> list[str]:
        """All since it was last asked: `0.5 A→B INVITE`."""
        lines = [f"{at:g} {source}→{target} {what}" for at, source, target, what in self._sent]
        self._sent = []
        return lines


def make_request(
    method: str, source: Host, target: Address, *, call_id: str = "call-1", route: str = ""
) -> Request:
    """A request outside a dialog, as a user agent makes it."""
    return out_of_dialog(
        method,
        target=Uri("sip", "bob", target[0], target[1]),
        from_=NameAddr(source.name, Uri("sip", source.name, source.address[0])).with_tag(
            f"{source.name}-tag"
        ),
        to=NameAddr(None, Uri("sip", "bob", target[0])),
        call_id=call_id,
        contact=source.contact,
        headers=[("Route", route)] if route else (),
    )


def wire(
    method: str = "INVITE",
    *,
    via: str = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-p1;rport",
    cseq: int = 1,
    call_id: str = "p-call",
    from_tag: str = ";tag=p",
    to_tag: str = "",
    extra: Iterable[str] = (),
    body: str = "",
) -> bytes:
    """A request as a stranger at 192.0.2.9 writes it."""
    lines = [
        f"{method} sip:bob@192.0.2.1 SIP/2.0",
        f"Via: {via}",
        f"From: <sip:peer@192.0.2.9>{from_tag}",
        f"To: <sip:bob@192.0.2.1>{to_tag}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        "Contact: <sip:peer@192.0.2.9>",
        *extra,
        f"Content-Length: {len(body.encode())}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()
