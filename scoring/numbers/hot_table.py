"""The hot table as the engine's workers read it: one memory-mapped file, looked up without blocking."""

import mmap
import sys
from collections.abc import Set
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import msgspec

from scoring.numbers.hot_format import (
    ACTION_SHIFT,
    CONFIRMED_BIT,
    ENTRY_WORDS,
    EXPIRY_FIELD,
    EXPIRY_MASK,
    EXPIRY_SHIFT,
    HEADER_SIZE,
    LEVEL_SHIFT,
    MULTIPLIER,
    PRECEDENCE_SHIFT,
    REASON_MASK,
    ROW_SHIFT,
    Header,
    TableError,
    directory_size,
)
from scoring.numbers.number import E164_DIGITS_MAX, KEY_LOCAL, KEY_TENANT_SHIFT, Number
from scoring.numbers.rows import ACTIONS, LEVELS, PRECEDENCES, HotEntry

NO_ROWS: frozenset[int] = frozenset()


class Footer(msgspec.Struct, frozen=True):
    """The texts behind the numbers in keys and details."""

    tenants: list[str]
    reasons: list[str]
    origin: str = ""


class HotTable:
    """An open table. It stays readable after its file is replaced or removed."""

    def __init__(self, data: mmap.mmap, header: Header, footer: Footer) -> None:
        self.header = header
        self.origin = footer.origin
        """Which configured file the table takes in, as its publisher named it; empty for none."""
        self._body = memoryview(data)[HEADER_SIZE:]
        exact = directory_size(header.exact_bits)
        prefixes = exact + 8 * ENTRY_WORDS * header.exact_count
        listed = prefixes + directory_size(header.prefix_bits)
        self._homes = self._body[:exact].cast("I")
        self._exact = self._body[exact:prefixes].cast("Q")
        self._prefix_homes = self._body[prefixes:listed].cast("I")
        self._prefixes = self._body[listed : listed + 8 * ENTRY_WORDS * header.prefix_count].cast("Q")
        self._shift = 64 - header.exact_bits
        self._mask = (1 << header.exact_bits) - 1
        self._prefix_shift = 64 - header.prefix_bits
        self._prefix_mask = (1 << header.prefix_bits) - 1
        self._tenants = {name: place << KEY_TENANT_SHIFT for place, name in enumerate(footer.tenants)}
        self._reasons = footer.reasons
        self.texts = footer
        self._prefix_best = header.prefix_best
        self._steps = (_steps(header.lengths_e164), _steps(header.lengths_local))

    @classmethod
    def open(cls, path: Path, verify: bool = True) -> "HotTable":
        """Map the file. `verify` reads it all for its checksum; without it only header, size and footer.

        The mapping is shared: however many processes open the table, it is in memory once. Raises TableError
        naming the file, or OSError.
        """
        if sys.byteorder != "little":
            raise TableError(f"{path}: hot tables are little-endian, this machine is not")
        try:
            with path.open("rb") as file:
                header = Header.unpack(file.read(HEADER_SIZE))
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if len(data) != header.file_size:
                raise TableError(f"{len(data)} bytes long, {header.file_size} expected: truncated?")
            texts = data[len(data) - header.footer_size :]
            if crc32(texts) != header.footer_crc:
                raise TableError("the footer is damaged")
            table = cls(data, header, msgspec.json.decode(texts, type=Footer))
            if verify and not table.sound():
                raise TableError("the checksum is wrong")
        except (TableError, msgspec.MsgspecError) as error:
            raise TableError(f"{path}: {error}") from None
        return table

    @property
    def version(self) -> int:
        return self.header.version

    def __len__(self) -> int:
        return self.header.entries

    def sound(self) -> bool:
        """Whether the checksum over all but the header is right. Reads the whole file, without the GIL."""
        return crc32(self._body) == self.header.body_crc

    def words(self) -> tuple[memoryview, memoryview]:
        """The entries of numbers and of prefixes, `ENTRY_WORDS` 64-bit words each."""
        return self._exact, self._prefixes

    def lookup(
        self, tenant: str, number: Number, at: datetime, superseded: Set[int] = NO_ROWS
    ) -> HotEntry | None:
        """What the table says of a number: the weightiest statement that has not expired `at` this moment.

        A statement on the number itself goes before one on its longest listed prefix, an order of a court
        before all (`Precedence`). Rows in `superseded` count as absent.
        """
        key = number.key
        owner = self._tenants.get(tenant)
        if not key or owner is None:
            return None
        local = key & KEY_LOCAL
        value = key ^ local
        key |= owner
        best = detail = 0
        homes, words = self._homes, self._exact
        home = key * MULTIPLIER >> self._shift & self._mask
        for place in range(ENTRY_WORDS * homes[home], ENTRY_WORDS * homes[home + 1], ENTRY_WORDS):
            if words[place] == key and _counts(words[place + 1], words[place + 2], at, superseded):
                best, detail = words[place + 1], words[place + 2]
                break
        digits = matched = len(number.digits)
        wildcard = False
        if self._prefix_best < (best >> PRECEDENCE_SHIFT & 7 if best else 8):
            owner |= local
            homes, words = self._prefix_homes, self._prefixes
            for length, divisor in self._steps[bool(local)][digits]:
                key = value // divisor | owner
                home = key * MULTIPLIER >> self._prefix_shift & self._prefix_mask
                for place in range(ENTRY_WORDS * homes[home], ENTRY_WORDS * homes[home + 1], ENTRY_WORDS):
                    if words[place] == key and _counts(words[place + 1], words[place + 2], at, superseded):
                        statement = words[place + 1]
                        # A longer match stands unless the shorter one has a better precedence.
                        if not best or statement >> PRECEDENCE_SHIFT & 7 < best >> PRECEDENCE_SHIFT & 7:
                            best, detail, matched, wildcard = statement, words[place + 2], length, True
                        break
        return self._entry(best, detail, matched, wildcard) if best else None

    def _entry(self, value: int, detail: int, matched: int, wildcard: bool) -> HotEntry:
        expiry = value >> EXPIRY_SHIFT & EXPIRY_MASK
        action = value >> ACTION_SHIFT & 7
        return HotEntry(
            LEVELS[value >> LEVEL_SHIFT],
            ACTIONS[action - 1] if action else None,
            datetime.fromtimestamp(expiry, UTC) if expiry else None,
            self._reasons[detail & REASON_MASK],
            detail >> ROW_SHIFT,
            wildcard,
            bool(detail & CONFIRMED_BIT),
            PRECEDENCES[value >> PRECEDENCE_SHIFT & 7],
            matched,
        )


def origin_of(path: Path) -> str:
    """The origin that the table file names; empty where there is no usable file."""
    try:
        return HotTable.open(path, verify=False).origin
    except (OSError, ValueError):
        return ""


def _counts(value: int, detail: int, at: datetime, superseded: Set[int]) -> bool:
    """Whether a statement is in force."""
    expiry = value & EXPIRY_FIELD
    if expiry and expiry >> EXPIRY_SHIFT <= at.timestamp():
        return False
    return not superseded or detail >> ROW_SHIFT not in superseded


def _steps(lengths: int) -> list[list[tuple[int, int]]]:
    """For a number of n digits: the listed prefix lengths up to n, longest first, each with its divisor."""
    listed = [length for length in range(E164_DIGITS_MAX, 0, -1) if lengths >> length & 1]
    return [
        [(length, 10 ** (digits - length)) for length in listed if length <= digits]
        for digits in range(E164_DIGITS_MAX + 1)
    ]
