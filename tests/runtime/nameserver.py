"""A small name server on loopback, UDP and TCP on one port, with faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from engine.model.address import Address

SOA = "ns.example.org. root.example.org. 1 3600 600 86400 30"


class NameServer:
    """Zones as lines `name ttl TYPE data`; each question heard is noted as `TYPE name`."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.zone: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for line in lines:
            self.add(line)
        self.asked: list[str] = []
        self.silent = False
        self.failing = False
        self.truncating = False
        self.address = Address("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    def add(self, line: str) -> None:
        name, ttl, kind, data = line.split(" ", 3)
        self.zone.setdefault((name, kind), []).append((int(ttl), data))

    async def start(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._stream, host, 0)
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(self), local_addr=(host, port))
        self._server, self._transport = server, transport
        self.address = Address(host, port)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()

    def answer(self, data: bytes, *, stream: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        kind = question.rdtype.name
        self.asked.append(f"{kind} {name}" + (" tcp" if stream else ""))
        if self.silent:
            return None
        reply = dns.message.make_response(query)
        if self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        if self.truncating and not stream:
            reply.flags |= dns.flags.TC
            return reply.to_wire()
        records = self.zone.get((name, kind))
        if records:
            reply.answer.append(
                dns.rrset.from_text(question.name, records[0][0], "IN", kind, *(data for _, data in records))
            )
        else:
            known = any(each == name for each, _ in self.zone)
            reply.set_rcode(dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)
            reply.authority.append(dns.rrset.from_text("example.org.", 30, "IN", "SOA", SOA))
        return reply.to_wire()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while size := await reader.read(2):
                data = await reader.readexactly(int.from_bytes(size, "big"))
                answer = self.answer(data, stream=True)
                if answer is not None:
                    writer.write(len(answer).to_bytes(2, "big") + answer)
        finally:
            writer.close()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, stream=False)
        if answer is not None:
            self._transport.sendto(answer, addr)
