"""Looking at files and figures again and again, for as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from engine.app.switches import SwitchError
from engine.model.moments import next_moment

LOOK_S: Final = 0.25
"""What people change counts within a second, with room for what is read in a thread."""
Look = Callable[[], Coroutine[Any, Any, None] | None]
"""Looks at once. What takes longer is returned, and over before the same look is asked again."""
Alarm = Callable[[str, str], None]
_log = logging.getLogger(__name__)


class Looking:
    """Asks each look every `interval_s`, all in one wake-up of the running loop, until closed.

    A fault never ends it, and is told (slug, detail) when it begins or changes.
    """

    def __init__(self, looks: Sequence[Look], alarm: Alarm, interval_s: float = LOOK_S) -> None:
        self._watches = [_Watch(look, alarm) for look in looks]
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._look()

    def _look(self) -> None:
        for watch in self._watches:
            watch.look(self._loop)
        self._timer = self._loop.call_at(next_moment(self._loop.time(), self._interval_s), self._look)

    async def close(self) -> None:
        self._timer.cancel()
        tasks = [watch.task for watch in self._watches if watch.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Watch:
    """One look, and what was told of it."""

    def __init__(self, look: Look, alarm: Alarm) -> None:
        self._look = look
        self._alarm = alarm
        self._told = ("", "")
        self.task: asyncio.Task[None] | None = None
        """What the last look found worth more time."""

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.task is not None:
            return
        try:
            longer = self._look()
        except Exception as error:
            self._tell(error)
        else:
            if longer is None:
                self._told = ("", "")
            else:
                self.task = loop.create_task(self._finish(longer))

    async def _finish(self, longer: Coroutine[Any, Any, None]) -> None:
        try:
            await longer
        except Exception as error:
            self._tell(error)
        else:
            self._told = ("", "")
        finally:
            self.task = None

    def _tell(self, error: Exception) -> None:
        known = isinstance(error, SwitchError)
        fault = (
            ("switches_unreadable", str(error)) if known else ("internal", f"{type(error).__name__}: {error}")
        )
        if fault == self._told:
            return
        self._told = fault
        _log.error("a look failed: %s", error, exc_info=None if known else error)
        self._alarm(*fault)
