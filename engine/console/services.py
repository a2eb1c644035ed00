"""What the console is given: it opens no database, file or bus connection of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from engine.console.cards import Cards
from engine.console.live import LiveFeed
from engine.model.config import Config
from engine.model.ids import NumberId, TenantId
from engine.store.calls import CallRepository
from engine.store.entries import NewRisk
from engine.store.recordings import RecordingRepository
from engine.store.risk import RiskRepository
from recordings.archive import Archive
from scoring.numbers import Numbering, Source, number_id


class RiskRefused(Exception):
    """A change of the risk table that is not done; its text says why, in English."""


class RiskService(Protocol):
    """Changes of the risk table, written, audited and sent to every worker."""

    async def add(self, new: NewRisk, by: str) -> None:
        """Raises RiskRefused."""

    async def remove(self, number: str, source: Source, by: str, reason: str) -> None:
        """`number` is canonical, or a prefix with its `*`. Raises RiskRefused, as when the row is gone."""


@dataclass(frozen=True, slots=True)
class SwitchState:
    on: bool
    by: str = ""
    reason: str = ""
    expires: datetime | None = None


class Switches(Protocol):
    """The kill switch: while it is on, every block is a label. A turn is also told to the feed."""

    def state(self) -> SwitchState: ...

    def turn_on(self, by: str, reason: str, expires: datetime) -> None: ...

    def turn_off(self, by: str, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    config: Config
    calls: CallRepository
    recordings: RecordingRepository
    risk: RiskRepository
    risk_service: RiskService
    archive: Archive
    numbering: Numbering
    number_key: bytes
    """Keys the number_id, as everywhere in the deployment."""
    switches: Switches
    feed: LiveFeed
    now: Callable[[], datetime]
    """Wall clock, aware."""
    cards: Cards
    """Signs what blocked callers are told."""
    metrics: Callable[[], Awaitable[bytes]] | None = None
    """The centre's figures as Prometheus text."""
    requests: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Method, route and class of status → requests so far; the console counts them."""
    recording_key: bytes | None = None
    """Opens sealed recordings."""

    @property
    def tenant(self) -> TenantId:
        return TenantId(self.config.tenant)

    def number_id(self, text: str) -> NumberId:
        """The keyed id of a number in any spelling."""
        return NumberId(number_id(self.number_key, self.tenant, self.numbering.normalise(text)))
