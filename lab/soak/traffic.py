"""Steady calls through an engine: a carrier that calls, subscribers who answer, and what became of each."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

from engine.call.leg_events import LegAnswered, LegEnded, LegEvent, LegHungUp, LegRefused
from engine.call.legs import IncomingLeg, Leg, Listener, OutgoingLeg
from engine.model.address import Address
from engine.model.media import Codec
from engine.runtime.user_agent import UserAgent
from engine.sdp import build_answer, build_offer, parse
from engine.sip.uri import NameAddr, Uri

PCMA = Codec("PCMA", 8)
_numbers = itertools.count()
"""Each call has a caller of its own, over all runs of this process."""
RTP_PORT = 40_000
"""Named in descriptions; nothing is sent there, since media is direct."""


class Traffic:
    """Calls from `carrier` to subscribers at `access` through the engine, each with a caller of its own."""

    def __init__(self, carrier: str, access: str, engine: Address, *, hold_s: float = 0.5) -> None:
        """Raises OSError where an address cannot be bound."""
        self._engine = engine
        self._hold_s = hold_s
        self._loop = asyncio.get_running_loop()
        self._carrier = UserAgent(Address(carrier, 5060), lambda leg: None)
        self._access = UserAgent(Address(access, 5060), self._answer)
        self._open = 0
        self._quiet = asyncio.Event()
        self.callers: list[str] = []
        """The number of each call placed."""
        self.statuses: Counter[int] = Counter()
        """Final status → calls."""
        self.cut = 0
        """Calls that the engine hung up."""

    async def run(self, seconds: float, interval_s: float = 0.1) -> None:
        """Place a call each `interval_s`."""
        until = self._loop.time() + seconds
        while self._loop.time() < until:
            self.place()
            await asyncio.sleep(interval_s)

    def place(self, number: str = "13900000002") -> None:
        caller = f"+861380{next(_numbers):07d}"
        self.callers.append(caller)
        self._open += 1
        self._quiet.clear()

        def begin() -> None:
            me = NameAddr(None, Uri("sip", caller, self._carrier.address.host))
            self._carrier.core.call(self._engine, number, me, self._offer, self._heard)

        self._carrier.act(begin)

    async def finish(self, limit_s: float = 60.0) -> None:
        """Wait until every call is over. Raises TimeoutError."""
        async with asyncio.timeout(limit_s):
            while self._open:
                self._quiet.clear()
                await self._quiet.wait()

    def close(self) -> None:
        self._carrier.close()
        self._access.close()

    # --- the caller ---

    def _offer(self, leg: OutgoingLeg) -> bytes:
        return build_offer(self._carrier.address.host, RTP_PORT, (PCMA,), leg.next_origin())

    def _heard(self, leg: Leg, event: LegEvent) -> None:
        match event:
            case LegAnswered():
                self.statuses[200] += 1
                leg.acknowledge()
                self._loop.call_later(self._hold_s, self._hang_up, leg)
            case LegRefused(status):
                self.statuses[status] += 1
                self._over()
            case LegHungUp():
                self.cut += 1
                self._over()
            case LegEnded():
                self._over()
            case _:
                pass

    def _hang_up(self, leg: Leg) -> None:
        if not leg.ended:
            self._carrier.act(leg.hang_up)

    def _over(self) -> None:
        self._open -= 1
        self._quiet.set()

    # --- the callee ---

    def _answer(self, leg: IncomingLeg) -> Listener:
        def answer() -> None:
            host = self._access.address.host
            body = build_answer(parse(leg.request.body), host, RTP_PORT, PCMA, leg.next_origin())
            leg.answer(body)

        self._loop.call_soon(lambda: self._access.act(answer))
        return lambda leg, event: None
