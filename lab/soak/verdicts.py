"""What a long run must show: every call with one end, no event lost or doubled, memory flat. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.model.events import Alarm, CallEnded, CallStarted, Record

WARM_UP = 0.2
"""Of the calls: caches, counters and pools fill meanwhile."""
FLAT_BYTES_PER_CALL = 8.0
"""A rise of memory below that is none: 8 MB over a million calls."""
NOISE_MB = 6.0
"""Nor is one that makes no more than this in all: a short run tells no more."""

Boot = tuple[str, int]
"""Node and its start: within one events are numbered without a gap."""


class Ledger:
    """Reads the journal's records in their order, each once, and counts what does not add up."""

    def __init__(self) -> None:
        self.calls = 0
        """That began."""
        self.events: Counter[Boot] = Counter()
        self.lost = 0
        """Numbers left out between two events."""
        self.doubled = 0
        """Events whose number had come already."""
        self.begun_again = 0
        self.ended_again = 0
        """Ends of calls that had ended or never began."""
        self.alarms: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self._last: dict[Boot, int] = {}
        self._open: set[str] = set()
        self._known: set[str] = set()

    @property
    def open(self) -> int:
        """Calls without an end."""
        return len(self._open)

    def take(self, records: Iterable[Record]) -> None:
        for record in records:
            self._number((record.id.node, record.id.boot), record.id.seq)
            event = record.event
            if isinstance(event, CallStarted):
                self._begun(str(event.call_id))
            elif isinstance(event, CallEnded):
                self._ended(str(event.call_id), str(event.outcome))
            elif isinstance(event, Alarm):
                self.alarms.append(event.slug)

    def _number(self, boot: Boot, seq: int) -> None:
        last = self._last.get(boot)
        self.events[boot] += 1
        if last is not None and seq <= last:
            self.doubled += 1
            return
        if last is not None:
            self.lost += seq - last - 1
        self._last[boot] = seq

    def _begun(self, call: str) -> None:
        self.begun_again += call in self._known
        self.calls += call not in self._known
        self._known.add(call)
        self._open.add(call)

    def _ended(self, call: str, outcome: str) -> None:
        self.ended_again += call not in self._open
        self._open.discard(call)
        self.outcomes[outcome] += 1


@dataclass(frozen=True, slots=True)
class Sample:
    """The engine after so many calls."""

    calls: int
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Rise:
    """Memory after the warm-up: by a straight line through the samples."""

    bytes_per_call: float
    mb: float
    """Over all calls after the warm-up."""

    @property
    def flat(self) -> bool:
        return self.bytes_per_call <= FLAT_BYTES_PER_CALL or self.mb <= NOISE_MB


def rise(samples: Sequence[Sample]) -> Rise | None:
    """Least squares over the samples behind `WARM_UP`; None where fewer than three are left."""
    most = max((sample.calls for sample in samples), default=0)
    warm = [sample for sample in samples if sample.calls >= most * WARM_UP]
    if len(warm) < 3:
        return None
    mean_calls = sum(sample.calls for sample in warm) / len(warm)
    mean_mb = sum(sample.rss_mb for sample in warm) / len(warm)
    spread = sum((sample.calls - mean_calls) ** 2 for sample in warm)
    together = sum((sample.calls - mean_calls) * (sample.rss_mb - mean_mb) for sample in warm)
    slope_mb = together / spread if spread else 0.0
    return Rise(slope_mb * 1e6, slope_mb * (warm[-1].calls - warm[0].calls))


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store has."""

    events: Mapping[Boot, int]
    calls: int
    open: int
    """Calls without an end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Everything the verdict is made from, once the run is over and quiet."""

    placed: int
    """Calls that the load's side began."""
    went_wrong: Mapping[str, int]
    """Kind → calls that did not go as they should; those with lost packets are not asked."""
    ledger: Ledger
    stored: Stored
    left: Mapping[str, int]
    """What the engine still holds: all zero at rest."""
    memory: Rise | None
    alarms: Sequence[str] = ()
    """Slugs that the run's outages are to raise, in order."""


def faults(end: Ending) -> list[str]:
    """A line for each thing that is not as it must be; empty where all is well."""
    ledger = end.ledger
    found = [f"{count} calls of kind {kind} went wrong" for kind, count in end.went_wrong.items() if count]
    for count, what in (
        (ledger.open, "calls have no end in the journal"),
        (ledger.begun_again, "calls begin twice in the journal"),
        (ledger.ended_again, "ends in the journal have no call, or a second one"),
        (ledger.lost, "events are missing in the journal"),
        (ledger.doubled, "events are in the journal twice"),
        (end.stored.open, "calls have no end in the store"),
    ):
        if count:
            found.append(f"{count} {what}")
    for what, count in (("journal", ledger.calls), ("store", end.stored.calls)):
        if count != end.placed:
            found.append(f"{end.placed} calls were placed, {count} are in the {what}")
    for boot in sorted(ledger.events.keys() | end.stored.events.keys()):
        written, stored = ledger.events.get(boot, 0), end.stored.events.get(boot, 0)
        if written != stored:
            found.append(f"{boot[0]} boot {boot[1]}: {written} events in the journal, {stored} in the store")
    found += [f"the engine still holds {count} {kind}" for kind, count in end.left.items() if count]
    if list(end.alarms) != ledger.alarms:
        found.append(f"alarms {', '.join(ledger.alarms) or 'none'}; wanted {', '.join(end.alarms) or 'none'}")
    if end.memory is not None and not end.memory.flat:
        found.append(
            f"memory rises by {end.memory.bytes_per_call:.1f} bytes a call ({end.memory.mb:.1f} MB in all);"
            f" at most {FLAT_BYTES_PER_CALL:g} bytes or {NOISE_MB:g} MB are taken for flat"
        )
    return found
