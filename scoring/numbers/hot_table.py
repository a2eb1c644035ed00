"""The hot table as the engine's workers read it: one memory-mapped file, looked up without blocking."""

import mmap
import sys
from collections.abc import Set
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import msgspec

from scoring.numbers import hot_format as form
from scoring.numbers.hot_format import Header, TableError
from scoring.numbers.number import E164_DIGITS_MAX, KEY_LOCAL, KEY_TENANT_SHIFT, Number, NumberKind
from scoring.numbers.rows import ACTIONS, LEVELS, HotEntry, Precedence

NO_ROWS: frozenset[int] = frozenset()


class Footer(msgspec.Struct, frozen=True):
    """The texts behind the numbers in keys and details."""

    tenants: list[str]
    reasons: list[str]


class HotTable:
    """An open table. It stays readable after its file is replaced or removed."""

    def __init__(self, data: mmap.mmap, header: Header, footer: Footer) -> None:
        self.header = header
        self._body = memoryview(data)[form.HEADER_SIZE :]
        prefixes = 16 * header.exact_slots
        details = prefixes + 16 * header.prefix_slots
        self._exact = self._body[:prefixes].cast("Q")
        self._prefixes = self._body[prefixes:details].cast("Q")
        self._details = self._body[details : details + 8 * header.entries].cast("Q")
        self._exact_shift = 64 - header.exact_bits
        self._exact_mask = (1 << header.exact_bits) - 1
        self._prefix_shift = 64 - header.prefix_bits
        self._prefix_mask = (1 << header.prefix_bits) - 1
        self._tenants = {name: place << KEY_TENANT_SHIFT for place, name in enumerate(footer.tenants)}
        self._reasons = footer.reasons
        self._steps_e164 = _steps(header.lengths_e164)
        self._steps_local = _steps(header.lengths_local)

    @classmethod
    def open(cls, path: Path, verify: bool = True) -> "HotTable":
        """Map the file. `verify` reads it all for its checksum; without it only header, size and footer.

        Raises TableError naming the file, or OSError.
        """
        if sys.byteorder != "little":
            raise TableError(f"{path}: hot tables are little-endian, this machine is not")
        try:
            with path.open("rb") as file:
                header = Header.unpack(file.read(form.HEADER_SIZE))
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if len(data) != header.file_size:
                raise TableError(f"{len(data)} bytes long, {header.file_size} expected: truncated?")
            footer = msgspec.json.decode(data[len(data) - header.footer_size :], type=Footer)
            table = cls(data, header, footer)
            if verify and crc32(table._body) != header.body_crc:
                raise TableError("the checksum is wrong")
        except (TableError, msgspec.MsgspecError) as error:
            raise TableError(f"{path}: {error}") from None
        return table

    @property
    def version(self) -> int:
        return self.header.version

    def __len__(self) -> int:
        return self.header.entries

    def checksum_part(self, start: int, size: int, crc: int) -> tuple[int, bool]:
        """The running checksum over `size` more bytes of the body, and whether that was the last part.

        For verifying a large file in slices between other work; compare with `header.body_crc`.
        """
        return crc32(self._body[start : start + size], crc), start + size >= len(self._body)

    def lookup(
        self, tenant: str, number: Number, at: datetime, superseded: Set[int] = NO_ROWS
    ) -> HotEntry | None:
        """What the table says of a number: the weightiest statement that has not expired `at` this moment.

        A statement on the number itself goes before one on its longest listed prefix, an order of a court
        before all (`Precedence`). Rows in `superseded` count as absent.
        """
        base = number.key
        owner = self._tenants.get(tenant)
        if not base or owner is None:
            return None
        key = base | owner
        slots = self._exact
        slot = (key * form.MULTIPLIER >> self._exact_shift & self._exact_mask) << 1
        best = 0
        while (found := slots[slot]) != 0:
            if found == key and self._counts(slots[slot + 1], at, superseded):
                best = slots[slot + 1]
                break
            slot += 2
        steps = self._steps_e164 if number.kind is NumberKind.E164 else self._steps_local
        digits = len(number.digits)
        matched, wildcard = digits, False
        if steps:
            local = base & KEY_LOCAL
            value = base ^ local
            owner |= local
            slots = self._prefixes
            for length, divisor in steps[digits]:
                key = value // divisor | owner
                slot = (key * form.MULTIPLIER >> self._prefix_shift & self._prefix_mask) << 1
                while (found := slots[slot]) != 0:
                    if found == key and self._counts(slots[slot + 1], at, superseded):
                        # A longer match stands unless the shorter one has a better precedence.
                        if not best or _precedence(slots[slot + 1]) < _precedence(best):
                            best, matched, wildcard = slots[slot + 1], length, True
                        break
                    slot += 2
        return self._entry(best, matched, wildcard) if best else None

    def _counts(self, value: int, at: datetime, superseded: Set[int]) -> bool:
        """Whether a statement is in force."""
        expiry = value >> form.EXPIRY_SHIFT & form.EXPIRY_MASK
        if expiry and expiry <= at.timestamp():
            return False
        return not superseded or self._details[value & form.INDEX_MASK] >> form.ROW_SHIFT not in superseded

    def _entry(self, value: int, matched: int, wildcard: bool) -> HotEntry:
        detail = self._details[value & form.INDEX_MASK]
        expiry = value >> form.EXPIRY_SHIFT & form.EXPIRY_MASK
        action = value >> form.ACTION_SHIFT & 7
        return HotEntry(
            level=LEVELS[value >> form.LEVEL_SHIFT],
            action=ACTIONS[action - 1] if action else None,
            expires=datetime.fromtimestamp(expiry, UTC) if expiry else None,
            reason=self._reasons[detail & form.REASON_MASK],
            row=detail >> form.ROW_SHIFT,
            wildcard=wildcard,
            confirmed=bool(detail & form.CONFIRMED_BIT),
            precedence=Precedence(_precedence(value)),
            matched=matched,
        )


def _precedence(value: int) -> int:
    return value >> form.PRECEDENCE_SHIFT & 7


def _steps(lengths: int) -> list[list[tuple[int, int]]]:
    """For a number of n digits: the listed prefix lengths up to n, longest first, each with its divisor."""
    listed = [length for length in range(E164_DIGITS_MAX, 0, -1) if lengths >> length & 1]
    if not listed:
        return []
    return [
        [(length, 10 ** (digits - length)) for length in listed if length <= digits]
        for digits in range(E164_DIGITS_MAX + 1)
    ]
