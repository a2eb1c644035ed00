"""Whether a trunk's target answers: a table fed by calls and by OPTIONS (RFC 3261 §11).

Any response but 408 and 503 shows that somebody is there; those two, silence and a broken connection count
against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from engine.model.trunk_sections import HealthSection

FAILURES: Final = frozenset({408, 503})


class State(StrEnum):
    UP = "up"
    SUSPECT = "suspect"
    """It has failed, but not often enough in a row."""
    DOWN = "down"
    """Calls go elsewhere, unless there is nowhere else."""
    TRIAL = "trial"
    """Down, and without OPTIONS: calls may find out whether it still is."""


class Input(StrEnum):
    ALIVE = "a response"
    ALIVE_ENOUGH = "a response, the last of `recoveries`"
    FAILED = "none, or 408, or 503"
    FAILED_ENOUGH = "none, or 408, or 503, the last of `failures`"
    RETRY = "`retry_s` have passed"


class Row(NamedTuple):
    state: State
    tells: bool = False
    """Whether an event says that it is up or down now."""


S, I = State, Input  # noqa: E741 (a table is read by its columns)

TABLE: Final[Mapping[tuple[State, Input], Row]] = MappingProxyType(
    {
        (S.UP, I.FAILED): Row(S.SUSPECT),
        (S.UP, I.FAILED_ENOUGH): Row(S.DOWN, tells=True),
        (S.UP, I.ALIVE): Row(S.UP),
        (S.UP, I.ALIVE_ENOUGH): Row(S.UP),
        (S.SUSPECT, I.FAILED): Row(S.SUSPECT),
        (S.SUSPECT, I.FAILED_ENOUGH): Row(S.DOWN, tells=True),
        (S.SUSPECT, I.ALIVE): Row(S.UP),
        (S.SUSPECT, I.ALIVE_ENOUGH): Row(S.UP),
        (S.DOWN, I.FAILED): Row(S.DOWN),
        (S.DOWN, I.FAILED_ENOUGH): Row(S.DOWN),
        (S.DOWN, I.ALIVE): Row(S.DOWN),
        (S.DOWN, I.ALIVE_ENOUGH): Row(S.UP, tells=True),
        (S.DOWN, I.RETRY): Row(S.TRIAL),
        (S.TRIAL, I.FAILED): Row(S.DOWN),
        (S.TRIAL, I.FAILED_ENOUGH): Row(S.DOWN),
        (S.TRIAL, I.ALIVE): Row(S.TRIAL),
        (S.TRIAL, I.ALIVE_ENOUGH): Row(S.UP, tells=True),
    }
)
IMPOSSIBLE: Final = frozenset({(S.UP, I.RETRY), (S.SUSPECT, I.RETRY), (S.TRIAL, I.RETRY)})
"""The time to retry runs in DOWN alone."""


class Health:
    """One target's. Each method returns whether it has gone up or down, so that it is told."""

    __slots__ = ("_failures", "_recoveries", "_section", "retry_at", "state")

    def __init__(self, section: HealthSection) -> None:
        self._section = section
        self._failures = 0
        self._recoveries = 0
        self.state = State.UP
        self.retry_at: float | None = None
        """When it may be tried although it is down; with OPTIONS it need not be."""

    @property
    def usable(self) -> bool:
        return self.state is not State.DOWN

    def alive(self) -> bool:
        """Somebody has answered."""
        self._failures = 0
        self._recoveries += 1
        enough = self._recoveries >= self._section.recoveries
        return self._feed(Input.ALIVE_ENOUGH if enough else Input.ALIVE, 0.0)

    def failed(self, now: float) -> bool:
        """Nobody has, or with 408 or 503."""
        self._recoveries = 0
        self._failures += 1
        enough = self._failures >= self._section.failures
        return self._feed(Input.FAILED_ENOUGH if enough else Input.FAILED, now)

    def retry(self, now: float) -> None:
        """`retry_at` has come."""
        self._feed(Input.RETRY, now)

    def _feed(self, given: Input, now: float) -> bool:
        row = TABLE[self.state, given]
        self.state = row.state
        self.retry_at = None
        if row.state is State.DOWN and not self._section.options_s:
            self.retry_at = now + self._section.retry_s
        return row.tells
