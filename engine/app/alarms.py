"""Alarms from beside the calls, from any thread, to those who tell people."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

JOURNAL_FAILING: Final = "journal_failing"
"""The one alarm that the journal cannot carry while it matters."""

_log = logging.getLogger(__name__)

Tell = Callable[[str, str], None]
"""Slug and detail."""


class Alarms:
    """Until somebody listens they wait; the log hears of each at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tell: Tell | None = None
        self._early: list[tuple[str, str]] = []

    def listen(self, tell: Tell) -> None:
        """From now on `tell` gets them, on the loop, first those that waited."""
        self._tell = tell
        early, self._early = self._early, []
        for slug, detail in early:
            tell(slug, detail)

    def raise_alarm(self, slug: str, detail: str) -> None:
        """From any thread."""
        _log.warning("%s: %s", slug, detail)
        self._loop.call_soon_threadsafe(self._pass_on, slug, detail)

    def _pass_on(self, slug: str, detail: str) -> None:
        if self._tell is None:
            self._early.append((slug, detail))
        else:
            self._tell(slug, detail)
