"""What the engine holds of a media worker: a place to send commands, a callback for events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.model.media import AnyMediaCommand, AnyMediaEvent

OnMediaEvent = Callable[[AnyMediaEvent], None]


class MediaPort(Protocol):
    """One media worker (or, later, another media host) as the engine sees it.

    Events come through the callback given at the start, on the event loop, never from inside `send`.
    """

    def send(self, command: AnyMediaCommand) -> None:
        """Queue a command; never blocks, never raises for a worker's trouble.

        Commands of one session are carried out in order. The queue is bounded: a command that finds it
        full, or no worker at all, is dropped and answered with `MediaFailed` of reason `overload` or
        `no_worker`.
        """
        ...

    async def close(self) -> None:
        """End every session (captures are closed first) and the worker. Idempotent."""
        ...
