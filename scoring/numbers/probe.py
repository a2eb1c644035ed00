"""From the user part of a URI as it came off the wire to what the hot table says of it, at little cost.

For whoever wants to know of a listed number before anything is parsed. The same answer as by
`Numbering.of_user` and a look-up; only the way is shorter for the spellings that nearly all calls use.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

from scoring.numbers.number import Number, NumberKind
from scoring.numbers.numbering import Numbering
from scoring.numbers.rows import HotEntry

REMEMBERED: Final = 20_000
"""Spellings whose numbers are kept; a campaign is many calls of few numbers."""
_SPELLING_MAX: Final = 32

_PLAIN_CN: Final = re.compile(rb"(?:\+86)?(1(?:3[0-9]|5[0-35-9]|8[0-9])[0-9]{8})")
"""Mobile numbers that are valid whatever `phonenumbers` learns, and begin with no code of another kind."""


class Table(Protocol):
    """The hot table, as far as it matters here."""

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None: ...


class Probe:
    """Looks numbers up by their spelling. Kept for as long as its numbering and table."""

    def __init__(
        self, numbering: Numbering, table: Table, tenant: str, *, remembered: int = REMEMBERED
    ) -> None:
        self._numbering = numbering
        self._table = table
        self._tenant = tenant
        self._plain = _plain(numbering)
        self._cached: Callable[[bytes], Number] = lru_cache(remembered)(self._read)

    def number(self, user: bytes) -> Number:
        """The number in an unescaped user part (`Uri.user`, as bytes); never raises."""
        # Long ones stay out: what is kept is bounded in bytes too, and peers choose the texts.
        return self._cached(user) if len(user) <= _SPELLING_MAX else self._read(user)

    def probe(self, user: bytes, at: datetime) -> HotEntry | None:
        """What the table says of it `at` this moment (UTC, aware).

        None is no verdict: escapes are not undone here, and a spelling that cannot be read is not listed.
        """
        return self._table.lookup(self._tenant, self.number(user), at)

    def _read(self, user: bytes) -> Number:
        plain = self._plain.fullmatch(user) if self._plain is not None else None
        if plain is not None:
            return Number(NumberKind.E164, f"86{plain[1].decode()}", user.decode())
        return self._numbering.of_user(user.decode("utf-8", "replace"))


def _plain(numbering: Numbering) -> "re.Pattern[bytes] | None":
    """The spellings that can be read at a glance under this plan; none where it has codes as long."""
    if not numbering.mainland or any(len(code) >= 11 for code in numbering.short_codes):
        return None
    return _PLAIN_CN
