"""The 20 ms clock of endpoints something is made for: prompts, tones, mixes. It stands still without any."""

from __future__ import annotations

import asyncio
import time

from engine.media.endpoint import Endpoint

TICK_S = 0.02
MOST_TICKS_BEHIND = 5
"""After a longer stall frames are left out rather than sent in a burst."""


class Ticker:
    """Calls `Endpoint.tick` for every endpoint added, every 20 ms."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._endpoints: dict[Endpoint, None] = {}
        self._running = False
        self._due = 0.0

    def add(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint] = None
        if not self._running:
            self._running = True
            self._due = time.monotonic()
            self._loop.call_soon(self._tick)

    def discard(self, endpoint: Endpoint) -> None:
        self._endpoints.pop(endpoint, None)

    def _tick(self) -> None:
        now = time.monotonic()
        behind = int((now - self._due) / TICK_S)
        if behind > MOST_TICKS_BEHIND:
            self._due += behind * TICK_S
        while self._due <= now:
            for endpoint in list(self._endpoints):
                endpoint.tick(now)
            self._due += TICK_S
        if self._endpoints:
            self._loop.call_later(max(0.0, self._due - time.monotonic()), self._tick)
        else:
            self._running = False
