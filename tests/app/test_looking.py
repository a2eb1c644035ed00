"""Looks share their moments; one that fails is told once, and is never the last."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence

from engine.app.looking import Looking
from engine.app.switches import SwitchError

INTERVAL_S = 0.001


class Turns:
    """A look that is over at once; `enough` when it was asked five times."""

    def __init__(self) -> None:
        self.enough = asyncio.Event()
        self._count = 0

    def turn(self) -> None:
        self._count += 1
        if self._count == 5:
            self.enough.set()


SWITCH = SwitchError("switches.json: no")
LOOP = OSError(40, "Too many levels of symbolic links")
INTERNAL = ("internal", "OSError: [Errno 40] Too many levels of symbolic links")


async def look_at(outcomes: Sequence[Exception | None], *, longer: bool) -> list[tuple[str, str]]:
    """What was told while looking gave these outcomes, at once or after longer work."""
    told: list[tuple[str, str]] = []
    left = list(outcomes)
    done = asyncio.Event()

    def outcome() -> None:
        if not left:
            done.set()
        elif (fault := left.pop(0)) is not None:
            raise fault

    async def later() -> None:
        await asyncio.sleep(0)
        outcome()

    looking = Looking(
        [later if longer else outcome], lambda slug, detail: told.append((slug, detail)), INTERVAL_S
    )
    await done.wait()
    await looking.close()
    return told


async def test_a_fault_is_told_when_it_begins() -> None:
    for longer in (False, True):
        assert await look_at([None, LOOP, LOOP, None, LOOP], longer=longer) == [INTERNAL] * 2


async def test_a_switch_that_cannot_be_read_has_its_own_name() -> None:
    for longer in (False, True):
        assert await look_at([SWITCH, SWITCH, ValueError("other"), SWITCH], longer=longer) == [
            ("switches_unreadable", "switches.json: no"),
            ("internal", "ValueError: other"),
            ("switches_unreadable", "switches.json: no"),
        ]


async def test_the_others_wait_for_no_look_that_takes_its_time() -> None:
    may_end, looked = asyncio.Event(), Turns()
    ended = asyncio.Event()
    begun = 0

    async def slow() -> None:
        await may_end.wait()
        ended.set()

    def look() -> Coroutine[object, object, None] | None:
        nonlocal begun
        if begun:
            return None
        begun += 1
        return slow()

    looking = Looking([look, looked.turn], lambda slug, detail: None, INTERVAL_S)
    await looked.enough.wait()
    assert begun == 1
    assert not ended.is_set()
    may_end.set()
    await ended.wait()
    await looking.close()


async def test_a_look_is_not_asked_while_it_works_and_its_work_ends_with_us() -> None:
    begun, cancelled = 0, False
    looked = Turns()

    async def endless() -> None:
        nonlocal begun, cancelled
        begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    looking = Looking([endless, looked.turn], lambda slug, detail: None, INTERVAL_S)
    await looked.enough.wait()
    await looking.close()
    assert (begun, cancelled) == (1, True)
