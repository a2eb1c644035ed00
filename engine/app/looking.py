"""Looking at files again and again, for as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from engine.app.switches import SwitchError

_log = logging.getLogger(__name__)


async def keep_looking(
    look: Callable[[], Awaitable[None]], interval_s: float, alarm: Callable[[str, str], None]
) -> None:
    """`look` until cancelled. A fault never ends it, and is told (slug, detail) when it begins or changes."""
    told = ("", "")
    while True:
        fault = ("", "")
        try:
            await look()
        except SwitchError as error:
            fault = ("switches_unreadable", str(error))
            if fault != told:
                _log.error("%s", error)
        except Exception as error:
            fault = ("internal", f"{type(error).__name__}: {error}")
            if fault != told:
                _log.exception("a file could not be looked at")
        if fault != told and fault[0]:
            alarm(*fault)
        told = fault
        await asyncio.sleep(interval_s)
