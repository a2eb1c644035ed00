"""A mixture of calls by SIPp: answered, refused, given up, busy, not answered, and with lost packets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from lab.peers import scenarios, sipp
from lab.peers.ringward import Site
from lab.peers.scenarios import Scenario

NO_ANSWER_S = 2
_LOST_PERCENT = 5
_CALLERS = 500
"""Numbers that call: few, so that the counters of callers are soon full."""
_RED = "+86170"
_TALK_MS = 200
_LONGEST_S = 130.0
"""A call whose packets are lost may take two transactions' time-outs, 64·T1 each, and a call's own."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls of one sort. Its callees stand at a port of their own and have numbers of their own."""

    name: str
    share: float
    calling: Scenario
    called: Scenario | None
    port: int
    """Of caller and callee."""
    prefix: str
    """Called numbers, as dialled, begin so."""
    lost_percent: int = 0

    @property
    def trunk(self) -> str:
        return f"soak_{self.name}"

    @property
    def media_port(self) -> int:
        """SIPp takes this one and the next even one."""
        return 7000 + (self.port - 5060) * 10

    @property
    def sure(self) -> bool:
        """Every call goes as the scenario has it."""
        return not self.lost_percent


KINDS = (
    Kind("refused", 0.4, scenarios.refused(608), None, 5061, "13901"),
    Kind("answered", 0.3, scenarios.CALL, scenarios.ANSWERS, 5062, "13902"),
    Kind("given_up", 0.1, scenarios.CANCEL_RINGING, scenarios.RINGS_FOREVER, 5063, "13903"),
    Kind("busy", 0.1, scenarios.refused(486), scenarios.refuses("486 Busy Here"), 5064, "13904"),
    Kind("unanswered", 0.05, scenarios.refused(480), scenarios.RINGS_FOREVER, 5065, "13905"),
    Kind("lossy", 0.05, scenarios.CALL, scenarios.ANSWERS_REPEATS, 5066, "13906", _LOST_PERCENT),
)


def settings(site: Site) -> dict[str, str]:
    """What the engine must be told: a trunk to each kind's callees, no popups, a short ring."""
    found = {"popup.sip_message": "false", "sip.no_answer_s": str(NO_ANSWER_S)}
    for kind in KINDS:
        if kind.called is not None:
            place = f"{site.access}:{kind.port}"
            trunk = f"trunk.{kind.trunk}"
            found |= {
                f"{trunk}.side": "access",
                f"{trunk}.match": place,
                f"{trunk}.next_hop": place,
                f"{trunk}.prefixes": f"+86{kind.prefix}",
            }
    return found


def risk_table() -> str:
    """The callers that are refused."""
    rows = [f"{_RED}{n:08d},red,reject,police_list," for n in range(_CALLERS)]
    return "\n".join(["number,level,action,reason,expires", *rows, ""])


def split(calls: int, random_: random.Random, kinds: Iterable[Kind] = KINDS) -> dict[Kind, int]:
    """So many calls over the kinds, by shares that vary by up to half; their sum is `calls`."""
    weights = {kind: kind.share * random_.uniform(0.5, 1.5) for kind in kinds}
    total = sum(weights.values())
    counts = {kind: int(calls * weight / total) for kind, weight in weights.items()}
    first = next(iter(counts))
    counts[first] += calls - sum(counts.values())
    return counts


@dataclass(frozen=True, slots=True)
class Placed:
    calls: int
    wrong: int


async def place(site: Site, folder: Path, counts: dict[Kind, int], per_second: float) -> dict[Kind, Placed]:
    """Place all of them at `per_second` together, the kinds among each other; wait until they are over.

    Raises PeerError where SIPp cannot run.
    """
    total = sum(counts.values())
    chosen = {kind: count for kind, count in counts.items() if count}
    seconds = total / per_second
    async with AsyncExitStack() as stack:
        for kind in chosen:
            if kind.called is not None:
                load = sipp.Load(
                    pause_ms=10,
                    deadline_s=seconds * 2 + _LONGEST_S * 2,
                    trace=False,
                    lost_percent=kind.lost_percent,
                )
                line = sipp.Line(
                    site.access, kind.port, folder / f"{kind.name}-called", media_port=kind.media_port
                )
                await stack.enter_async_context(sipp.answering(kind.called, line, load))
        results = await asyncio.gather(
            *(_call(site, folder, kind, count, seconds) for kind, count in chosen.items())
        )
    return dict(zip(chosen, results, strict=True))


async def _call(site: Site, folder: Path, kind: Kind, count: int, seconds: float) -> Placed:
    numbers = folder / f"{kind.name}.csv"
    await asyncio.to_thread(numbers.write_text, _numbers(kind), encoding="ascii")
    load = sipp.Load(
        calls=count,
        per_second=count / seconds,
        pause_ms=_TALK_MS,
        deadline_s=seconds * 2 + _LONGEST_S,
        numbers=numbers,
        trace=False,
        lost_percent=kind.lost_percent,
    )
    line = sipp.Line(site.carrier, kind.port, folder / f"{kind.name}-calling", media_port=kind.media_port)
    result = await sipp.place_calls(kind.calling, line, f"{site.engine}:5060", "", "", load)
    return Placed(result.created, result.created - result.succeeded)


def _numbers(kind: Kind) -> str:
    """SIPp's rows, `called;caller`."""
    callers = _RED if kind.called is None else "+86138"
    rows = [f"{kind.prefix}{n:06d};{callers}{n:08d}" for n in range(_CALLERS)]
    return "\n".join(["RANDOM", *rows, ""])
