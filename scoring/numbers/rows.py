"""What the risk table says about a number, and which of several statements counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Level(StrEnum):
    """How risky a number is held to be."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


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
        return self in (Action.DIVERT, Action.REJECT)


class Source(StrEnum):
    """Who put a row into the risk table."""

    COURT = "court"
    POLICE = "police"
    OPERATOR = "operator"
    PERSON = "person"
    IMPORT = "import"
    PARTNER = "partner"
    MODEL = "model"

    @property
    def human(self) -> bool:
        """Whether a person answerable to the tenant entered it; importing a file is such an act."""
        return self in (Source.OPERATOR, Source.PERSON, Source.IMPORT)


class Precedence(IntEnum):
    """Order in which table entries count, smallest first (DESIGN, Screening)."""

    ORDER = 1  # a court's or the police's block
    OPERATOR_ALLOW = 2
    PERMANENT = 3
    TEMPORARY = 4
    WILDCARD = 5
    MODEL = 6


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

    @property
    def wildcard(self) -> bool:
        return self.number.endswith("*")

    @property
    def precedence(self) -> Precedence:
        """Where the row stands. A wildcard allows a range, so a named number in the range outranks it;
        an order stays an order."""
        if self.source in (Source.COURT, Source.POLICE) and self.level is Level.RED:
            return Precedence.ORDER
        if self.source is Source.MODEL and not self.confirmed:
            return Precedence.MODEL
        if self.wildcard:
            return Precedence.WILDCARD
        if self.level is Level.GREEN and (self.confirmed or self.source.human):
            return Precedence.OPERATOR_ALLOW
        if self.expires is None and (self.confirmed or self.source.human):
            return Precedence.PERMANENT
        return Precedence.TEMPORARY


@dataclass(frozen=True, slots=True)
class HotEntry:
    """The one statement that counts for a number at a moment.

    `action` None leaves the choice to the policy. `confirmed` is a human's (or a court's) confirmation.
    """

    level: Level
    action: Action | None
    expires: datetime | None
    reason: str
    row: int
    wildcard: bool
    confirmed: bool
    precedence: Precedence


def strongest(entries: Iterable[HotEntry | None]) -> HotEntry | None:
    """The entry that outranks the others; the first of equals."""
    best: HotEntry | None = None
    for entry in entries:
        if entry is not None and (best is None or entry.precedence < best.precedence):
            best = entry
    return best
