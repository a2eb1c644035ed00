"""The wire between engine and media worker: length-prefixed MessagePack over a Unix socket pair."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.model.media import AnyMediaCommand, AnyMediaEvent

MAX_FRAME_BYTES = 1 << 20
_PREFIX_BYTES = 4


class WorkerReady(msgspec.Struct, frozen=True, tag=True):
    """The worker's first frame: commands sent from now on are carried out."""

    pid: int


class Beat(msgspec.Struct, frozen=True, tag=True):
    """From the engine, answered at once with the same: the worker's loop turns."""


class BrokenLink(Exception):
    """The other end does not speak this protocol."""


_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[AnyMediaCommand | Beat] = msgspec.msgpack.Decoder(AnyMediaCommand | Beat)
_events: msgspec.msgpack.Decoder[AnyMediaEvent | WorkerReady | Beat] = msgspec.msgpack.Decoder(
    AnyMediaEvent | WorkerReady | Beat
)


def pack(message: AnyMediaCommand | AnyMediaEvent | WorkerReady | Beat) -> bytes:
    body = _encoder.encode(message)
    return len(body).to_bytes(_PREFIX_BYTES, "big") + body


def command(frame: bytes) -> AnyMediaCommand | Beat:
    """Raises `BrokenLink`."""
    try:
        return _commands.decode(frame)
    except msgspec.DecodeError as error:
        raise BrokenLink(str(error)) from error


def event(frame: bytes) -> AnyMediaEvent | WorkerReady | Beat:
    """Raises `BrokenLink`."""
    try:
        return _events.decode(frame)
    except msgspec.DecodeError as error:
        raise BrokenLink(str(error)) from error


class FrameReader:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes. Raises `BrokenLink` for a frame beyond the limit."""
        self._waiting += data
        while len(self._waiting) >= _PREFIX_BYTES:
            size = int.from_bytes(self._waiting[:_PREFIX_BYTES], "big")
            if size > MAX_FRAME_BYTES:
                raise BrokenLink(f"a frame of {size} bytes")
            end = _PREFIX_BYTES + size
            if len(self._waiting) < end:
                return
            frame = bytes(self._waiting[_PREFIX_BYTES:end])
            del self._waiting[:end]
            yield frame
