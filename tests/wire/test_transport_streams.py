"""TCP connections of ours against bare sockets: what is reused, kept waiting, refused and closed."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import pytest

from engine.model.address import Address
from engine.runtime.connection import StreamLimits
from engine.runtime.stream import StreamTransport
from engine.sip.flow import Flow
from engine.sip.framing import PING, PONG
from engine.sip.message import Request, Response, response_to
from engine.sip.parse import parse
from tests.runtime.net import PATIENCE_S, host
from tests.sip.kit import wire

pytestmark = pytest.mark.wire


class End:
    """A transport of ours and what it told."""

    def __init__(self, address: str | None = None, port: int = 0, **given: object) -> None:
        self.messages: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.failed: asyncio.Queue[tuple[Flow, str, str]] = asyncio.Queue()
        self.closed: asyncio.Queue[tuple[Flow, str]] = asyncio.Queue()
        self.streams = StreamTransport(
            "tcp",
            Address(address or host(), port),
            lambda data, flow: self.messages.put_nowait((data, flow)),
            lambda flow, branch, error: self.failed.put_nowait((flow, branch, error)),
            on_closed=lambda flow, error: self.closed.put_nowait((flow, error)),
            **given,  # type: ignore[arg-type]
        )
        self.streams.start()

    @property
    def address(self) -> tuple[str, int]:
        return self.streams.address

    def flow(self, remote: tuple[str, int]) -> Flow:
        return Flow("tcp", self.address, remote)

    async def hear(self) -> tuple[bytes, Flow]:
        return await asyncio.wait_for(self.messages.get(), PATIENCE_S)

    async def fail(self) -> tuple[Flow, str, str]:
        return await asyncio.wait_for(self.failed.get(), PATIENCE_S)

    async def close_told(self) -> tuple[Flow, str]:
        return await asyncio.wait_for(self.closed.get(), PATIENCE_S)


class Peer:
    """A bare stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, address: tuple[str, int], source: str | None = None) -> Peer:
        local = (source, 0) if source is not None else None
        return cls(*await asyncio.open_connection(*address, local_addr=local))

    @property
    def address(self) -> tuple[str, int]:
        found: tuple[str, int] = self.writer.get_extra_info("sockname")[:2]
        return found

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_S)

    async def message(self) -> Request | Response:
        head = await asyncio.wait_for(self.reader.readuntil(PING), PATIENCE_S)
        length = int(head.rpartition(b"Content-Length:")[2])
        return parse(head + await self.read(length))

    async def ended(self) -> bytes:
        """What came before the end."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S)
        except ConnectionResetError:
            return b""

    def reset(self) -> None:
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """A bare listener."""

    def __init__(self, address: str | None = None, receive_buffer_bytes: int = 0) -> None:
        self._listener = socket.create_server((address or host(), 0))
        if receive_buffer_bytes:  # else the kernel may take in tens of megabytes for who does not read
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    async def accept(self) -> Peer:
        loop = asyncio.get_running_loop()
        accepted, _ = await asyncio.wait_for(loop.sock_accept(self._listener), PATIENCE_S)
        return Peer(*await asyncio.open_connection(sock=accepted))

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
async def end() -> AsyncIterator[Callable[..., End]]:
    made: list[End] = []

    def make(*args: object, **given: object) -> End:
        made.append(End(*args, **given))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        await each.streams.close()


Make = Callable[..., End]


def branched(branch: str) -> bytes:
    return wire(via=f"SIP/2.0/TCP 192.0.2.9;branch={branch}")


async def test_two_messages_in_one_segment_and_one_in_many(end: Make) -> None:
    ours = end()
    peer = await Peer.to(ours.address)
    first, second = wire(), wire(method="OPTIONS", body="x" * 300)
    peer.send(first + second)
    assert [(await ours.hear())[0] for _ in range(2)] == [first, second]
    for octet in second:
        peer.send(bytes([octet]))
        await asyncio.sleep(0)
    data, flow = await ours.hear()
    assert data == second
    assert flow == Flow("tcp", ours.address, peer.address)


async def test_the_answer_goes_over_the_connection_of_the_request(end: Make) -> None:
    ours = end()
    peer = await Peer.to(ours.address)
    peer.send(wire())
    data, flow = await ours.hear()
    request = parse(data)
    assert isinstance(request, Request)
    ours.streams.send(flow, response_to(request, 200, to_tag="t").to_bytes(), "")
    answer = await peer.message()
    assert isinstance(answer, Response) and answer.status == 200
    assert ours.streams.counts() == {"open": 1, "accepted": 1}


async def test_requests_wait_for_the_connection_and_share_it(end: Make) -> None:
    ours, server = end(), Server()
    for number in range(3):
        ours.streams.send(ours.flow(server.address), branched(f"z9hG4bK{number}"), f"z9hG4bK{number}")
    peer = await server.accept()
    assert peer.writer.get_extra_info("peername")[0] == ours.address[0]
    assert [(await peer.message()).top_via.branch for _ in range(3)] == [f"z9hG4bK{n}" for n in range(3)]
    assert ours.streams.counts() == {"open": 1, "connected": 1}
    server.close()


async def test_a_peer_that_is_not_there_fails_what_waits(end: Make) -> None:
    ours, server = end(), Server()
    server.close()
    for branch in ("a", "b"):
        ours.streams.send(ours.flow(server.address), wire(), branch)
    assert [(await ours.fail())[:2] for _ in range(2)] == [(ours.flow(server.address), b) for b in "ab"]
    assert not ours.streams.connected(server.address)


async def test_the_queue_has_an_end(end: Make) -> None:
    ours, server = end(limits=StreamLimits(queue=2)), Server()
    flow = ours.flow(server.address)
    ours.streams.send(flow, wire(), "a")
    ours.streams.send(flow, wire(), "b")
    with pytest.raises(OSError, match="2 messages wait"):
        ours.streams.send(flow, wire(), "c")
    server.close()


async def test_a_broken_connection_fails_what_nothing_has_answered(end: Make) -> None:
    ours, server = end(), Server()
    flow = ours.flow(server.address)
    for branch in ("z9hG4bKa", "z9hG4bKb"):
        ours.streams.send(flow, branched(branch), branch)
    peer = await server.accept()
    request = await peer.message()
    assert isinstance(request, Request)
    peer.send(response_to(request, 100).to_bytes())
    await ours.hear()
    peer.reset()
    assert (await ours.fail())[1] == "z9hG4bKb"
    assert ours.failed.empty()
    server.close()


async def test_an_answer_whose_connection_is_gone_goes_to_the_sent_by(end: Make) -> None:
    """RFC 3261 §18.2.2."""
    ours, server = end(), Server()
    peer = await Peer.to(ours.address, server.address[0])
    via = f"SIP/2.0/TCP {server.address[0]}:{server.address[1]};branch=z9hG4bKx"
    peer.send(wire(via=via))
    data, flow = await ours.hear()
    request = parse(data)
    assert isinstance(request, Request) and request.top_via.port == server.address[1]
    peer.reset()
    await ours.close_told()
    ours.streams.send(flow, response_to(request, 200, to_tag="t").to_bytes(), "")
    answer = await (await server.accept()).message()
    assert isinstance(answer, Response) and answer.status == 200
    server.close()


async def test_pings_are_answered(end: Make) -> None:
    ours = end()
    peer = await Peer.to(ours.address)
    for _ in range(3):
        peer.send(PING)
        assert await peer.read(2) == PONG


async def test_a_stream_without_lengths_is_told_so_and_closed(end: Make) -> None:
    ours = end()
    peer = await Peer.to(ours.address)
    peer.send(wire().replace(b"Content-Length: 0\r\n", b"") + wire())
    answer = parse(await peer.ended())
    assert isinstance(answer, Response) and answer.status == 400
    assert ours.messages.empty()


# --- hostile and broken peers ---

SHORT = StreamLimits(message_s=0.2, idle_s=0.5)


async def test_a_message_that_takes_too_long_ends_the_connection(end: Make) -> None:
    """Slow loris: a byte now and then keeps no connection open."""
    ours = end(limits=SHORT)
    peer = await Peer.to(ours.address)
    peer.send(wire())
    await ours.hear()

    async def drip() -> None:
        for octet in wire() * 100:
            peer.send(bytes([octet]))
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert await peer.ended() == b""
    dripping.cancel()
    assert "took longer" in (await ours.close_told())[1]
    assert ours.streams.counts()["closed_slow"] == 1


async def test_who_says_nothing_and_who_says_no_more_are_closed(end: Make) -> None:
    ours = end(limits=SHORT)
    silent, idle = await Peer.to(ours.address), await Peer.to(ours.address)
    idle.send(wire())
    await ours.hear()
    assert await silent.ended() == await idle.ended() == b""
    counts = ours.streams.counts()
    assert (counts["closed_silent"], counts["closed_idle"], counts["open"]) == (1, 1, 0)


async def test_pings_keep_a_connection_open(end: Make) -> None:
    ours = end(limits=SHORT)
    peer = await Peer.to(ours.address)
    peer.send(wire())
    await ours.hear()
    for _ in range(25):
        peer.send(PING)
        assert await peer.read(2) == PONG
        await asyncio.sleep(0.1)
    assert ours.streams.counts()["open"] == 1


async def test_half_a_message_then_a_reset(end: Make) -> None:
    ours = end()
    peer = await Peer.to(ours.address)
    peer.send(wire()[:100])
    await peer.writer.drain()
    peer.reset()
    await ours.close_told()
    assert ours.messages.empty()
    assert ours.streams.counts()["open"] == 0


async def test_half_a_message_then_the_end(end: Make) -> None:
    ours = end()
    peer = await Peer.to(ours.address)
    peer.send(wire()[:100])
    peer.writer.close()
    await ours.close_told()
    assert ours.messages.empty()


async def is_refused(ours: End, source: str) -> bool:
    try:
        return await (await Peer.to(ours.address, source)).ended() == b""
    except ConnectionResetError:
        return True


async def test_a_source_has_so_many_connections(end: Make) -> None:
    ours = end(limits=StreamLimits(per_source=3))
    greedy = host()
    peers = [await Peer.to(ours.address, greedy) for _ in range(3)]
    assert await is_refused(ours, greedy)
    assert await is_refused(ours, greedy)
    for peer in (*peers, await Peer.to(ours.address)):
        peer.send(PING)
        assert await peer.read(2) == PONG
    assert ours.streams.counts()["refused_source"] == 2
    peers[0].writer.close()
    await ours.close_told()
    again = await Peer.to(ours.address, greedy)
    again.send(PING)
    assert await again.read(2) == PONG


async def test_strangers_keep_no_trunk_out(end: Make) -> None:
    trunk, banned = host(), host()
    ours = end(
        limits=StreamLimits(connections=2, per_source=2),
        trusted=[trunk],
        welcome=lambda source: source != banned,
    )
    peers = [await Peer.to(ours.address, host()) for _ in range(2)]
    assert await is_refused(ours, host())
    assert await is_refused(ours, banned)
    for peer in (*peers, await Peer.to(ours.address, trunk), await Peer.to(ours.address, trunk)):
        peer.send(PING)
        assert await peer.read(2) == PONG
    counts = ours.streams.counts()
    assert (counts["refused_full"], counts["refused_banned"], counts["accepted"]) == (1, 1, 4)


async def test_a_banned_source_loses_its_connections(end: Make) -> None:
    ours = end()
    bad = host()
    peer, other = await Peer.to(ours.address, bad), await Peer.to(ours.address)
    for each in (peer, other):
        each.send(wire())
        await ours.hear()
    ours.streams.drop([ip_network(bad)])
    assert await peer.ended() == b""
    other.send(PING)
    assert await other.read(2) == PONG


async def test_a_peer_that_does_not_read_is_cut_off(end: Make) -> None:
    ours = end(limits=StreamLimits(write_buffer_bytes=100_000))
    server = Server(receive_buffer_bytes=64 * 1024)
    flow, data = ours.flow(server.address), wire(body="x" * 30_000)
    ours.streams.send(flow, data, "first")
    peer = await server.accept()  # kept: a reader that is dropped would read on for nobody
    with pytest.raises(OSError, match="does not read"):
        for number in range(1_000):
            ours.streams.send(flow, data, f"b{number}")
            await asyncio.sleep(0)
    assert (await ours.fail())[1] == "first"
    assert ours.streams.counts()["stalled"] == 1
    del peer
    server.close()


async def test_closing_writes_what_is_written(end: Make) -> None:
    ours, server = end(), Server()
    data = wire(body="x" * 1_000)
    ours.streams.send(ours.flow(server.address), data, "a")
    peer = await server.accept()
    await peer.message()
    for number in range(50):
        ours.streams.send(ours.flow(server.address), data, f"b{number}")
    await ours.streams.close()
    assert await peer.ended() == data * 50
    server.close()


async def test_strangers_use_up_no_attempt_to_reach_a_trunk(end: Make) -> None:
    trunk = Server()
    ours = end(limits=StreamLimits(opening_elsewhere=1), trusted=[trunk.address[0]])
    stranger = Server()
    ours.streams.send(ours.flow(stranger.address), wire(), "a")
    with pytest.raises(OSError, match="1 connections are being opened"):
        ours.streams.send(ours.flow((stranger.address[0], 1)), wire(), "b")
    ours.streams.send(ours.flow(trunk.address), wire(), "c")
    peers = [await stranger.accept(), await trunk.accept()]
    for peer in peers:
        await peer.message()
    ours.streams.send(ours.flow((stranger.address[0], 1)), wire(), "d")
    assert (await ours.fail())[1] == "d"
    for server in (stranger, trunk):
        server.close()
