"""What is counted: whose calls, what of them, over which windows; and the names policies use for it."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

TICK_S: Final = 10
"""Everything within one tick counts as simultaneous."""


class Kind(IntEnum):
    """Whose calls are counted together; the value is the position in a `Subject`."""

    CALLER = 0
    PREFIX = 1
    ROUTE = 2


class Field(IntEnum):
    """What is counted of calls; the value is the position in a bucket."""

    ATTEMPTS = 0
    ANSWERED = 1
    SHORT_CALLS = 2
    REJECTED = 3
    CANCELLED = 4


FIELDS: Final = len(Field)
DISTINCT: Final = "distinct_called"


class Ring(NamedTuple):
    """A window as a ring of buckets: it covers the last `window_s` seconds, less what is gone of a bucket."""

    window_s: int
    ticks: int
    """Of one bucket."""
    size: int
    """Buckets; the newest one is not complete yet."""


RINGS: Final = (Ring(60, 1, 6), Ring(600, 6, 10), Ring(3600, 30, 12), Ring(86400, 360, 24))
"""From the finest; each one's buckets are made of whole buckets of the one before."""


class Counted(NamedTuple):
    """One counter; `field` None is the number of distinct called numbers."""

    kind: Kind
    field: Field | None
    ring: int


def _names() -> dict[str, Counted]:
    return {
        f"{kind.name.lower()}_{DISTINCT if field is None else field.name.lower()}_{ring.window_s}s": Counted(
            kind, field, place
        )
        for kind in Kind
        for field in (*Field, None)
        for place, ring in enumerate(RINGS)
    }


NAMES: Final[Mapping[str, Counted]] = MappingProxyType(_names())
"""`caller_attempts_60s`, `prefix_short_calls_3600s`, `route_distinct_called_86400s` and all the others."""
