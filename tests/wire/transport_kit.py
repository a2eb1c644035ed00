"""SIP peers of one transport each around an engine worker, and certificates for them."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.model.address import Address
from engine.sip.message import Request, Response
from engine.sip.parse import parse
from engine.sip.uri import format_host
from tests.call.peer import sdp
from tests.runtime.net import PATIENCE_S, Socket

NUMBER = "13900000002"
_calls = count(1)


class Side:
    """A peer that listens at `host` by one transport and speaks by hand-written messages.

    Over TCP and TLS it opens one connection to the engine on its first request and answers over the one a
    request came by. `opened` and `accepted` count connections.
    """

    def __init__(
        self,
        host: str,
        transport: str = "udp",
        *,
        server: ssl.SSLContext | None = None,
        client: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self.transport = host, transport
        self.address: tuple[str, int] = (host, 0)
        self.opened = self.accepted = 0
        self._contexts = server, client
        self._socket: Socket | None = None
        self._server: asyncio.Server | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._mine: asyncio.StreamWriter | None = None
        self._last: asyncio.StreamWriter | None = None
        self._heard: asyncio.Queue[tuple[Request | Response, asyncio.StreamWriter | None]] = asyncio.Queue()
        self._all: set[asyncio.StreamWriter] = set()

    async def open(self) -> Side:
        if self.transport == "udp":
            self._socket = Socket(self.host)
            self.address = self._socket.address[:2]
        else:
            self._server = await asyncio.start_server(self._accepted, self.host, 0, ssl=self._contexts[0])
            self.address = self._server.sockets[0].getsockname()[:2]
        return self

    @property
    def next_hop(self) -> Address:
        return Address(*self.address)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._follow(reader, writer)

    def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._all.add(writer)
        task = asyncio.create_task(self._read(reader, writer))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.rpartition(b"Content-Length:")[2]))
                self._heard.put_nowait((parse(head + body), writer))
        except (asyncio.IncompleteReadError, OSError):
            self._all.discard(writer)
            if self._mine is writer:
                self._mine = None
            writer.close()

    async def send(self, data: bytes, target: tuple[str, int]) -> None:
        """A request, over the connection that is there or a new one."""
        if self._socket is not None:
            self._socket.send(data, target)
            return
        if self._mine is None:
            reader, self._mine = await asyncio.open_connection(
                *target,
                ssl=self._contexts[1],
                server_hostname=target[0] if self._contexts[1] is not None else None,
                local_addr=(self.host, 0),
            )
            self.opened += 1
            self._follow(reader, self._mine)
        self._mine.write(data)

    async def read(self, what: str) -> Request | Response:
        """The next message of that method or status; others before it are passed over."""
        while True:
            if self._socket is not None:
                message: Request | Response = parse(await self._socket.receive())
            else:
                message, self._last = await asyncio.wait_for(self._heard.get(), PATIENCE_S)
            if what == (message.method if isinstance(message, Request) else str(message.status)):
                return message

    async def request(self, what: str) -> Request:
        found = await self.read(what)
        assert isinstance(found, Request)
        return found

    def answer(self, request: Request, status: int, target: tuple[str, int], body: bytes = b"") -> None:
        kept = ("Via", "From", "Call-ID", "CSeq")
        rows = [f"{name}: {value}" for name, value in request.headers if name in kept]
        to = request.rows("To")[0]
        rows.append(f"To: {to}" + ("" if ";tag=" in to else ";tag=callee"))
        rows.append(f"Contact: {self.contact}")
        data = message(f"SIP/2.0 {status} Whatever", rows, body)
        if self._socket is not None:
            self._socket.send(data, target)
        else:
            assert self._last is not None
            self._last.write(data)

    @property
    def contact(self) -> str:
        parameter = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"<sip:peer@{format_host(*self.address)}{parameter}>"

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._all):
            writer.transport.abort()
        self._mine = None

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._readers):
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


def message(start: str, rows: list[str], body: bytes = b"") -> bytes:
    kind = ["Content-Type: application/sdp"] if body else []
    return "\r\n".join([start, *rows, *kind, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Call:
    """One call from `caller` through the engine at `target` to `callee`, as its caller's messages."""

    def __init__(self, caller: Side, callee: Side, target: tuple[str, int], number: str = NUMBER) -> None:
        self.caller, self.callee, self.target = caller, callee, target
        self.id = next(_calls)
        self.number = number
        self.invite: Request | None = None
        self._to = f"<sip:{number}@{format_host(*target)}>"
        self._cseq = 0

    def write(self, method: str, body: bytes = b"", extra: tuple[str, ...] = ()) -> bytes:
        self._cseq += method not in ("ACK", "CANCEL")
        caller = self.caller
        host = format_host(*caller.address)
        rows = [
            f"Via: SIP/2.0/{caller.transport.upper()} {host};branch=z9hG4bK{self.id}-{self._cseq}{method}",
            f"From: <sip:+8613800000001@{host}>;tag=caller{self.id}",
            f"To: {self._to}",
            f"Call-ID: call-{self.id}",
            f"CSeq: {self._cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: {caller.contact}",
            *extra,
        ]
        return message(f"{method} sip:{self.number}@{format_host(*self.target)} SIP/2.0", rows, body)

    async def begin(self, *extra: str) -> None:
        await self.caller.send(self.write("INVITE", sdp(self.caller.host), extra), self.target)

    async def connect(self) -> None:
        await self.begin()
        self.invite = await self.callee.request("INVITE")
        self.callee.answer(self.invite, 200, self.target, sdp(self.callee.host))
        self.take(await self.caller.read("200"))
        await self.caller.send(self.write("ACK"), self.target)
        await self.callee.read("ACK")

    def take(self, answer: Request | Response) -> None:
        """The dialog that the 200 makes."""
        self._to = answer.rows("To")[0]

    async def hang_up(self) -> None:
        await self.caller.send(self.write("BYE"), self.target)
        self.callee.answer(await self.callee.request("BYE"), 200, self.target)
        await self.caller.read("200")

    async def be_hung_up(self) -> None:
        """The callee says BYE, over whatever connection it has."""
        assert self.invite is not None
        host = format_host(*self.callee.address)
        rows = [
            f"Via: SIP/2.0/{self.callee.transport.upper()} {host};branch=z9hG4bK{self.id}-end",
            f"From: {self.invite.rows('To')[0]};tag=callee",
            f"To: {self.invite.rows('From')[0]}",
            f"Call-ID: {self.invite.call_id}",
            "CSeq: 1 BYE",
            "Max-Forwards: 70",
        ]
        assert self.invite.contact is not None
        await self.callee.send(message(f"BYE {self.invite.contact.uri} SIP/2.0", rows), self.target)
        self.caller.answer(await self.caller.request("BYE"), 200, self.target)
        await self.callee.read("200")


@dataclass(frozen=True, slots=True)
class Files:
    certificate: Path
    key: Path


class Authority:
    """A certificate authority of its own, its files in `folder`."""

    def __init__(self, folder: Path, name: str = "lab") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
        certificate = self._build(self._name, self._key.public_key(), ca=True).sign(
            self._key, hashes.SHA256()
        )
        self.file = folder / f"{name}-ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: str) -> Files:
        """A certificate for host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = self._build(subject, key.public_key(), ca=False).add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        )
        stem = f"{self.file.stem}-{names[0].replace(':', '_')}"
        files = Files(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        files.certificate.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files

    def server(self, files: Files, *, verify: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        if verify:
            context.load_verify_locations(self.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, files: Files | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.file))
        if files is not None:
            context.load_cert_chain(files.certificate, files.key)
        return context

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
