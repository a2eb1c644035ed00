"""A WebSocket whose peer writes and does not read, without any socket."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from engine.runtime.connection import StreamLimits
from engine.runtime.stream import StreamTransport
from engine.runtime.websocket import WebSocketConnection
from engine.sip.flow import Flow

FLOW = Flow("ws", ("192.0.2.1", 80), ("198.51.100.7", 4000))
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: sip\r\n\r\n"
)


class Owner:
    """What a connection asks of its listener."""

    limits = StreamLimits(write_buffer_bytes=8_192)

    def __init__(self) -> None:
        self.happened: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.happened.append(name)


class Unread(asyncio.Transport):
    """Nobody reads what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.aborted = False

    def write(self, data: Any) -> None:
        assert not self.aborted
        self.written += len(data)

    def get_write_buffer_size(self) -> int:
        return self.written

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


def frame(opcode: int, payload: bytes) -> bytes:
    """A short whole frame of a client's; its mask is 0."""
    return bytes((0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload


@pytest.mark.parametrize("ping", [frame(9, b"x" * 125), frame(1, b"\r\n\r\n")])
def test_pings_of_a_peer_that_does_not_read_fill_no_memory(ping: bytes) -> None:
    transport, owner = Unread(), Owner()
    connection = WebSocketConnection(cast(StreamTransport, owner), FLOW, accepted=True)
    connection.connection_made(transport)
    connection.data_received(UPGRADE)
    connection.data_received(frame(1, b"x"))
    for _ in range(100):
        if not transport.aborted:
            connection.data_received(ping * 50)
    assert transport.written < 3 * owner.limits.write_buffer_bytes
    assert transport.aborted
