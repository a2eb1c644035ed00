"""Raw SIP peers: they write their own text and keep no transactions, timers or retransmissions.

What the engine sends is read with its parser (tests/sip proves that one); nothing else is shared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request, Response
from engine.sip.parse import parse

Address = tuple[str, int]
Post = Callable[[Address, Address, bytes], None]
Headers = Iterable[tuple[str, str]]

SDP_TYPE = "application/sdp"


def sdp(host: str, port: int = 40000, *, formats: str = "8 0 101", version: int = 1, way: str = "") -> bytes:
    """A description as a phone writes it."""
    names = {"8": "PCMA/8000", "0": "PCMU/8000", "18": "G729/8000", "101": "telephone-event/8000"}
    lines = ["v=0", f"o=peer 77 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines.append(f"m=audio {port} RTP/AVP {formats}")
    lines += [f"a=rtpmap:{number} {names[number]}" for number in formats.split()]
    if way:
        lines.append(f"a={way}")
    return "".join(f"{line}\r\n" for line in lines).encode()


def write(start: str, rows: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in rows)
    return f"{start}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode(errors="surrogateescape") + body


class Ask:
    """One request of a peer's, and the answers it got."""

    def __init__(self, side: Side, method: str, uri: str, rows: list[tuple[str, str]], body: bytes) -> None:
        self.side = side
        self.method = method
        self.uri = uri
        self.rows = rows
        self.body = body
        self.responses: list[Response] = []

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses]

    @property
    def last(self) -> Response:
        return self.responses[-1]

    @property
    def status(self) -> int:
        """The last one's; 0 where there was none."""
        return self.responses[-1].status if self.responses else 0

    def send(self) -> None:
        """Also again, as a retransmission."""
        self.side.peer.post(write(f"{self.method} {self.uri} SIP/2.0", self.rows, self.body))

    def ack(self, body: bytes = b"") -> None:
        """For a 2xx: a branch of its own."""
        rows = self._like("ACK", self.side.peer.branch())
        if body:
            rows.append(("Content-Type", SDP_TYPE))
        self.side.peer.post(write(f"ACK {self.side.target} SIP/2.0", rows, body))

    def ack_failure(self) -> None:
        rows = [row for row in self._like("ACK", None) if row[0] != "To"]
        rows.append(("To", self.last.rows("To")[0]))
        self.side.peer.post(write(f"ACK {self.uri} SIP/2.0", rows))

    def cancel(self, headers: Headers = ()) -> None:
        rows = [*self._like("CANCEL", None), *headers]
        self.side.asks[self._branch, "CANCEL"] = Ask(self.side, "CANCEL", self.uri, rows, b"")
        self.side.peer.post(write(f"CANCEL {self.uri} SIP/2.0", rows))

    @property
    def _branch(self) -> str:
        return dict(self.rows)["Via"].partition("branch=")[2].partition(";")[0]

    def _like(self, method: str, branch: str | None) -> list[tuple[str, str]]:
        """The rows this request shares with its ACK or CANCEL; `branch` None keeps its own."""
        kept = [row for row in self.rows if row[0] in ("From", "Call-ID", "Max-Forwards")]
        via = dict(self.rows)["Via"] if branch is None else self.side.peer.via(branch)
        number = dict(self.rows)["CSeq"].split()[0]
        tag = self.side.remote_tag if method == "ACK" and branch is not None else ""
        to = self.side.to + (f";tag={tag}" if tag else "")
        if branch is None:
            to = dict(self.rows)["To"]
        return [("Via", via), *kept, ("To", to), ("CSeq", f"{number} {method}")]


class Told:
    """One request that a peer received, and its answer."""

    def __init__(self, side: Side | None, peer: Peer, request: Request) -> None:
        self.side = side
        self.peer = peer
        self.request = request
        self.answered = 0

    def reply(
        self,
        status: int,
        body: bytes = b"",
        headers: Headers = (),
        *,
        tag: str = "",
        contact: str = "",
        phrase: str = "Whatever",
    ) -> None:
        request = self.request
        tag = tag or (self.side.tag if self.side is not None else f"{self.peer.name}-stray")
        rows = [("Via", value) for value in request.rows("Via")]
        rows += [("Record-Route", value) for value in request.rows("Record-Route")]
        to = request.rows("To")[0]
        rows += [
            ("From", request.rows("From")[0]),
            ("To", to if ";tag=" in to or status == 100 else f"{to};tag={tag}"),
            ("Call-ID", request.call_id),
            ("CSeq", request.rows("CSeq")[0]),
        ]
        if (request.method in ("INVITE", "UPDATE") and 100 < status < 300) or contact:
            rows.append(("Contact", contact or self.peer.contact))
        rows += headers
        if body:
            rows.append(("Content-Type", SDP_TYPE))
        data = write(f"SIP/2.0 {status} {phrase}", rows, body)
        self.answered = status
        self.peer.answers[request.top_via.branch or "", request.method] = data
        self.peer.post(data)


class Side:
    """A peer's end of one call."""

    def __init__(self, peer: Peer, call_id: str, me: str, to: str) -> None:
        self.peer = peer
        self.call_id = call_id
        self.me = me
        """Our From (or To) without tag."""
        self.to = to
        """Theirs, without tag."""
        self.tag = f"{peer.name}-{call_id[-6:]}"
        self.remote_tag = ""
        self.target = ""
        self.cseq = 0
        self.asks: dict[tuple[str, str], Ask] = {}
        self.told: list[Told] = []
        self.acks: list[Request] = []

    @property
    def invite(self) -> Told:
        """The INVITE that reached us."""
        return self.told[0]

    def last(self, method: str) -> Told:
        return [told for told in self.told if told.request.method == method][-1]

    def has(self, method: str) -> int:
        """How many requests of that method reached us."""
        return sum(told.request.method == method for told in self.told)

    def ask(
        self, method: str, body: bytes = b"", headers: Headers = (), uri: str = "", forwards: int | None = 70
    ) -> Ask:
        """A request of ours; the first is out of dialog, all others inside it."""
        self.cseq += 1
        branch = self.peer.branch()
        rows = [
            ("Via", self.peer.via(branch)),
            ("From", f"{self.me};tag={self.tag}"),
            ("To", self.to + (f";tag={self.remote_tag}" if self.remote_tag else "")),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
        ]
        if forwards is not None:
            rows.append(("Max-Forwards", str(forwards)))
        given = list(headers)
        if method == "INVITE" and not any(name == "Contact" for name, _ in given):
            rows.append(("Contact", self.peer.contact))
        rows += [(name, value) for name, value in given if value]
        if body and not any(name == "Content-Type" for name, _ in given):
            rows.append(("Content-Type", SDP_TYPE))
        ask = Ask(self, method, uri or self.target, rows, body)
        self.asks[branch, method] = ask
        ask.send()
        return ask

    def follow(self, response: Response) -> None:
        """Speak inside the early dialog that a provisional response made."""
        self.remote_tag = response.to.tag or ""
        if response.contact is not None:
            self.target = str(response.contact.uri)

    def prack(self, response: Response, body: bytes = b"", *, rseq: str = "") -> Ask:
        """Acknowledge a reliable provisional response."""
        self.follow(response)
        rack = f"{rseq or response.get('RSeq')} {response.cseq.number} INVITE"
        return self.ask("PRACK", body, [("RAck", rack)])

    def bye(self, headers: Headers = ()) -> Ask:
        return self.ask("BYE", headers=headers)

    def offer(self, body: bytes = b"") -> Ask:
        """re-INVITE."""
        return self.ask("INVITE", body)


class Peer:
    """A host that speaks SIP: unless told otherwise it acknowledges failures, and takes BYE, CANCEL, MESSAGE,
    PRACK and NOTIFY.
    """

    def __init__(self, name: str, address: Address, engine: Address, post: Post) -> None:
        self.name = name
        self.address = address
        self.engine = engine
        self.calls: list[Side] = []
        """Calls that reached us, and those we made, in order."""
        self.messages: list[Told] = []
        self.options: list[Told] = []
        self.options_status: int | None = 200
        self.answers: dict[tuple[str, str], bytes] = {}
        self.message_status: int | None = 200
        self.bye_status: int | None = 200
        self.bye_headers: list[tuple[str, str]] = []
        self.takes_cancel = True
        self.prack_status: int | None = 200
        self.notify_status: int | None = 200
        self.options_status: int | None = 200
        """Of those inside a dialog."""
        self.takes_offers = b""
        """What every INVITE inside a dialog is answered with, where it is not empty."""
        self.acknowledges_failures = True
        self._post = post
        self._count = 0

    def post(self, data: bytes) -> None:
        self._post(self.address, self.engine, data)

    def branch(self) -> str:
        self._count += 1
        return f"z9hG4bK-{self.name}-{self._count}"

    def via(self, branch: str) -> str:
        return f"SIP/2.0/UDP {self.address[0]}:{self.address[1]};branch={branch};rport"

    @property
    def contact(self) -> str:
        return f"<sip:{self.name}@{self.address[0]}:{self.address[1]}>"

    def invite(
        self,
        number: str,
        body: bytes | None = None,
        headers: Headers = (),
        *,
        caller: str = "+8613800000001",
        display: str = "",
        uri: str = "",
        forwards: int | None = 70,
        method: str = "INVITE",
    ) -> Ask:
        """A request that starts something; without `body` an INVITE with our usual description."""
        self._count += 1
        me = f"{display} <sip:{caller}@{self.address[0]}>".strip()
        side = Side(self, f"call-{self.name}-{self._count}", me, f"<sip:{number}@{self.engine[0]}>")
        self.calls.append(side)
        if body is None:
            body = sdp(self.address[0]) if method == "INVITE" else b""
        to = uri or f"sip:{number}@{self.engine[0]}:{self.engine[1]}"
        return side.ask(method, body, headers, to, forwards)

    def receive(self, data: bytes) -> None:
        try:
            message = parse(data)
        except RemoteProtocolError:  # the answer to something damaged is as damaged
            return
        side = next((side for side in self.calls if side.call_id == message.call_id), None)
        if isinstance(message, Response):
            self._response(side, message)
        elif message.method == "ACK":
            if side is not None:
                side.acks.append(message)
        else:
            self._request(side, message)

    def _response(self, side: Side | None, response: Response) -> None:
        key = response.top_via.branch or "", response.cseq.method
        ask = side.asks.get(key) if side is not None else None
        if side is None or ask is None:
            return
        ask.responses.append(response)
        if ask.method == "INVITE" and response.status >= 300 and self.acknowledges_failures:
            ask.ack_failure()
        elif ask.method == "INVITE" and response.status >= 200:
            side.remote_tag = side.remote_tag or response.to.tag or ""
            if response.contact is not None:
                side.target = str(response.contact.uri)

    def _request(self, side: Side | None, request: Request) -> None:
        key = request.top_via.branch or "", request.method
        if key in self.answers:
            self.post(self.answers[key])
            return
        if side is None and request.method == "INVITE":
            theirs, me = request.rows("From")[0].partition(";tag=")[0], request.rows("To")[0]
            side = Side(self, request.call_id, me, theirs)
            side.remote_tag = request.from_.tag or ""
            side.target = str(request.contact.uri) if request.contact is not None else ""
            self.calls.append(side)
        told = Told(side, self, request)
        known = side is not None and any(
            (other.request.top_via.branch, other.request.method) == key for other in side.told
        )
        if side is not None and not known:
            side.told.append(told)
        if request.method == "MESSAGE":
            self.messages.append(told)
            if self.message_status is not None:
                told.reply(self.message_status)
        elif request.method == "OPTIONS":
            self.options.append(told)
            if self.options_status is not None:
                told.reply(self.options_status)
        elif request.method == "PRACK" and self.prack_status is not None:
            told.reply(self.prack_status)
        elif request.method == "INVITE" and request.to.tag is not None and self.takes_offers:
            told.reply(200, self.takes_offers)
        elif request.method == "NOTIFY" and self.notify_status is not None:
            told.reply(self.notify_status)
        elif request.method == "OPTIONS" and request.to.tag and self.options_status is not None:
            told.reply(self.options_status)
        elif request.method == "BYE" and self.bye_status is not None:
            told.reply(self.bye_status, headers=self.bye_headers)
        elif request.method == "CANCEL" and self.takes_cancel:
            told.reply(200)
            for other in side.told if side is not None else []:
                invited = other.request.method == "INVITE" and other.answered < 200
                if invited and other.request.top_via.branch == key[0]:
                    other.reply(487)
