"""A look that fails is told once, and is never the last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.app.looking import keep_looking
from engine.app.switches import SwitchError


async def look_at(outcomes: Sequence[Exception | None]) -> list[tuple[str, str]]:
    """What was told while looking gave these outcomes, one after the other."""
    told: list[tuple[str, str]] = []
    left = list(outcomes)

    async def look() -> None:
        if not left:
            raise asyncio.CancelledError
        outcome = left.pop(0)
        if outcome is not None:
            raise outcome

    with pytest.raises(asyncio.CancelledError):
        await keep_looking(look, 0, lambda slug, detail: told.append((slug, detail)))
    return told


async def test_a_fault_is_told_when_it_begins() -> None:
    loop = OSError(40, "Too many levels of symbolic links")
    assert (
        await look_at([None, loop, loop, None, loop])
        == [("internal", "OSError: [Errno 40] Too many levels of symbolic links")] * 2
    )


async def test_a_switch_that_cannot_be_read_has_its_own_name() -> None:
    fault = SwitchError("switches.json: no")
    assert await look_at([fault, fault, ValueError("other"), fault]) == [
        ("switches_unreadable", "switches.json: no"),
        ("internal", "ValueError: other"),
        ("switches_unreadable", "switches.json: no"),
    ]
