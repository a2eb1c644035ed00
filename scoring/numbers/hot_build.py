"""Builds the hot-table file: vectorised, so that a million numbers take seconds and not minutes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
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
Buffer = bytes | memoryview

_WEIGHT_BITS: Final = 37


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


def columns(
    rows: Iterable[RiskRow], known_tenants: Sequence[str] = (), known_reasons: Sequence[str] = ()
) -> Columns:
    """The rows as arrays; names that are known already keep their numbers.

    Raises ValueError for a row that cannot be listed.
    """
    tenants = {name: place for place, name in enumerate(known_tenants)}
    reasons = {name: place for place, name in enumerate(known_reasons)}
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


def build(cols: Columns, version: int, created: datetime, origin: str = "") -> list[Buffer]:
    """The file in parts, to be written one after the other; `origin` is handed to whoever opens it.

    Raises ValueError when there are more entries than a table holds.
    """
    count = len(cols.keys)
    if count > form.ENTRIES_MAX:
        raise ValueError(f"{count} entries; one table holds {form.ENTRIES_MAX}")
    exact_homes, exact_bits, exact = _lay(cols, ~cols.wildcards)
    prefix_homes, prefix_bits, prefix = _lay(cols, cols.wildcards)
    footer = msgspec.json.encode(Footer(list(cols.tenants), list(cols.reasons), origin))
    body: list[Buffer] = [exact_homes.data, exact.data, prefix_homes.data, prefix.data, footer]
    crc = 0
    for part in body:
        crc = crc32(part, crc)
    lengths_e164, lengths_local = _lengths(prefix[:, 0])
    header = Header(
        version=version,
        created=int(created.timestamp()),
        exact_count=len(exact),
        prefix_count=len(prefix),
        footer_size=len(footer),
        exact_bits=exact_bits,
        prefix_bits=prefix_bits,
        lengths_e164=lengths_e164,
        lengths_local=lengths_local,
        prefix_best=_best(prefix[:, 1]),
        body_crc=crc,
        footer_crc=crc32(footer),
    )
    return [header.pack(), *body]


def _lay(cols: Columns, chosen: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.uint32], int, Words]:
    """The directory, the logarithm of the number of homes, and the entries (n × 3) of the chosen rows."""
    keys, values = cols.keys[chosen], cols.values[chosen]
    bits = max(1, len(keys).bit_length() - 1)
    homes = (keys * np.uint64(form.MULTIPLIER)) >> np.uint64(64 - bits)
    # Home and weight have 27 + 37 bits at most.
    order = np.argsort(homes << np.uint64(_WEIGHT_BITS) | _weights(values))
    entries = np.empty((len(keys), form.ENTRY_WORDS), dtype=np.uint64)
    entries[:, 0] = keys[order]
    entries[:, 1] = values[order]
    entries[:, 2] = cols.details[chosen][order]
    directory = np.zeros((1 << bits) + 2, dtype=np.uint32)
    np.cumsum(np.bincount(homes.astype(np.int64), minlength=1 << bits), out=directory[1:-1])
    directory[-1] = directory[-2]
    return directory, bits, entries


def _weights(values: Words) -> Words:
    """Sort key in the order of `HotEntry.weight`: precedence, higher level, longer stay."""
    precedence = (values >> np.uint64(form.PRECEDENCE_SHIFT)) & np.uint64(7)
    level = np.uint64(3) - (values >> np.uint64(form.LEVEL_SHIFT))
    expiry = (values >> np.uint64(form.EXPIRY_SHIFT)) & np.uint64(form.EXPIRY_MASK)
    # Without an expiry 0 - 1 wraps to the longest stay of all.
    stay = np.uint64(form.EXPIRY_MASK) - ((expiry - np.uint64(1)) & np.uint64(form.EXPIRY_MASK))
    weights: Words = precedence << np.uint64(_WEIGHT_BITS - 3) | level << np.uint64(32) | stay
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
