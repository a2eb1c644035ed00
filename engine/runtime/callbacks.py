"""Who made an emergency call lately and may be called back unscreened (RFC 7090 §3).

One memory-mapped file for all workers of a node. A write is a few bytes of memory, there for every worker at
once and for the next start; the kernel takes it to the disk, so nobody waits for one. A number is in it as a
keyed hash. It has the same size for ever: in a full bucket the oldest call gives way.

Nothing is locked. Two workers that write to one bucket within the same microsecond may lose one of the two
entries; a record that is half one's and half the other's does not pass its check and is none.
"""

from __future__ import annotations

import mmap
import os
import struct
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final
from zlib import crc32

from engine.model.screening import Facts
from scoring.numbers import Number

BUCKETS: Final = 16_384
SLOTS: Final = 8
"""In each bucket."""
_TAG_BYTES: Final = 8
_BUCKET_BYTES: Final = 4
# Tag, UTC seconds since 1970, and a check of the two; all zero where there is none.
_RECORD: Final = struct.Struct(f"<{_TAG_BYTES}sII")
_CHECKED: Final = struct.Struct(f"<{_TAG_BYTES}sI")
# Before the buckets: when the latest call was. Most of the time that is long ago, and nothing else is read.
_LATEST: Final = struct.Struct("<I12x")
_ROW: Final = SLOTS * _RECORD.size
SIZE: Final = _LATEST.size + BUCKETS * _ROW
"""Bytes, 2 MiB for 131,072 subscribers."""


class Callbacks:
    """The call-back windows of one tenant."""

    def __init__(self, key: bytes, tenant: str, window_s: float, path: Path | None = None) -> None:
        """Without `path` they are this process's own. Raises OSError where the file cannot be had."""
        self._key = key
        self._tenant = tenant
        self._window_s = window_s
        self._map = mmap.mmap(-1, SIZE) if path is None else _mapped(path)

    def note(self, facts: Facts) -> None:
        """A subscriber's emergency call.

        The trunk's word counts more than the phone's, and who has no number cannot be called back. Who was
        put through to there by a subscriber calls under a number that nobody has vouched for.
        """
        subscriber = facts.asserted if facts.asserted is not None else facts.calling
        if not subscriber.digits or facts.diversion or not facts.caller_authorised:
            return
        seconds = int(facts.at.timestamp())
        tag, start = self._place(subscriber)
        times = [time if found == tag else -time for found, time in self._records(start)]
        # its own record, or else the oldest; an empty one is older than any
        slot = max(range(SLOTS), key=times.__getitem__)
        check = crc32(_CHECKED.pack(tag, seconds))
        _RECORD.pack_into(self._map, start + slot * _RECORD.size, tag, seconds, check)
        _LATEST.pack_into(self._map, 0, seconds)

    def quiet(self, at: datetime) -> bool:
        """No window is open: the latest call was too long ago."""
        latest: int = _LATEST.unpack_from(self._map)[0]
        return abs(at.timestamp() - latest) > self._window_s

    def is_open(self, subscriber: Number, at: datetime) -> bool:
        """Whether calls to the subscriber pass now. A clock that was set back closes no window."""
        if not subscriber.digits or self.quiet(at):
            return False
        now = at.timestamp()
        tag, start = self._place(subscriber)
        return any(found == tag and abs(now - time) <= self._window_s for found, time in self._records(start))

    def _place(self, subscriber: Number) -> tuple[bytes, int]:
        """The number's tag, and where its bucket begins."""
        text = f"{self._tenant}\0{subscriber.display}".encode()
        digest = blake2b(
            text, key=self._key, digest_size=_BUCKET_BYTES + _TAG_BYTES, person=b"callback"
        ).digest()
        bucket = int.from_bytes(digest[:_BUCKET_BYTES]) % BUCKETS
        return digest[_BUCKET_BYTES:], _LATEST.size + bucket * _ROW

    def _records(self, start: int) -> list[tuple[bytes, int]]:
        """Tag and time of each slot; time 0 where there is nothing to be believed."""
        return [
            (tag, time if check == crc32(_CHECKED.pack(tag, time)) else 0)
            for tag, time, check in _RECORD.iter_unpack(self._map[start : start + _ROW])
        ]

    def close(self) -> None:
        self._map.close()


def _mapped(path: Path) -> mmap.mmap:
    """The file, made on first use. It may be longer, but never gets shorter: others have it mapped."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # with room on the disk for all of it: a write to a mapped page without any kills the process
        os.posix_fallocate(handle, 0, SIZE)
        return mmap.mmap(handle, SIZE)
    finally:
        os.close(handle)
