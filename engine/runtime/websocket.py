"""SIP over WebSocket (RFC 7118): a connection of the stream listener whose framing is WebSocket's.

The handshake and the frames are the `websockets` library's, without its event loop: caps per source, slow and
idle peers are the listener's business, as for TCP and TLS.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from engine.runtime.connection import Connection
from engine.sip.flow import Flow
from engine.sip.parse import MAX_BODY_BYTES, MAX_HEAD_BYTES

if TYPE_CHECKING:
    from engine.runtime.stream import StreamTransport

SUBPROTOCOL: Final = Subprotocol("sip")
MAX_MESSAGE_BYTES: Final = MAX_HEAD_BYTES + MAX_BODY_BYTES
_PING: Final = b"\r\n\r\n"
_PONG: Final = b"\r\n"


class WebSocketConnection(Connection):
    """One message each way is one SIP message (RFC 7118 §5)."""

    def __init__(self, owner: StreamTransport, flow: Flow, *, accepted: bool) -> None:
        super().__init__(owner, flow, accepted=accepted)
        self._protocol = ServerProtocol(subprotocols=[SUBPROTOCOL], max_size=MAX_MESSAGE_BYTES)
        self._parts: list[bytes] = []

    # --- from the loop ---

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        transport, limits = self._transport, self._owner.limits
        if transport is not None and transport.get_write_buffer_size() > limits.write_buffer_bytes:
            self._owner.count("stalled")  # pings are answered, so who sends them has to read
            self.abort("the peer does not read")
            return
        if self.spoke:  # until then pings and a slow handshake win no time
            self.active_at = now
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        for event in events:
            if isinstance(event, Request):
                self._shake_hands(event)
            else:
                assert isinstance(event, Frame)
                self._framed(event)
        self._flush()
        if self._protocol.close_expected():
            self.close("the peer closed the connection")
        if self._parts or not events:
            self.begun_at = now if self.begun_at is None else self.begun_at
        else:
            self.begun_at = None

    def eof_received(self) -> None:
        self._protocol.receive_eof()

    def _shake_hands(self, request: Request) -> None:
        self._protocol.send_response(self._protocol.accept(request))
        if self._protocol.state is not State.OPEN:  # it does not offer the subprotocol, or is no WebSocket's
            self._flush()
            self.close("handshake refused")

    def _framed(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return  # the library answers pings and closings
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        message = b"".join(self._parts)
        self._parts = []
        if self.closing_at is not None:
            return
        if message == _PING:  # browsers' scripts cannot send WebSocket's own
            self._put(_PONG)
        elif message.strip(b"\r\n"):
            self._heard(message)

    # --- towards the peer ---

    def _frame(self, data: bytes) -> bytes:
        """Text where it is such, which is what most scripts expect."""
        try:
            data.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(data)
        else:
            self._protocol.send_text(data)
        return b"".join(self._protocol.data_to_send())

    def _write(self, flow: Flow, data: bytes, branch: str) -> None:
        if self._protocol.state is not State.OPEN:
            raise OSError("the WebSocket is not open")
        super()._write(flow, self._frame(data), "" if data.startswith(b"ACK ") else branch)

    def _put(self, data: bytes) -> None:
        if self._transport is not None and self._protocol.state is State.OPEN:
            self._transport.write(self._frame(data))

    def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data and self._transport is not None:
            self._transport.write(data)

    # --- the end ---

    def close(self, error: str | None = None) -> None:
        if self.closing_at is None and self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.GOING_AWAY)
            self._flush()
        super().close(error)
