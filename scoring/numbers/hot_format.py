"""Layout of the hot-table file: one place for writer and reader. Little-endian throughout.

    header    128 bytes, see HEADER
    exact     slots of 16 bytes (key, value): open addressing, linear probing, an empty slot is all zero
    prefixes  slots likewise, for wildcards; a prefix's key tells its length
    details   8 bytes an entry: reason (15 bits), confirmed (1), the store's row id (48)
    footer    JSON: the tenants and reasons in the order of their numbers

A slot's home is the top bits of key times `MULTIPLIER` (Fibonacci hashing). Entries are laid in the order of
home, then weight, so of several statements on one number a probe meets the weightiest first. The region ends
with an empty slot instead of wrapping round.

A key is 13 bits tenant, 1 bit local, 50 bits digits (`number.digits_key`). A value is

    level 2 | action 3 | precedence 3 | expiry 32, seconds since 1970, 0 for none | index of its detail 24
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final
from zlib import crc32

MAGIC: Final = b"RWHOT\r\n\0"
FORMAT: Final = 1
HEADER: Final = struct.Struct("<8sIIQQQQIIIIIIQQQ")
HEADER_SIZE: Final = 128

MULTIPLIER: Final = 0x9E3779B97F4A7C15
INDEX_BITS: Final = 24
ENTRIES_MAX: Final = 1 << INDEX_BITS
INDEX_MASK: Final = ENTRIES_MAX - 1
EXPIRY_SHIFT: Final = INDEX_BITS
EXPIRY_MASK: Final = 0xFFFFFFFF
EXPIRY_FIELD: Final = EXPIRY_MASK << EXPIRY_SHIFT
PRECEDENCE_SHIFT: Final = 56
ACTION_SHIFT: Final = 59
LEVEL_SHIFT: Final = 62

REASON_MASK: Final = 0x7FFF
CONFIRMED_BIT: Final = 0x8000
ROW_SHIFT: Final = 16
ROW_MAX: Final = (1 << 48) - 1


class TableError(ValueError):
    """The file is no hot table, damaged, or of another format; the message names it."""


@dataclass(frozen=True, slots=True)
class Header:
    """Counts and sizes. `*_bits` is the logarithm of the number of homes, `*_slots` counts overflow too.

    `lengths_*` has bit n set when there is a prefix of n digits, for E.164 and for local numbers;
    `prefix_best` is the best precedence of any prefix, 7 where there is none.
    """

    version: int
    created: int
    exact_slots: int
    prefix_slots: int
    exact_bits: int
    prefix_bits: int
    lengths_e164: int
    lengths_local: int
    prefix_best: int
    body_crc: int
    exact_count: int
    prefix_count: int
    footer_size: int

    @property
    def entries(self) -> int:
        return self.exact_count + self.prefix_count

    @property
    def file_size(self) -> int:
        slots = self.exact_slots + self.prefix_slots
        return HEADER_SIZE + 16 * slots + 8 * self.entries + self.footer_size

    def pack(self) -> bytes:
        body = HEADER.pack(
            MAGIC,
            FORMAT,
            HEADER_SIZE,
            self.version,
            self.created,
            self.exact_slots,
            self.prefix_slots,
            self.exact_bits,
            self.prefix_bits,
            self.lengths_e164,
            self.lengths_local,
            self.prefix_best,
            self.body_crc,
            self.exact_count,
            self.prefix_count,
            self.footer_size,
        )
        padded = body.ljust(HEADER_SIZE - 4, b"\0")
        return padded + struct.pack("<I", crc32(padded))

    @classmethod
    def unpack(cls, data: bytes) -> "Header":
        """Raises TableError, without a file name."""
        if len(data) < HEADER_SIZE or data[:8] != MAGIC:
            raise TableError("not a hot table")
        if crc32(data[: HEADER_SIZE - 4]) != struct.unpack_from("<I", data, HEADER_SIZE - 4)[0]:
            raise TableError("the header is damaged")
        _, version_of_format, _, *counts = HEADER.unpack_from(data)
        if version_of_format != FORMAT:
            raise TableError(f"format {version_of_format}; this version reads format {FORMAT}")
        return cls(*counts)


def expiry_seconds(expires: datetime | None) -> int:
    """Whole seconds since 1970, rounded up; 0 for none. Raises ValueError outside 1970 to 2106."""
    if expires is None:
        return 0
    seconds = ceil(expires.timestamp())
    if not 0 < seconds <= EXPIRY_MASK:
        raise ValueError(f"expiry {expires.isoformat()} is not between 1970 and 2106")
    return seconds
