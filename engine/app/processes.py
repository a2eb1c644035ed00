"""What every process of ours does first: the loop and signals. Logs are `engine.logs`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, Final

import uvloop

SWITCH_S: Final = 0.0005
"""How long a thread that writes or fetches may hold up the loop: the usual 5 ms would be a call's delay."""


class Stop(asyncio.Event):
    """Set by the first SIGTERM or SIGINT; `hurry` by the second: what takes time is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.hurry = asyncio.Event()

    def set(self) -> None:
        if self.is_set():
            self.hurry.set()
        super().set()


def stop_event() -> Stop:
    """Set by SIGTERM or SIGINT."""
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run to the end on uvloop; returns the exit code. What it writes is not for other users to read."""
    os.umask(0o027)
    sys.setswitchinterval(SWITCH_S)
    return uvloop.run(main)
