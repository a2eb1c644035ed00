"""Calls that do not simply go through, between raw sockets and a real engine worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from engine.model.config import RedressSection
from engine.model.events import CallEnded, CallStage
from engine.model.screening import Action, Level
from engine.model.trunk_sections import NextHopSection, TrunkSection
from engine.sip.message import Request, Response
from tests.call.peer import sdp
from tests.runtime.bench import Bench, read, reply
from tests.runtime.net import Socket, host
from tests.screening.kit import entry

pytestmark = pytest.mark.wire

CALLER = "+8613800000001"


@dataclass
class Site:
    """Two next hops of the access trunk, the first tried first, and a caller from anywhere."""

    bench: Bench
    first: Socket
    second: Socket

    async def invited(self, socket: Socket) -> Request:
        found = await read(socket, "INVITE")
        assert isinstance(found, Request)
        return found

    async def invite(self, *extra: str) -> None:
        bench = self.bench
        bench.carrier.send(
            bench.request("INVITE", "13900000002", sdp(bench.carrier.address[0]), *extra), bench.target
        )

    async def answered(self, socket: Socket, invite: Request) -> Response:
        """The callee answers, the caller acknowledges."""
        bench = self.bench
        socket.send(reply(invite, 200, socket, sdp(socket.address[0])), bench.target)
        answer = await read(bench.carrier, "200")
        assert isinstance(answer, Response)
        bench.carrier.send(bench.request("ACK", branch="ack", answer=answer), bench.target)
        await read(socket, "ACK")
        return answer

    async def hang_up(self, socket: Socket, answer: Response, cseq: int = 2) -> None:
        bench = self.bench
        bench.carrier.send(bench.request("BYE", branch="bye", cseq=cseq, answer=answer), bench.target)
        bye = await read(socket, "BYE")
        assert isinstance(bye, Request)
        socket.send(reply(bye, 200, socket), bench.target)

    @property
    def routes(self) -> int:
        return sum(
            isinstance(event, CallStage) and event.stage == "routed" for event in self.bench.journal.events
        )

    @property
    def outcome(self) -> str:
        (ended,) = [event for event in self.bench.journal.events if isinstance(event, CallEnded)]
        return f"{ended.outcome} {ended.status}"


def site(reject: str = "608") -> Site:
    first, second = Socket(host()), Socket(host())
    places = tuple(
        NextHopSection(uri=f"sip:{hop.address[0]}:{hop.address[1]}", priority=number)
        for number, hop in enumerate((first, second), 1)
    )
    trunks = {
        "carrier": TrunkSection(side="carrier", match=("*",), reject=reject, announce_608=False, refer=True),  # type: ignore[arg-type]
        "access": TrunkSection(
            side="access", match=(first.address[0], second.address[0]), next_hops=places, refer=True
        ),
    }
    bench = Bench(
        trunk=trunks,
        redress=RedressSection(url="https://example.org/appeal", email="appeal@example.org"),
    )
    return Site(bench, first, second)


@pytest.fixture
async def lab() -> AsyncIterator[Site]:
    made = site()
    yield made
    await closed(made)


async def closed(made: Site) -> None:
    await made.bench.close()
    made.first.close()
    made.second.close()


async def test_the_next_hop_after_503(lab: Site) -> None:
    await lab.invite()
    invite = await lab.invited(lab.first)
    lab.first.send(reply(invite, 503, lab.first), lab.bench.target)
    answer = await lab.answered(lab.second, await lab.invited(lab.second))
    await lab.hang_up(lab.second, answer)
    assert lab.routes == 2


async def test_the_next_hop_after_silence(lab: Site) -> None:
    """The first never says a word: it is left after `sip.failover_s`, and told so when it does."""
    await lab.invite()
    silent = await lab.invited(lab.first)
    answer = await lab.answered(lab.second, await lab.invited(lab.second))
    lab.first.send(reply(silent, 180, lab.first), lab.bench.target)
    cancel = await read(lab.first, "CANCEL")
    assert isinstance(cancel, Request) and cancel.call_id == silent.call_id
    await lab.hang_up(lab.second, answer)


async def test_a_603_plus_is_final_and_passes_as_it_is(lab: Site) -> None:
    reason = 'SIP;cause=603;text="v=analytics1;url=https://example.net/redress";location=TN'
    await lab.invite()
    invite = await lab.invited(lab.first)
    refusal = reply(invite, 603, lab.first).replace(
        b"603 Whatever\r\n", f"603 Network Blocked\r\nReason: {reason}\r\n".encode()
    )
    lab.first.send(refusal, lab.bench.target)
    told = await read(lab.bench.carrier, "603")
    assert isinstance(told, Response)
    assert (told.reason, told.rows("Reason")) == ("Network Blocked", [reason])
    assert lab.second.unread() == []


async def test_a_redirection_is_followed(lab: Site) -> None:
    await lab.invite()
    invite = await lab.invited(lab.first)
    contact = f"<sip:13900000002@{lab.second.address[0]}:{lab.second.address[1]}>"
    moved = reply(invite, 302, lab.first).replace(
        b"Contact: <sip:phone@", f"Contact: {contact}\r\nX-Was: <".encode()
    )
    lab.first.send(moved, lab.bench.target)
    answer = await lab.answered(lab.second, await lab.invited(lab.second))
    await lab.hang_up(lab.second, answer)


@pytest.mark.parametrize(
    ("reject", "status", "header"),
    [("608", "608", "Call-Info"), ("603+", "603", "Reason")],
)
async def test_a_block_tells_where_to_turn_to(reject: str, status: str, header: str) -> None:
    lab = site(reject)
    lab.bench.table.entries[CALLER] = entry(Level.RED, action=Action.REJECT)
    await lab.invite()
    told = await read(lab.bench.carrier, status)
    assert isinstance(told, Response)
    value = told.get(header) or ""
    if reject == "608":
        assert value.startswith("<https://example.org/jcard/") and value.endswith(">;purpose=jwscard")
    else:
        assert told.reason == "Network Blocked"
        assert value.startswith('SIP;cause=603;text="v=analytics1;url=https://example.org/appeal?code=')
        assert value.endswith(';email=appeal@example.org";location=RLN')
    await closed(lab)


async def test_a_call_is_put_through(lab: Site) -> None:
    """REFER from the caller: the callee talks to a second number, the caller is told and let go."""
    bench = lab.bench
    await lab.invite()
    answer = await lab.answered(lab.first, await lab.invited(lab.first))
    refer = bench.request(
        "REFER",
        "13900000002",
        b"",
        "Refer-To: <sip:13900000005@example.org>",
        branch="refer",
        cseq=2,
        answer=answer,
    )
    bench.carrier.send(refer, bench.target)
    await read(bench.carrier, "202")
    target = await lab.invited(lab.first)
    assert target.uri.user == "13900000005"
    lab.first.send(reply(target, 200, lab.first, sdp(lab.first.address[0], 51000)), bench.target)
    again = await lab.invited(lab.first)  # to the one who stays
    assert again.to.tag is not None and b"m=audio 51000" in again.body
    lab.first.send(reply(again, 200, lab.first, sdp(lab.first.address[0])), bench.target)
    said: list[bytes] = []
    while b"200 OK" not in (said[-1] if said else b""):
        notify = await read(bench.carrier, "NOTIFY")
        assert isinstance(notify, Request)
        bench.carrier.send(reply(notify, 200, bench.carrier), bench.target)
        said.append(notify.body)
    bye = await read(bench.carrier, "BYE")
    assert isinstance(bye, Request)
    bench.carrier.send(reply(bye, 200, bench.carrier), bench.target)
    assert said[0].startswith(b"SIP/2.0 100")
    assert bench.worker.calls == 1
