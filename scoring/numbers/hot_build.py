"""Builds the hot-table file: vectorised, so that a million numbers take seconds and not minutes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from scoring.numbers import hot_format as form
from scoring.numbers.hot_format import Header
from scoring.numbers.hot_table import Footer
from scoring.numbers.number import KEY_LOCAL, KEY_TENANT_SHIFT, TENANTS_MAX, text_key
from scoring.numbers.rows import ACTIONS, LEVELS, RiskRow

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows as arrays of one length: keys with tenant bits, values without their index, details, wildcards.

    Whoever has a million rows in another shape fills these directly; `columns` does it from `RiskRow`s.
    """

    tenants: Sequence[str]
    reasons: Sequence[str]
    keys: Words
    values: Words
    details: Words
    wildcards: npt.NDArray[np.bool_]


def columns(rows: Iterable[RiskRow]) -> Columns:
    """The rows as arrays. Raises ValueError for a row that cannot be listed."""
    tenants: dict[str, int] = {}
    reasons: dict[str, int] = {}
    keys: list[int] = []
    values: list[int] = []
    details: list[int] = []
    wildcards: list[bool] = []
    for row in rows:
        tenant = tenants.setdefault(row.tenant, len(tenants))
        reason = reasons.setdefault(row.reason, len(reasons))
        if not 1 <= row.row <= form.ROW_MAX:
            raise ValueError(f"row id {row.row} is not between 1 and {form.ROW_MAX}")
        keys.append(text_key(row.number) | tenant << KEY_TENANT_SHIFT)
        values.append(
            LEVELS.index(row.level) << form.LEVEL_SHIFT
            | (ACTIONS.index(row.action) + 1 if row.action is not None else 0) << form.ACTION_SHIFT
            | row.precedence << form.PRECEDENCE_SHIFT
            | form.expiry_seconds(row.expires) << form.EXPIRY_SHIFT
        )
        details.append(reason | (form.CONFIRMED_BIT if row.answered else 0) | row.row << form.ROW_SHIFT)
        wildcards.append(row.wildcard)
    if len(tenants) > TENANTS_MAX or len(reasons) > form.REASON_MASK + 1:
        raise ValueError(f"more than {TENANTS_MAX} tenants or {form.REASON_MASK + 1} reasons in one table")
    return Columns(
        list(tenants),
        list(reasons),
        np.array(keys, dtype=np.uint64),
        np.array(values, dtype=np.uint64),
        np.array(details, dtype=np.uint64),
        np.array(wildcards, dtype=np.bool_),
    )


def build(cols: Columns, version: int, created: datetime, origin: str = "") -> bytes:
    """The file's bytes; `origin` is handed to whoever opens it.

    Raises ValueError when there are more entries than an index can name.
    """
    count = len(cols.keys)
    if count > form.ENTRIES_MAX:
        raise ValueError(f"{count} entries; one table holds {form.ENTRIES_MAX}")
    exact = np.flatnonzero(~cols.wildcards)
    prefix = np.flatnonzero(cols.wildcards)
    exact_slots, exact_bits, exact_order = _lay(cols.keys[exact], cols.values[exact], 0)
    prefix_slots, prefix_bits, prefix_order = _lay(cols.keys[prefix], cols.values[prefix], len(exact))
    details = np.concatenate((cols.details[exact][exact_order], cols.details[prefix][prefix_order]))
    footer = msgspec.json.encode(Footer(list(cols.tenants), list(cols.reasons), origin))
    body = b"".join((exact_slots.tobytes(), prefix_slots.tobytes(), details.tobytes(), footer))
    lengths_e164, lengths_local = _lengths(cols.keys[prefix])
    header = Header(
        version=version,
        created=int(created.timestamp()),
        exact_slots=len(exact_slots),
        prefix_slots=len(prefix_slots),
        exact_bits=exact_bits,
        prefix_bits=prefix_bits,
        lengths_e164=lengths_e164,
        lengths_local=lengths_local,
        prefix_best=_best(cols.values[prefix]),
        body_crc=crc32(body),
        exact_count=len(exact),
        prefix_count=len(prefix),
        footer_size=len(footer),
    )
    return header.pack() + body


def _lay(keys: Words, values: Words, first_index: int) -> tuple[Words, int, npt.NDArray[np.intp]]:
    """Slots (n × 2), the logarithm of the number of homes, and the order the entries were laid in.

    Sorted by home, an entry's place under linear probing is the larger of its home and the place after its
    predecessor's: a running maximum, so no loop over entries is needed.
    """
    count = len(keys)
    bits = max(4, (2 * count - 1).bit_length() if count else 0)
    homes = (keys * np.uint64(form.MULTIPLIER)) >> np.uint64(64 - bits)
    order = np.lexsort((_weights(values), homes))
    homes = homes[order].astype(np.int64)
    steps = np.arange(count, dtype=np.int64)
    places = np.maximum.accumulate(homes - steps) + steps
    size = max(1 << bits, int(places[-1]) + 1 if count else 0) + 1
    slots = np.zeros((size, 2), dtype=np.uint64)
    slots[places, 0] = keys[order]
    slots[places, 1] = values[order] | (steps.astype(np.uint64) + np.uint64(first_index))
    return slots, bits, order


def _weights(values: Words) -> Words:
    """Sort key in the order of `HotEntry.weight`: precedence, higher level, longer stay."""
    precedence = (values >> np.uint64(form.PRECEDENCE_SHIFT)) & np.uint64(7)
    level = np.uint64(3) - (values >> np.uint64(form.LEVEL_SHIFT))
    expiry = (values >> np.uint64(form.EXPIRY_SHIFT)) & np.uint64(form.EXPIRY_MASK)
    # Without an expiry 0 - 1 wraps to the longest stay of all.
    stay = np.uint64(form.EXPIRY_MASK) - ((expiry - np.uint64(1)) & np.uint64(form.EXPIRY_MASK))
    weights: Words = precedence << np.uint64(34) | level << np.uint64(32) | stay
    return weights


def _best(values: Words) -> int:
    """The best precedence of all, 7 for none at all."""
    if not len(values):
        return 7
    return int(np.min((values >> np.uint64(form.PRECEDENCE_SHIFT)) & np.uint64(7)))


def _lengths(keys: Words) -> tuple[int, int]:
    """Which prefix lengths occur, as bit sets, for E.164 and for local numbers."""
    found = [0, 0]
    digits = keys & np.uint64(KEY_LOCAL - 1)
    local = (keys & np.uint64(KEY_LOCAL)) != 0
    for kind, marker in ((0, 0), (1, 1)):
        of_kind = digits[local == bool(kind)]
        for length in range(1, 16):
            low, high = 10 ** (length - 1 + marker), 10 ** (length + marker)
            if bool(np.any((of_kind >= np.uint64(low)) & (of_kind < np.uint64(high)))):
                found[kind] |= 1 << length
    return found[0], found[1]
