"""Writing a capture: append-only, one file handle, at most one second of each channel in memory."""

import fcntl
import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Final

from recordings.chunks import (
    CHUNK_SAMPLES,
    MAX_SAMPLES,
    ChunkHeader,
    Flags,
    Meta,
    link,
    pack_meta,
    recording_tag,
)
from recordings.g711 import Codec
from recordings.ids import check_name, check_number_id, check_reference
from recordings.manifest import Manifest, make_manifest, manifest_path, write_manifest
from recordings.sealing import AES_256_GCM, PLAIN, SALT_BYTES, AesGcmSeal, PlainSeal, Seal

_PLAIN_SEAL: Final = PlainSeal()


class _Lane:
    """One channel's current second: sorted, separate runs of samples."""

    __slots__ = ("codec", "end", "next", "runs", "second", "tail")

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.second = 0
        self.runs: list[tuple[int, bytearray]] = []
        self.tail = bytearray()  # the last run's bytes
        self.next: int | None = None  # the sample after the last run
        self.end = 0  # the highest sample index seen, plus one

    def place(self, first: int, payload: bytes) -> None:
        """Add what is not there yet of `payload`, which lies within the current second."""
        stop = first + len(payload)
        at = first
        pieces: list[tuple[int, bytearray]] = []
        for start, run in self.runs:
            if start >= stop:
                break
            if at < start:
                pieces.append((at, bytearray(payload[at - first : start - first])))
            at = max(at, start + len(run))
        if at < stop:
            pieces.append((at, bytearray(payload[at - first :])))
        merged: list[tuple[int, bytearray]] = []
        for start, run in sorted(self.runs + pieces, key=lambda piece: piece[0]):
            if merged and merged[-1][0] + len(merged[-1][1]) == start:
                merged[-1][1].extend(run)
            else:
                merged.append((start, run))
        self.runs = merged
        last, self.tail = merged[-1]
        self.next = last + len(self.tail)

    def take(self) -> list[tuple[int, bytearray]]:
        """The runs so far, which the lane then forgets."""
        runs, self.runs, self.tail, self.next = self.runs, [], bytearray(), None
        return runs


class CaptureWriter:
    """A two-channel capture being written (0 caller, 1 callee), to be driven by one thread.

    `started_at` is the time of sample 0. `codecs` are the wire codecs of the two channels. With a `key` of 32
    bytes the audio is encrypted. `number_ids` are keyed ids of caller and callee (empty: unknown), never
    numbers in clear.
    The file must not exist (FileExistsError); it stays locked until `close`, so that `repair` can tell a live
    recording from an interrupted one.

    A full disk raises OSError from `write`, `flush` or `close`; the file then still ends on a whole chunk,
    the second that could not be stored is counted in `lost_samples`, and writing may go on.
    """

    def __init__(
        self,
        path: Path,
        *,
        recording_id: str,
        tenant: str,
        call_id: str,
        started_at: datetime,
        codecs: tuple[Codec, Codec],
        key: bytes | None = None,
        number_ids: tuple[str, str] = ("", ""),
    ) -> None:
        if started_at.tzinfo is None:
            raise ValueError("started_at needs a time zone")
        salt = b"" if key is None else os.urandom(SALT_BYTES)
        self._seal: Seal = _PLAIN_SEAL if key is None else AesGcmSeal(key, salt)
        self._flags = Flags.NONE if key is None else Flags.SEALED
        self.meta = Meta(
            recording_id=check_name("a recording id", recording_id),
            tenant=check_name("a tenant", tenant),
            call_id=check_reference("a call id", call_id),
            started_at=started_at,
            codecs=(codecs[0].name, codecs[1].name),
            cipher=PLAIN if key is None else AES_256_GCM,
            salt=salt.hex(),
            number_ids=(check_number_id(number_ids[0]), check_number_id(number_ids[1])),
        )
        self.path = path
        self.lost_samples = 0
        self._tag = recording_tag(recording_id)
        self._lanes = (_Lane(codecs[0]), _Lane(codecs[1]))
        self._failure: OSError | None = None
        self._number = 0
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        header = pack_meta(self.meta)
        header += self._seal.header_tag(header)
        self._head = self._file_link = link(b"", header)
        self._append(header + self._head)

    def write(self, channel: int, first_sample: int, payload: bytes) -> None:
        """Store `payload` (one byte per sample) from `first_sample` on; a sample already there stays.

        Any order and any gap will do; a packet that comes after its second was written costs a chunk of its
        own. ValueError for another channel or a sample outside 24 hours.
        """
        if channel not in (0, 1):
            raise ValueError(f"a capture has channels 0 and 1, not {channel}")
        lane = self._lanes[channel]
        stop = first_sample + len(payload)
        # The usual frame continues the last one within the same second.
        if first_sample == lane.next and stop <= (lane.second + 1) * CHUNK_SAMPLES:
            lane.tail += payload
            lane.next = stop
            return
        if first_sample < 0 or stop > MAX_SAMPLES:
            raise ValueError(f"samples {first_sample} to {stop} are outside the 24 hours of a capture")
        at = first_sample
        while at < stop:
            edge = min(stop, (at // CHUNK_SAMPLES + 1) * CHUNK_SAMPLES)
            self._place(channel, at, payload[at - first_sample : edge - first_sample])
            at = edge
        self._raise_failure()

    def _place(self, channel: int, first: int, payload: bytes) -> None:
        lane = self._lanes[channel]
        second = first // CHUNK_SAMPLES
        if second < lane.second:
            self._store(channel, [(first, bytearray(payload))], Flags.LATE)
            return
        if second > lane.second:
            self._store(channel, lane.take())
            lane.second = second
            # A silent channel must not hold its last words in memory while the other talks on.
            other = self._lanes[1 - channel]
            if other.runs and other.second < second - 1:
                self._store(1 - channel, other.take())
        lane.place(first, payload)

    def set_codec(self, channel: int, codec: Codec) -> None:
        """From the next write on, `channel` carries another codec (after a re-INVITE)."""
        self._store(channel, self._lanes[channel].take())
        self._lanes[channel].codec = codec
        self._raise_failure()

    def flush(self) -> None:
        """Store what is in memory now, for instance before a long hold."""
        for channel in (0, 1):
            self._store(channel, self._lanes[channel].take())
        self._raise_failure()

    def _raise_failure(self) -> None:
        """What went wrong on the disk is told only when all that could be done has been done."""
        failure, self._failure = self._failure, None
        if failure:
            raise failure

    def _store(self, channel: int, runs: list[tuple[int, bytearray]], flags: Flags = Flags.NONE) -> None:
        lane = self._lanes[channel]
        for first, run in runs:
            header = ChunkHeader(
                self._tag, self._number, channel, lane.codec, self._flags | flags, first, len(run), len(run)
            )
            try:
                self._append_chunk(header, bytes(run), self._seal)
            except OSError as error:
                self._failure = error
                self.lost_samples += len(run)
            else:
                lane.end = max(lane.end, first + len(run))

    def _append_chunk(self, header: ChunkHeader, payload: bytes, seal: Seal) -> None:
        packed = header.pack()
        body = packed + seal.close(header.number, self._file_link + packed, payload)
        head = link(self._head, body)
        self._append(body + head)
        self._head = head
        self._number += 1

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        self._sha256.update(data)

    def close(self, reason: str) -> Manifest:
        """Finish the file, store its manifest beside it and return it. `reason` is a slug such as `bye`."""
        check_name("a closing reason", reason)
        try:
            self.flush()
            payload = reason.encode()
            header = ChunkHeader(
                self._tag, self._number, 0, self._lanes[0].codec, Flags.END, 0, 0, len(payload)
            )
            self._append_chunk(header, payload, _PLAIN_SEAL)
            os.fsync(self._fd)
            manifest = make_manifest(
                self.meta,
                reason=reason,
                interrupted=False,
                samples=(self._lanes[0].end, self._lanes[1].end),
                chunks=self._number - 1,
                damaged_chunks=0,
                size=self._size,
                sha256=self._sha256.hexdigest(),
                head=self._head.hex(),
            )
            write_manifest(manifest_path(self.path), manifest)
        finally:
            os.close(self._fd)
        return manifest
