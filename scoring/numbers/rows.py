"""What the risk table says about a number, and which of several statements counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from math import inf
from typing import Final

import msgspec


class Level(StrEnum):
    """How risky a number is held to be."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


LEVELS: Final = (Level.GREEN, Level.YELLOW, Level.RED)
"""From harmless to certain; the position is the level's code in the hot table."""


class Action(StrEnum):
    """What screening does with a call, mildest first."""

    ALLOW = "allow"
    LABEL = "label"
    WARN = "warn"
    CHALLENGE = "challenge"
    MONITOR = "monitor"
    DIVERT = "divert"
    REJECT = "reject"

    @property
    def blocks(self) -> bool:
        """Whether the called party is never reached."""
        return self in BLOCKING


BLOCKING: Final = (Action.DIVERT, Action.REJECT)
"""Those by which the called party is never reached."""

ACTIONS: Final = tuple(Action)
"""The position plus one is the action's code in the hot table; 0 is none."""


class Source(StrEnum):
    """Who put a row into the risk table."""

    COURT = "court"
    POLICE = "police"
    OPERATOR = "operator"
    PERSON = "person"
    IMPORT = "import"
    PARTNER = "partner"
    MODEL = "model"


class Precedence(IntEnum):
    """Order in which table entries count, smallest first."""

    ORDER = 1  # a court's or the police's block
    OPERATOR_ALLOW = 2
    PERMANENT = 3
    TEMPORARY = 4
    WILDCARD = 5
    MODEL = 6


PRECEDENCES: Final = (Precedence.MODEL, *Precedence)
"""By code; there is no code 0."""


@dataclass(frozen=True, slots=True)
class RiskRow:
    """One statement of the risk table, as the store keeps it and the hot table is built from.

    `number` is canonical text (`Number.display`), or a prefix ending in `*` such as `+8617*`.
    `row` is the store's id of it, unique over all tenants, at least 1.
    `confirmed` says that a person answers for it, so that it may stand without an expiry.
    """

    tenant: str
    number: str
    level: Level
    action: Action | None
    reason: str
    expires: datetime | None
    source: Source
    row: int
    confirmed: bool = False

    def __post_init__(self) -> None:
        if self.expires is not None and self.expires.tzinfo is None:
            raise ValueError(f"the expiry of row {self.row} has no offset from UTC")

    @property
    def wildcard(self) -> bool:
        return self.number.endswith("*")

    @property
    def answered(self) -> bool:
        """Whether somebody answers for it: a person who confirmed it, a court, or the police."""
        return self.confirmed or self.source in (Source.COURT, Source.POLICE)

    @property
    def precedence(self) -> Precedence:
        """Where the row stands. A number outranks a wildcard; only an order for a range stays an order."""
        if self.source in (Source.COURT, Source.POLICE) and self.level is Level.RED:
            return Precedence.ORDER
        if self.source is Source.MODEL and not self.confirmed:
            return Precedence.MODEL
        if self.wildcard:
            return Precedence.WILDCARD
        if self.level is Level.GREEN and self.answered:
            return Precedence.OPERATOR_ALLOW
        if self.expires is None and self.answered:
            return Precedence.PERMANENT
        return Precedence.TEMPORARY


class HotEntry(msgspec.Struct, frozen=True, gc=False):
    """The one statement that counts for a number at a moment.

    `action` None leaves the choice to the policy. `confirmed` says that somebody answers for it.
    `matched` is how many digits matched: the whole number's, or the prefix's of a wildcard.
    """

    level: Level
    action: Action | None
    expires: datetime | None
    reason: str
    row: int
    wildcard: bool
    confirmed: bool
    precedence: Precedence
    matched: int = 0

    @property
    def weight(self) -> tuple[int, int, int, float]:
        """Sort key, the weightiest first: precedence, the closer match, the higher level, the longer stay."""
        stay = inf if self.expires is None else self.expires.timestamp()
        return (self.precedence, -self.matched, -LEVELS.index(self.level), -stay)


def entry_of(row: RiskRow) -> HotEntry:
    """The row as an entry."""
    return HotEntry(
        level=row.level,
        action=row.action,
        expires=row.expires,
        reason=row.reason,
        row=row.row,
        wildcard=row.wildcard,
        confirmed=row.answered,
        precedence=row.precedence,
        matched=len(row.number.strip("+*")),
    )


def strongest(entries: Iterable[HotEntry | None]) -> HotEntry | None:
    """The weightiest entry; the first of equals."""
    return min(
        (entry for entry in entries if entry is not None), key=lambda entry: entry.weight, default=None
    )
