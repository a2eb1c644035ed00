"""Reading a capture: metadata, chunks, and sound in one piece or in a stream. Nothing here writes audio."""

import enum
import fcntl
import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from recordings.chunks import (
    CHUNK_HEADER_BYTES,
    CHUNK_MAGIC,
    CHUNK_OVERHEAD,
    CHUNK_SAMPLES,
    FILE_PREFIX_BYTES,
    LINK_BYTES,
    ChunkHeader,
    Flags,
    Meta,
    link,
    meta_length,
    parse_meta,
    recording_tag,
)
from recordings.errors import NotACapture
from recordings.g711 import RATE_HZ, Pcm, decode
from recordings.sealing import AES_256_GCM, PLAIN, TAG_BYTES, AesGcmSeal, Locked, PlainSeal, Seal

_READ_BYTES: Final = 1 << 16


class State(enum.StrEnum):
    """How a capture file stands."""

    RECORDING = "recording"  # a writer holds it
    CLOSED = "closed"
    INTERRUPTED = "interrupted"  # its writer died before closing it


@dataclass(frozen=True, slots=True)
class Chunk:
    """A sound chunk of the file: its header and where its payload lies."""

    header: ChunkHeader
    payload_at: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a capture that its own links do not vouch for. They are not played."""

    offset: int
    detail: str


class Capture:
    """An open capture. Use as a context manager, or call `close`.

    `samples` gives the end of each channel in 8 kHz samples, `size` the bytes that whole chunks fill,
    `torn_bytes` what a dying writer left behind them, `sha256` the digest of `size` bytes, `head` the
    last link, `damage` what is not as it was written, `reason` why it was closed (None: it was not).
    """

    def __init__(self, path: Path, fd: int, key: bytes | None) -> None:
        self.path = path
        self._fd = fd
        self.meta, self._file_link, header_bytes, header_damage = self._read_file_header()
        self._seal = self._open_seal(key)
        self._tag = recording_tag(self.meta.recording_id)
        self.damage: list[Damage] = [header_damage] if header_damage else []
        self.samples: tuple[int, int] = (0, 0)
        self.reason: str | None = None
        self._chunks: list[Chunk] = []
        self._scan(header_bytes)
        self.state = self._find_state()
        in_time = sorted(self._chunks, key=lambda chunk: chunk.header.first_sample)
        self._lanes = [[c for c in in_time if c.header.channel == channel] for channel in (0, 1)]
        self._starts = [[c.header.first_sample for c in lane] for lane in self._lanes]

    @classmethod
    def open(cls, path: Path, key: bytes | None = None) -> Self:
        """Open and index a capture, checking every link (some 400 MB/s).

        Without its key an encrypted capture still gives metadata and digests.
        FileNotFoundError, NotACapture, WrongKey.
        """
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return cls(path, fd, key)
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def interrupted(self) -> bool:
        return self.state is State.INTERRUPTED

    @property
    def chunk_count(self) -> int:
        """Intact sound chunks."""
        return len(self._chunks)

    @property
    def length(self) -> int:
        """Samples of the longer channel."""
        return max(self.samples)

    @property
    def duration_s(self) -> float:
        return self.length / RATE_HZ

    def chunks(self) -> Iterator[tuple[ChunkHeader, bytes]]:
        """Every intact sound chunk in the order written, with its payload in the wire codec. KeyRequired."""
        for chunk in self._chunks:
            yield chunk.header, self._payload(chunk)

    def pcm(self) -> tuple[Pcm, int]:
        """The whole call as int16 of shape (samples, 2), caller left, and the rate in Hz. KeyRequired."""
        return self.read(0, self.length), RATE_HZ

    def blocks(self, size: int = CHUNK_SAMPLES, *, start: int = 0, stop: int | None = None) -> Iterator[Pcm]:
        """The call from sample `start` to `stop` in blocks of at most `size` samples, shape (n, 2)."""
        end = self.length if stop is None else min(stop, self.length)
        for at in range(start, end, size):
            yield self.read(at, min(at + size, end))

    def read(self, start: int, stop: int) -> Pcm:
        """Samples `start` to `stop` as int16 of shape (stop - start, 2); silence where there is none."""
        sound = np.zeros((stop - start, 2), dtype=np.int16)
        for channel in (0, 1):
            starts = self._starts[channel]
            lane = self._lanes[channel][
                bisect_right(starts, start - CHUNK_SAMPLES) : bisect_left(starts, stop)
            ]
            # Of several chunks with the same sample the first in the file counts: lay it on last.
            for chunk in sorted(lane, key=lambda c: -c.header.number):
                first = chunk.header.first_sample
                low, high = max(first, start), min(first + chunk.header.sample_count, stop)
                if low < high:
                    payload = self._payload(chunk)[low - first : high - first]
                    sound[low - start : high - start, channel] = decode(chunk.header.codec, payload)
        return sound

    def channel(self, channel: int) -> Pcm:
        """One channel of the whole call as mono int16 at 8 kHz. KeyRequired."""
        sound = np.empty(self.length, dtype=np.int16)
        for at, block in enumerate(self.blocks()):
            start = at * CHUNK_SAMPLES
            sound[start : start + len(block)] = block[:, channel]
        return sound

    def _payload(self, chunk: Chunk) -> bytes:
        header = chunk.header
        body = os.pread(self._fd, header.payload_bytes + TAG_BYTES, chunk.payload_at)
        if not header.flags & Flags.SEALED:
            return body[:-TAG_BYTES]
        return self._seal.open(header.number, self._file_link + header.pack(), body)

    def _open_seal(self, key: bytes | None) -> Seal:
        if self.meta.cipher == PLAIN:
            return PlainSeal()
        if self.meta.cipher != AES_256_GCM:
            raise NotACapture(f"unknown cipher {self.meta.cipher!r}")
        if key is None:
            return Locked()
        try:
            salt = bytes.fromhex(self.meta.salt)
        except ValueError:
            raise NotACapture("the file header has no readable salt") from None
        seal = AesGcmSeal(key, salt)
        length = FILE_PREFIX_BYTES + meta_length(os.pread(self._fd, FILE_PREFIX_BYTES, 0))
        seal.check(os.pread(self._fd, length, 0), os.pread(self._fd, TAG_BYTES, length))
        return seal

    def _read_file_header(self) -> tuple[Meta, bytes, int, Damage | None]:
        length = meta_length(os.pread(self._fd, FILE_PREFIX_BYTES, 0))
        size = FILE_PREFIX_BYTES + length + TAG_BYTES
        header = os.pread(self._fd, size + LINK_BYTES, 0)
        if len(header) < size + LINK_BYTES:
            raise NotACapture("the file ends inside its header")
        meta = parse_meta(header[FILE_PREFIX_BYTES : FILE_PREFIX_BYTES + length])
        stored = header[size:]
        damage = Damage(0, "the file header was changed") if link(b"", header[:size]) != stored else None
        return meta, stored, size + LINK_BYTES, damage

    def _scan(self, header_bytes: int) -> None:
        """Index the chunks, checking each against its link; step over what is damaged."""
        digest = hashlib.sha256(os.pread(self._fd, header_bytes, 0))
        previous, at, number = self._file_link, header_bytes, 0
        total = os.fstat(self._fd).st_size
        ends = [0, 0]
        while at < total:
            header = ChunkHeader.parse(os.pread(self._fd, CHUNK_HEADER_BYTES, at), self._tag)
            whole = CHUNK_OVERHEAD + header.payload_bytes if header else 0
            if header is None or at + whole > total:
                following = self._next_chunk(at + 1, total)
                if following is None:
                    break
                self.damage.append(Damage(at, f"unreadable chunk at byte {at}"))
                digest.update(os.pread(self._fd, following - at, at))
                previous = os.pread(self._fd, LINK_BYTES, following - LINK_BYTES)
                at = following
                continue
            data = os.pread(self._fd, whole, at)
            stored = data[-LINK_BYTES:]
            intact = link(previous, data[:-LINK_BYTES]) == stored
            if not intact:
                self.damage.append(Damage(at, f"chunk {header.number} at byte {at} was changed or moved"))
            elif self.reason is not None:
                self.damage.append(Damage(at, f"chunk {header.number} follows the end of the recording"))
            elif header.number != number:
                self.damage.append(Damage(at, f"chunk {number} is missing before byte {at}"))
            if intact and header.flags & Flags.END:
                payload = data[CHUNK_HEADER_BYTES : CHUNK_HEADER_BYTES + header.payload_bytes]
                self.reason = payload.decode("ascii", "replace")
            elif intact and bool(header.flags & Flags.SEALED) != (self.meta.cipher != PLAIN):
                # Anyone could append clear audio to an encrypted file.
                self.damage.append(Damage(at, f"chunk {header.number} is not sealed as its file says"))
            elif intact:
                self._chunks.append(Chunk(header, at + CHUNK_HEADER_BYTES))
                stop = header.first_sample + header.sample_count
                ends[header.channel] = max(ends[header.channel], stop)
            digest.update(data)
            previous, number = stored, header.number + 1
            at += whole
        self.size, self.torn_bytes = at, total - at
        self.sha256, self.head = digest.hexdigest(), previous.hex()
        self.samples = (ends[0], ends[1])

    def _next_chunk(self, at: int, total: int) -> int | None:
        """Where the next chunk of this recording begins, or None."""
        wanted = CHUNK_MAGIC + self._tag
        while at < total:
            block = os.pread(self._fd, _READ_BYTES, at)
            found = block.find(wanted)
            if found >= 0:
                return at + found
            at += max(len(block) - len(wanted) + 1, 1)
        return None

    def _find_state(self) -> State:
        if self.reason is not None:
            return State.CLOSED
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return State.RECORDING
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        return State.INTERRUPTED
