"""An edge on real sockets, an engine written by hand behind it, and phones of all transports before it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect

from engine.app.config import load_config
from engine.app.edge import run_edge
from engine.sip.framing import Framer
from engine.sip.message import Request, Response, response_to
from engine.sip.parse import parse
from tests.edge.credentials import with_credentials
from tests.runtime.net import PATIENCE_S, Socket, host
from tests.wire.transport_kit import Authority

USERS = {"13900000002": "secret-2", "13900000003": "secret-3"}
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 5080, "wss": 5443}


def text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


class Line(Protocol):
    """What carries a phone's messages."""

    address: tuple[str, int]

    async def send(self, data: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def close(self) -> None: ...


class Datagrams:
    def __init__(self, edge: tuple[str, int], address: str = "", port: int = 0) -> None:
        self._socket = Socket(address or host(), port)
        self._edge = edge
        self.address = self._socket.address

    async def send(self, data: bytes) -> None:
        self._socket.send(data, self._edge)

    async def receive(self) -> bytes:
        return await self._socket.receive()

    def unread(self) -> list[bytes]:
        return self._socket.unread()

    async def close(self) -> None:
        self._socket.close()


class Stream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._framer = Framer()
        self._frames: list[Any] = []
        self.address: tuple[str, int] = writer.get_extra_info("sockname")[:2]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> bytes:
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if isinstance(frame, bytes):
                    return frame
            data = await self.read()
            if not data:
                raise ConnectionError("closed")
            self._frames += self._framer.feed(data)

    async def read(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.read(65_536)

    async def close(self) -> None:
        self.writer.close()


class Web:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.address: tuple[str, int] = connection.local_address[:2]

    async def send(self, data: bytes) -> None:
        await self.connection.send(data.decode())

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            text = await self.connection.recv()
        assert isinstance(text, str)
        return text.encode()

    async def close(self) -> None:
        await self.connection.close()


class Phone:
    """A user agent of one user, over one line."""

    def __init__(self, lab: EdgeLab, user: str, transport: str, line: Line) -> None:
        self.lab, self.user, self.transport, self.line = lab, user, transport, line
        self.cseq = 0
        where = "web.invalid" if transport in ("ws", "wss") else f"{line.address[0]}:{line.address[1]}"
        parameter = "" if transport == "udp" else f";transport={transport.replace('wss', 'ws')}"
        self.contact = f"<sip:{user}@{where}{parameter}>"

    def make(
        self, method: str, to: str, headers: Iterable[tuple[str, str]] = (), user: str = "", call: str = ""
    ) -> Request:
        self.cseq += 1
        name = user or self.user
        target = f"sip:{self.lab.host}" if method == "REGISTER" else f"sip:{to}@{self.lab.host}"
        rows = [
            self.via(),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{name}@{self.lab.host}>;tag=t{name}"),
            ("To", f"<sip:{to}@{self.lab.host}>"),
            ("Call-ID", call or f"{method}-{id(self)}"),
            ("CSeq", f"{self.cseq} {method}"),
            ("Contact", self.contact),
        ]
        return Request(method, target, [*rows, *headers])

    def via(self) -> tuple[str, str]:
        self.lab.branches += 1
        where = "web.invalid" if self.transport in ("ws", "wss") else text(self.line.address)
        return "Via", f"SIP/2.0/{self.transport.upper()} {where};branch=z9hG4bK-{self.lab.branches};rport"

    async def send(self, message: Request | Response) -> None:
        await self.line.send(message.to_bytes())

    async def hear(self, what: str) -> Any:
        """The next message of that method or status; others are passed over."""
        while True:
            message = parse(await self.line.receive())
            name = message.method if isinstance(message, Request) else str(message.status)
            if name == what:
                return message

    async def ask(self, request: Request) -> Response:
        await self.send(request)
        while True:
            message = parse(await self.line.receive())
            if isinstance(message, Response) and message.cseq == request.cseq and message.status >= 200:
                return message

    def with_credentials(
        self,
        request: Request,
        answer: Response,
        *,
        algorithm: str | None = None,
        password: str | None = None,
        user: str = "",
        nonce_count: int = 1,
    ) -> Request:
        """The request again with the next CSeq, another branch and credentials."""
        self.cseq += 1
        user = user or self.user
        rows = [self.via(), *((name, text) for name, text in request.headers if name != "Via")]
        return with_credentials(
            Request(request.method, request.uri, rows, request.body),
            answer,
            cseq=self.cseq,
            user=user,
            password=USERS.get(user, "") if password is None else password,
            algorithm=algorithm,
            nonce_count=nonce_count,
        )

    async def register(self, headers: Iterable[tuple[str, str]] = ()) -> Response:
        request = self.make("REGISTER", self.user, headers)
        answer = await self.ask(self.with_credentials(request, await self.ask(request)))
        assert answer.status == 200, answer
        return answer

    async def answer(self, request: Request, status: int, body: bytes = b"") -> None:
        headers = [("Contact", self.contact)] + ([("Content-Type", "application/sdp")] if body else [])
        tag = f"at{self.line.address[1]}"
        await self.send(response_to(request, status, to_tag=tag, headers=headers, body=body))


class EdgeLab:
    """The edge at `host`, the engine a bare socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = host()
        self.authority = Authority(folder)
        files = self.authority.issue(self.host)
        self.engine = Socket(host(), 5060)
        self.branches = 0
        self._lines: list[Line] = []
        self._stop = asyncio.Event()
        self._edge: asyncio.Task[int] | None = None
        self.said: list[str] = []
        self.file = folder / "edge.toml"
        self.settings = f"""
            data.folder = "{folder / "data"}"
            [edge]
            listen = "{self.host}:{PORTS["udp"]}"
            tls = "{self.host}:{PORTS["tls"]}"
            ws = "{self.host}:{PORTS["ws"]}"
            wss = "{self.host}:{PORTS["wss"]}"
            certificate = "{files.certificate}"
            key = "{files.key}"
            realm = "lab"
            engine = "{self.engine.address[0]}:5060"
            [edge.users]
            """ + "\n".join(f'{user} = "{password}"' for user, password in USERS.items())
        self.file.write_text(self.settings)

    async def start(self, *overrides: str) -> None:
        config = load_config(self.file, overrides, {})
        self._stop = asyncio.Event()
        ready = asyncio.Event()

        def say(line: str) -> None:
            self.said.append(line)
            ready.set()

        self._edge = asyncio.create_task(run_edge(config, self._stop, say))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((self._edge, waiting), return_when=asyncio.FIRST_COMPLETED)
        if self._edge.done():
            self._edge.result()
        await waiting

    async def stop(self) -> None:
        if self._edge is not None:
            self._stop.set()
            assert await self._edge == 0
            self._edge = None

    async def close(self) -> None:
        for line in self._lines:
            await line.close()
        await self.stop()
        self.engine.close()

    async def line(self, transport: str, source: str = "") -> Line:
        """`source` is the address that a phone by UDP, TCP or TLS has."""
        context: ssl.SSLContext | None = self.authority.client() if transport in ("tls", "wss") else None
        at = (self.host, PORTS[transport])
        line: Line
        if transport == "udp":
            line = Datagrams(at, source)
        elif transport in ("tcp", "tls"):
            local = (source or host(), 0)
            line = Stream(*await asyncio.open_connection(*at, ssl=context, local_addr=local))
        else:
            url = f"{transport}://{at[0]}:{at[1]}/"
            subprotocols: Any = ["sip"]
            line = Web(
                await connect(
                    url, ssl=context, subprotocols=subprotocols, local_addr=(source or host(), 0), proxy=None
                )
            )
        self._lines.append(line)
        return line

    async def phone(self, transport: str, user: str = "13900000002", source: str = "") -> Phone:
        return Phone(self, user, transport, await self.line(transport, source))

    # --- the engine ---

    async def comes(self, what: str) -> Any:
        """The next message of that method or status at the engine; others are passed over."""
        while True:
            message = parse(await self.engine.receive())
            name = message.method if isinstance(message, Request) else str(message.status)
            if name == what:
                return message

    def ring(
        self, method: str, to: str, call: str = "call", headers: Iterable[tuple[str, str]] = ()
    ) -> Request:
        """A request of the engine outside a dialog."""
        self.branches += 1
        at = text(self.engine.address)
        rows = [
            ("Via", f"SIP/2.0/UDP {at};branch=z9hG4bK-n{self.branches};rport"),
            ("Max-Forwards", "70"),
            ("From", "<sip:+8613800000001@engine.invalid>;tag=n"),
            ("To", f"<sip:{to}@{self.host}>"),
            ("Call-ID", call),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<sip:{at}>"),
        ]
        request = Request(method, f"sip:{to}@{self.host}:5060", rows)
        self.say(request)
        return request

    def follow(self, method: str, request: Request, answer: Response) -> None:
        """The engine's ACK or BYE in the dialog that `answer` made."""
        self.branches += 1
        contact = answer.contact
        assert contact is not None
        number = request.cseq.number + (method != "ACK")
        rows = [
            ("Via", f"SIP/2.0/UDP {text(self.engine.address)};branch=z9hG4bK-n{self.branches};rport"),
            ("Max-Forwards", "70"),
            *(("Route", str(route)) for route in reversed(answer.record_routes)),
            ("From", request.rows("From")[0]),
            ("To", answer.rows("To")[0]),
            ("Call-ID", request.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        self.say(Request(method, contact.uri, rows))

    def reply(self, request: Request, status: int) -> Response:
        contact = ("Contact", f"<sip:{text(self.engine.address)}>")
        response = response_to(request, status, to_tag="engine", headers=[contact])
        self.say(response)
        return response

    def say(self, message: Request | Response) -> None:
        self.engine.send(message.to_bytes(), (self.host, PORTS["udp"]))
