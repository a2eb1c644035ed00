"""Layout of the hot-table file: one place for writer and reader. Little-endian throughout.

    header     128 bytes, see HEADER
    exact      a directory and its entries, for whole numbers
    prefixes   the same, for wildcards; a prefix's key tells its length
    footer     JSON: the tenants and reasons in the order of their numbers

A directory has a home for each value of the top bits of key times `MULTIPLIER` (Fibonacci hashing): 4 bytes
with the place of the home's first entry; the next home's is where they end. Entries are 24 bytes (key, value,
detail) and lie without gaps in the order of home, then weight, so of several statements on one number a
look-up meets the weightiest first. With two entries a home at most on average that is 28 bytes an entry at
most; open addressing needs 24 divided by its load, and a miss runs on until a gap.

A key is 13 bits tenant, 1 bit local, 50 bits digits (`number.digits_key`). A value is

    level 2 | action 3 | precedence 3 | expiry 32, seconds since 1970, 0 for none | 24 unused

and a detail the store's row id (48 bits), confirmed (1), reason (15).
"""

import struct
from dataclasses import astuple, dataclass
from datetime import datetime
from math import ceil
from typing import Final
from zlib import crc32

MAGIC: Final = b"RWHOT\r\n\0"
FORMAT: Final = 2
HEADER: Final = struct.Struct("<8sIIQQQQQIIIIIII")
HEADER_SIZE: Final = 128

MULTIPLIER: Final = 0x9E3779B97F4A7C15
ENTRY_WORDS: Final = 3
ENTRIES_MAX: Final = 1 << 27
EXPIRY_SHIFT: Final = 24
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
    """Counts and sizes. `*_bits` is the logarithm of the number of homes.

    `lengths_*` has bit n set when there is a prefix of n digits, for E.164 and for local numbers;
    `prefix_best` is the best precedence of any prefix, 7 where there is none.
    """

    version: int
    created: int
    exact_count: int
    prefix_count: int
    footer_size: int
    exact_bits: int
    prefix_bits: int
    lengths_e164: int
    lengths_local: int
    prefix_best: int
    body_crc: int
    footer_crc: int

    @property
    def entries(self) -> int:
        return self.exact_count + self.prefix_count

    @property
    def file_size(self) -> int:
        directories = directory_size(self.exact_bits) + directory_size(self.prefix_bits)
        return HEADER_SIZE + directories + 8 * ENTRY_WORDS * self.entries + self.footer_size

    def pack(self) -> bytes:
        body = HEADER.pack(MAGIC, FORMAT, HEADER_SIZE, *astuple(self))
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


def directory_size(bits: int) -> int:
    """Bytes of a directory with 2^bits homes: the end of the last one, and a copy of it to fill 8 bytes."""
    return 4 * ((1 << bits) + 2)


def expiry_seconds(expires: datetime | None) -> int:
    """Whole seconds since 1970, rounded up; 0 for none. Raises ValueError outside 1970 to 2106."""
    if expires is None:
        return 0
    seconds = ceil(expires.timestamp())
    if not 0 < seconds <= EXPIRY_MASK:
        raise ValueError(f"expiry {expires.isoformat()} is not between 1970 and 2106")
    return seconds
