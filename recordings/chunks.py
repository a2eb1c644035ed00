"""The byte layout of a capture file (`.rwc`), all integers in network order.

    file header   magic 8 · meta length 4 · meta (JSON) · seal tag 16 · link 32
    chunk         header 44 · payload n · seal tag 16 · link 32        (repeated)
    end chunk     a chunk with the END flag; its payload is the closing reason, never encrypted

A chunk holds one unbroken run of samples of one channel, at most one second. Where no chunk has a sample,
there is silence; where several have it, the first in the file counts. `link` is the checksum and the chain
inside the file: SHA-256 over the link before it and the chunk's bytes, so that a changed, missing or moved
chunk shows without any key. A file without an end chunk was interrupted.
"""

import enum
import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import msgspec

from recordings.errors import NotACapture
from recordings.g711 import RATE_HZ, Codec
from recordings.sealing import TAG_BYTES

FILE_MAGIC: Final = b"RWCAP\x01\r\n"
CHUNK_MAGIC: Final = b"RWck"
LINK_BYTES: Final = 32
CHUNK_SAMPLES: Final = RATE_HZ
MAX_SAMPLES: Final = 24 * 3600 * RATE_HZ
MAX_META_BYTES: Final = 65536
MAX_PAYLOAD_BYTES: Final = CHUNK_SAMPLES

_PREFIX: Final = struct.Struct("!8sI")
_HEADER: Final = struct.Struct("!4s16sIBBBBQII")
CHUNK_HEADER_BYTES: Final = _HEADER.size
CHUNK_OVERHEAD: Final = CHUNK_HEADER_BYTES + TAG_BYTES + LINK_BYTES
FILE_PREFIX_BYTES: Final = _PREFIX.size


class Flags(enum.IntFlag):
    """Chunk flags."""

    NONE = 0
    SEALED = 1  # the payload is encrypted, the tag slot is filled
    LATE = 2  # arrived after its second had been written
    END = 128  # the file was closed in order


class Meta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a capture says of itself. No telephone number: `number_ids` are keyed (caller, callee)."""

    recording_id: str
    tenant: str
    call_id: str
    started_at: datetime
    codecs: tuple[str, str]
    cipher: str
    salt: str = ""
    number_ids: tuple[str, str] = ("", "")
    rate_hz: int = RATE_HZ
    channels: tuple[str, str] = ("caller", "callee")


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """One chunk's header. `first_sample` and `sample_count` are in 8 kHz samples since `started_at`."""

    tag: bytes
    number: int
    channel: int
    codec: Codec
    flags: Flags
    first_sample: int
    sample_count: int
    payload_bytes: int

    def pack(self) -> bytes:
        """The 44 bytes of the header."""
        return _HEADER.pack(
            CHUNK_MAGIC,
            self.tag,
            self.number,
            self.channel,
            self.codec,
            self.flags,
            0,
            self.first_sample,
            self.sample_count,
            self.payload_bytes,
        )

    @classmethod
    def parse(cls, data: bytes, tag: bytes) -> Self | None:
        """The header in `data` if it belongs to the recording of this tag and is within limits, else None."""
        if len(data) < CHUNK_HEADER_BYTES:
            return None
        magic, own, number, channel, codec, flags, zero, first, count, size = _HEADER.unpack_from(data)
        if magic != CHUNK_MAGIC or own != tag or zero or channel > 1 or size > MAX_PAYLOAD_BYTES:
            return None
        if codec not in (Codec.PCMU, Codec.PCMA) or first + count > MAX_SAMPLES:
            return None
        if flags & ~(Flags.SEALED | Flags.LATE | Flags.END) or (not flags & Flags.END and count != size):
            return None
        return cls(tag, number, channel, Codec(codec), Flags(flags), first, count, size)


def recording_tag(recording_id: str) -> bytes:
    """The 16 bytes that stand for a recording id in its chunk headers."""
    return hashlib.sha256(recording_id.encode()).digest()[:16]


def link(previous: bytes, *parts: bytes) -> bytes:
    """The next link of the chain inside a file."""
    digest = hashlib.sha256(previous)
    for part in parts:
        digest.update(part)
    return digest.digest()


def pack_meta(meta: Meta) -> bytes:
    """The file header without seal tag and link."""
    body = msgspec.json.encode(meta)
    return _PREFIX.pack(FILE_MAGIC, len(body)) + body


def meta_length(prefix: bytes) -> int:
    """Bytes of JSON that follow the first 12 bytes of a file; NotACapture."""
    if len(prefix) < FILE_PREFIX_BYTES:
        raise NotACapture("the file ends inside its header")
    magic, length = _PREFIX.unpack(prefix)
    if magic != FILE_MAGIC:
        raise NotACapture("the file is not a Ringward capture")
    if length > MAX_META_BYTES:
        raise NotACapture("the file header claims an impossible length")
    return int(length)


def parse_meta(body: bytes) -> Meta:
    """The file header's JSON; NotACapture."""
    try:
        meta = msgspec.json.decode(body, type=Meta)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotACapture(f"the file header is not readable: {error}") from None
    if meta.rate_hz != RATE_HZ or meta.started_at.tzinfo is None:
        raise NotACapture("the file header has another sample rate or no time zone")
    return meta
