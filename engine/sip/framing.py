"""Messages cut out of a byte stream (RFC 3261 §18.3) and the keep-alives between them (RFC 5626 §3.5.1)."""

from __future__ import annotations

import re
from enum import Enum
from hashlib import blake2s
from typing import Final

import msgspec

from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request, response_to
from engine.sip.parse import MAX_BODY_BYTES, MAX_HEAD_BYTES, parse
from engine.sip.status import reason_phrase

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"

# A header row begins right behind a line end, so a folded line is never taken for one.
_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,10}")


class KeepAlive(Enum):
    """Empty lines between messages: one may be a peer's pong, two are a ping that wants `PONG` back."""

    PONG = "pong"
    PING = "ping"


class Broken(msgspec.Struct, frozen=True):
    """The stream cannot be cut any further: answer, then close."""

    head: bytes
    """The header section of the message at fault, or as much of it as is allowed to be long."""
    status: int
    reason: str

    def answer(self, remote: tuple[str, int]) -> bytes:
        """The response that says so, or nothing where no request can be read out of it."""
        try:
            message = parse(self.head + PING)
        except RemoteProtocolError as error:
            if error.request is None:
                return b""
            message = error.request
        if not isinstance(message, Request) or message.method == "ACK":
            return b""
        message.stamp(*remote)
        tag = blake2s(self.head, digest_size=8).hexdigest()
        reason = f"{reason_phrase(self.status)} ({self.reason})"
        return response_to(message, self.status, reason, to_tag=tag).to_bytes()


Frame = bytes | KeepAlive | Broken


class Framer:
    """One direction of one stream. However the bytes come split, the same messages come out."""

    __slots__ = ("_buffer", "_empty_lines", "_needed", "_searched", "broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """Bytes of the buffer that hold no end of a header section."""
        self._needed = 0
        """Length of the message at the buffer's beginning, once its header section is whole."""
        self._empty_lines = 0
        self.broken = False

    @property
    def partial(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that are whole now. Empty lines that come in one piece are told once."""
        if self.broken:
            return []
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        while buffer:
            if not self._needed:
                if buffer[0] == 13 and not self._skip_empty_lines(frames):
                    break
                if buffer[0] in b"\r\n":  # neither a start line nor an empty one can be made of this
                    self._break(frames, bytes(buffer[:1]), 400, "no start line")
                    break
                if not self._measure(frames):
                    break
            if len(buffer) < self._needed:
                break
            frames.append(bytes(memoryview(buffer)[: self._needed]))
            del buffer[: self._needed]
            self._needed = self._searched = self._empty_lines = 0
        return frames

    def _skip_empty_lines(self, frames: list[Frame]) -> bool:
        """Take empty lines off the buffer; False where nothing else is in it yet."""
        buffer = self._buffer
        lines = 0
        while buffer.startswith(PONG, 2 * lines):
            lines += 1
        del buffer[: 2 * lines]
        lines += self._empty_lines
        if lines > self._empty_lines:
            frames.append(KeepAlive.PING if lines > 1 else KeepAlive.PONG)
            self._empty_lines = lines % 2
        return bool(buffer) and buffer != b"\r"

    def _measure(self, frames: list[Frame]) -> bool:
        """Find how long the message is; False where that is not known yet, or never will be."""
        buffer = self._buffer
        end = buffer.find(PING, max(0, self._searched - 3), MAX_HEAD_BYTES + len(PING))
        if end < 0:
            if len(buffer) >= MAX_HEAD_BYTES + len(PING):
                reason = f"header section above {MAX_HEAD_BYTES} bytes"
                self._break(frames, bytes(buffer[:MAX_HEAD_BYTES]), 513, reason)
            self._searched = len(buffer)
            return False
        head = bytes(buffer[:end])
        lengths = _CONTENT_LENGTH.findall(head)
        stated = _LENGTH.fullmatch(lengths[0].strip(b" \t\r\n")) if len(lengths) == 1 else None
        if not lengths:
            self._break(frames, head, 400, "a stream needs Content-Length")
        elif stated is None:
            self._break(frames, head, 400, "unusable Content-Length")
        elif int(stated[0]) > MAX_BODY_BYTES:
            self._break(frames, head, 413, f"body above {MAX_BODY_BYTES} bytes")
        else:
            self._needed = end + len(PING) + int(stated[0])
        return not self.broken

    def _break(self, frames: list[Frame], head: bytes, status: int, reason: str) -> None:
        self.broken = True
        frames.append(Broken(head, status, reason))
        self._buffer.clear()
