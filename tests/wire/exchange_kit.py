"""One call of the carrier's to the phone, written by hand on both sides of a real worker."""

from __future__ import annotations

from engine.sip.message import Request, Response
from tests.call.peer import sdp
from tests.runtime.bench import Bench, read, reply
from tests.runtime.net import Socket

UPDATES = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK"
RELIABLE = "Supported: 100rel, timer"


async def asked(socket: Socket, method: str) -> Request:
    message = await read(socket, method)
    assert isinstance(message, Request)
    return message


async def answered(socket: Socket, status: int, method: str = "INVITE") -> Response:
    while True:
        message = await read(socket, str(status))
        assert isinstance(message, Response)
        if message.cseq.method == method:
            return message


def with_headers(data: bytes, *headers: str) -> bytes:
    """A message with more headers behind its start line."""
    start, _, rest = data.partition(b"\r\n")
    return b"\r\n".join([start, *(header.encode() for header in headers), rest])


class Exchange:
    """One call of the carrier's to the phone, written by hand on both sides."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.carrier, self.phone = bench.carrier, bench.phone
        self.offer, self.answer = sdp(self.carrier.address[0]), sdp(self.phone.address[0], 50000)
        self._count = 0

    def caller(
        self, method: str, cseq: int, answer: Response | None = None, *extra: str, body: bytes = b""
    ) -> None:
        """A request of the carrier's; with an `answer` inside the dialog, early or not, which that made."""
        self._count += 1
        branch = "1" if answer is None else f"{method}-{self._count}"
        data = self.bench.request(
            method, "13900000002", body, *extra, branch=branch, cseq=cseq, answer=answer
        )
        self.carrier.send(data, self.bench.target)

    def callee(self, request: Request, status: int, *extra: str, body: bytes = b"") -> None:
        """The phone's answer."""
        self.phone.send(with_headers(reply(request, status, self.phone, body), *extra), self.bench.target)

    def from_callee(self, invite: Request, method: str, cseq: int, *extra: str, body: bytes = b"") -> None:
        """A request of the phone's inside the dialog that its 200 to `invite` made."""
        self._count += 1
        address = self.phone.address
        kind = ["Content-Type: application/sdp"] if body else []
        lines = [
            f"{method} sip:{self.bench.engine} SIP/2.0",
            f"Via: SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK-phone-{self._count}",
            f"From: {invite.rows('To')[0]};tag=phone",
            f"To: {invite.rows('From')[0]}",
            f"Call-ID: {invite.call_id}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:phone@{address[0]}:{address[1]}>",
            *extra,
            *kind,
            f"Content-Length: {len(body)}",
        ]
        self.phone.send("\r\n".join([*lines, "", ""]).encode() + body, self.bench.target)

    async def connect(self, *extra: str, callee: tuple[str, ...] = ()) -> tuple[Request, Response]:
        """Answered and acknowledged: the INVITE that the phone saw, and the 200 that the carrier got."""
        self.caller("INVITE", 1, None, *extra, body=self.offer)
        invite = await asked(self.phone, "INVITE")
        self.callee(invite, 200, *callee, body=self.answer)
        ok = await answered(self.carrier, 200)
        self.caller("ACK", 1, ok)
        await asked(self.phone, "ACK")
        return invite, ok

    async def finish(self, ok: Response, cseq: int) -> None:
        """The carrier hangs up, and nothing stays."""
        self.caller("BYE", cseq, ok)
        self.callee(await asked(self.phone, "BYE"), 200)
        await answered(self.carrier, 200, "BYE")
        await self.bench.alive()
        assert self.bench.worker.calls == 0
        assert self.bench.worker.counts()["dialogs"] == 0
