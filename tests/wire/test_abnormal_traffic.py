"""Many short calls from another province, over a real engine worker with the shipped policy."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from engine.model.events import CallEnded, CallScreened
from engine.sip.message import Request, Response
from engine.sip.parse import parse
from tests.call.peer import sdp
from tests.runtime.bench import Bench, read, reply
from tests.screening.kit import shipped

pytestmark = pytest.mark.wire

FAR, OTHER, HOME = "+8613602400001", "+8613602400002", "+8613880012345"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench(policy=shipped("inter-province"))
    yield bench
    await bench.close()


class Caller:
    """Makes one call after the other, each to another number."""

    def __init__(self, bench: Bench, number: str) -> None:
        self.bench, self.number = bench, number
        self.calls = 0

    def send(
        self, method: str, called: str, cseq: int, to: str = "", body: bytes = b"", branch: str = ""
    ) -> None:
        data = self.bench.request(
            method,
            called,
            body,
            "Feature-Caps: *;+sip.608",
            branch=f"{self.number[1:]}-{self.calls}-{branch or method}",
            cseq=cseq,
        ).decode()
        data = data.replace("+8613800000001", self.number)
        data = re.sub(r"(Call-ID: |;tag=)\S+", rf"\g<1>{self.number[1:]}-{self.calls}", data)
        if to:
            data = re.sub(r"To: [^\r]*", f"To: {to}", data)
        self.bench.carrier.send(data.encode(), self.bench.target)

    def invite(self, called: str = "") -> str:
        self.calls += 1
        called = called or f"+8613980{self.calls * 7919 % 1_000_000:06}"
        self.send("INVITE", called, 1, body=sdp(self.bench.carrier.address[0]))
        return called

    async def short(self, called: str = "") -> Request:
        """A call that is answered and over at once; returns the INVITE that the callee got."""
        called = self.invite(called)
        invite = await self.rings()
        self.bench.phone.send(
            reply(invite, 200, self.bench.phone, sdp(self.bench.phone.address[0])), self.bench.target
        )
        answer = await read(self.bench.carrier, "200")
        assert isinstance(answer, Response)
        to = answer.rows("To")[0]
        self.send("ACK", called, 1, to)
        await read(self.bench.phone, "ACK")
        self.send("BYE", called, 2, to)
        bye = await read(self.bench.phone, "BYE")
        assert isinstance(bye, Request)
        self.bench.phone.send(reply(bye, 200, self.bench.phone), self.bench.target)
        await read(self.bench.carrier, "200")
        return invite

    async def warned(self) -> None:
        """A call that the engine wants to warn of; the callee is busy."""
        called = self.invite()
        invite = await self.rings()
        self.bench.phone.send(reply(invite, 486, self.bench.phone), self.bench.target)
        await self.refused(called, "486")

    async def rejected(self) -> None:
        await self.refused(self.invite(), "608")

    async def refused(self, called: str, status: str) -> None:
        refusal = await read(self.bench.carrier, status)
        assert refusal.call_id == f"{self.number[1:]}-{self.calls}"
        self.send("ACK", called, 1, refusal.rows("To")[0], branch="INVITE")

    async def rings(self) -> Request:
        """The INVITE at the callee; a popup before it is acknowledged."""
        while True:
            found = parse(await self.bench.phone.receive())
            if not isinstance(found, Request):
                continue
            if found.method == "INVITE":
                return found
            if found.method == "MESSAGE":
                self.bench.phone.send(reply(found, 200, self.bench.phone), self.bench.target)


def verdicts(bench: Bench, rule: str = "") -> list[str]:
    return [
        event.action
        for event in bench.journal.events
        if isinstance(event, CallScreened) and event.rule.startswith(rule)
    ]


async def test_short_calls_from_afar_are_labelled_then_warned_of_then_rejected(bench: Bench) -> None:
    far, other, home = Caller(bench, FAR), Caller(bench, OTHER), Caller(bench, HOME)
    for _ in range(10):
        await far.short()
    assert verdicts(bench) == ["allow"] * 5 + ["label"] * 5
    for _ in range(20):
        await far.warned()
    await far.rejected()
    assert verdicts(bench)[10:] == ["warn"] * 20 + ["reject"]
    assert [popup.popup.kind for popup in bench.bus.popups][-1] == "fraud_blocked"

    # another caller of the same range is untouched, and so is 110
    invite = await other.short()
    assert verdicts(bench)[-1] == "allow"
    assert "异常呼叫" not in invite.rows("From")[0]
    await far.short("110")
    assert verdicts(bench, "emergency") == ["allow"]
    await far.rejected()  # and the emergency call changed nothing

    # a caller of the province may do the same
    for _ in range(12):
        await home.short()
    assert verdicts(bench)[-12:] == ["allow"] * 12
    await bench.alive()
    ended = [event for event in bench.journal.events if isinstance(event, CallEnded)]
    assert len(ended) == len(verdicts(bench)) == far.calls + other.calls + home.calls
    assert bench.worker.calls == 0


async def test_the_label_says_why(bench: Bench) -> None:
    far = Caller(bench, FAR)
    shown = [(await far.short()).rows("From")[0] for _ in range(6)]
    assert [("异常呼叫" in display) for display in shown] == [False] * 5 + [True]
    assert bench.bus.popups[0].popup.text["en"] == f"Incoming call from {FAR}: Unusual calling pattern."
