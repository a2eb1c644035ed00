"""What every process of ours does first: the loop and signals. Logs are `engine.logs`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop


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
    return uvloop.run(main)
