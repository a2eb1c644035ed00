"""The cyclic collector of an engine worker: short looks at new objects, and a whole one when nobody talks.

Calls are acyclic: reference counts free what they leave (a test holds that). What has outlived one look at
the youngest generation is live calls and transactions, which later looks would scan again and again for
nothing, tens of milliseconds at a time. So it is put out of the collector's sight at once; a cycle among it
is found by the whole look, which comes only while nothing is held, of calls that are up or of those before.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

WHOLE_EVERY_S: Final = 600.0
GROWN: Final = 1_000_000
"""A whole look takes a tenth of a second and more: it comes where so many objects live beyond those after the
last one, some hundred megabytes. What is remembered of numbers and callers, and full, is a part of that.
"""
_ALLOCATIONS: Final = 10_000
"""New objects between two looks at the youngest: at most so many are scanned."""
_NEVER: Final = 1_000_000_000


class Collector(AbstractContextManager["Collector"]):
    """In force from `with` on, for the whole process."""

    def __init__(self, busy: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._busy = busy
        self._clock = clock
        self._whole_at = clock()

    def __enter__(self) -> Collector:
        self._before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        self._lived = gc.get_freeze_count()
        gc.set_threshold(_ALLOCATIONS, _NEVER, _NEVER)
        gc.callbacks.append(_looked)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gc.callbacks.remove(_looked)
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def look(self) -> None:
        """Put what lives out of sight; collect everything, if it has grown and nobody would notice.

        To be asked a few times a second. The interpreter counts objects that come less those that go, so that
        by its count a busy worker would be looked at far too seldom, and then for too long.
        """
        gc.freeze()
        now = self._clock()
        if now - self._whole_at < WHOLE_EVERY_S or self._busy():
            return
        self._whole_at = now
        if gc.get_freeze_count() < self._lived + GROWN:
            return
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._lived = gc.get_freeze_count()


def _looked(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 0:
        gc.freeze()
