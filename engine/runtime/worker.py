"""An engine worker: the core on an event loop, with its socket, media port, journal and bus.

Everything the core asks for is done here at once or handed to something that does not block; nothing here
decides anything about calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Coroutine
from typing import Any, Protocol

from engine.call.core import CoreEffect, SipCore
from engine.call.table import State
from engine.call.timers import LATE_S
from engine.call.trunks import TrunkState
from engine.call.values import (
    CallCommand,
    CallRefused,
    CommandAnswered,
    Drain,
    EventRaised,
    LegOpened,
    MediaReported,
    MediaRequested,
    PopupPublished,
    PopupRequested,
    Resolved,
    ResolveRequested,
    ScreeningDecided,
    ScreeningRequested,
    TellLegs,
)
from engine.media.port import MediaPort
from engine.model.commands import Acknowledgement
from engine.model.config import Config
from engine.model.events import Alarm, AnyEvent, CallEnded
from engine.model.ids import TenantId
from engine.model.media import AnyMediaEvent
from engine.runtime.books import HAPPENED, RECEIVED, SENT, Books, EventLog, Trace
from engine.runtime.commands import Commands
from engine.runtime.resolver import Resolver
from engine.runtime.screener import Screener
from engine.runtime.tally import Tally
from engine.runtime.transports import Transports
from engine.sip.effects import Discarded, Send
from engine.sip.flow import Flow
from scoring.numbers import Numbering

TICK_S = LATE_S
"""Timers that come due within one tick are handled together, and what happened is told; T1 is ten of them."""
MOST_NOTES = 100
"""What so many messages and events leave to be told is told at once: nobody waits long for it."""
GOODBYE_S = 5.0
"""At the end, so long answers to our BYE are awaited."""
DRAIN_LOOK_S = 0.02
_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """The bus, as the worker sees it; each is awaited in a task of its own."""

    async def popup(self, requested: PopupRequested) -> str:
        """Publish; returns "acknowledged" at the broker's PUBACK, "off" without a bus."""
        ...

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None: ...


class EngineWorker:
    """One worker process's calls. `open` binds, `close` ends; inputs may come any time between."""

    def __init__(
        self,
        config: Config,
        core: SipCore,
        screener: Screener,
        numbering: Numbering,
        journal: EventLog,
        publisher: Publisher,
    ) -> None:
        self._core = core
        self._screener = screener
        self._publisher = publisher
        self._tenant = TenantId(config.tenant)
        self._media: MediaPort | None = None
        self._transports = Transports(config, numbering, self._message, self._send_failed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._tasks: set[asyncio.Task[None]] = set()
        self.commands = Commands(config, screener, numbering, self.command, self._acknowledge)
        """From the bus."""
        self.tally = Tally()
        self._books = Books(self.tally, screener.counting, journal, self._tenant, self._refused)
        self._settle_at = math.inf
        """When what waits in the books is told with the next message; infinite when nothing waits."""
        self._resolver = Resolver(config.sip.dns, alarm=self.alarm, timeout_s=config.sip.dns_timeout_s)

    def open(self, media: MediaPort) -> None:
        self._media = media
        self._loop = asyncio.get_running_loop()
        self._transports.start()
        if self._core.soonest < self._timer_at:
            self._wake(self._core.soonest)

    @property
    def calls(self) -> int:
        return len(self._core.calls)

    def counts(self) -> dict[str, int]:
        return self._core.counts()

    def transport_counts(self) -> dict[str, dict[str, int]]:
        """ "flood", "tcp" and "tls": what was dropped, banned, accepted, refused, closed."""
        return self._transports.counts()

    @property
    def transports(self) -> list[str]:
        """Those that are listened on."""
        return self._transports.names

    def trunk_states(self) -> list[TrunkState]:
        """Every target of every trunk; from any thread."""
        return self._core.trunks.states()

    def retransmissions(self) -> dict[str, int]:
        return self._core.retransmissions()

    def calls_by_state(self) -> dict[str, int]:
        """Calls that are up, by the state of their table; from any thread."""
        found = dict.fromkeys((state.value for state in State), 0)
        for call in list(self._core.calls.values()):
            found[call.state.value] += 1
        return found

    @property
    def discarded(self) -> int:
        """Datagrams nobody could be told about."""
        return sum(self.tally.discarded.values())

    def trace_with(self, trace: Trace | None) -> None:
        """Give `trace` all messages and events from now on; None: nobody gets them."""
        self.settle()
        self._books.trace = trace
        self.command(TellLegs(trace is not None))

    # --- inputs ---

    def _message(self, data: bytes, flow: Flow) -> None:
        now = time.monotonic()
        self._books.note((RECEIVED, data, flow, now))
        try:
            self._do(self._core.receive(data, flow, now))
        except Exception:  # one bad message must not stop the others; the trace names the fault
            _log.exception("a message from %s:%d could not be handled", *flow.remote)
            self._wake(now)  # what was done of it all the same waits in the core
        if now >= self._settle_at:  # while we are awake
            self._tick()
        elif len(self._books.notes) > MOST_NOTES:
            self.settle()

    def _send_failed(self, flow: Flow, branch: str, error: str) -> None:
        try:
            self._do(self._core.send_failed(flow, branch, error, time.monotonic()))
        except Exception:
            _log.exception("a failure to send could not be handled")
            self._wake(time.monotonic())

    def media_event(self, event: AnyMediaEvent) -> None:
        self.command(MediaReported(event))

    def command(self, command: CallCommand) -> None:
        try:
            self._do(self._core.command(command, time.monotonic()))
        except Exception:
            _log.exception("%s could not be carried out", type(command).__name__)
            self._wake(time.monotonic())

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, -math.inf
        at: float | None = time.monotonic() + TICK_S
        try:
            self._do(self._core.timer(time.monotonic()))
            self.settle()
            at = self._core.next_timer()  # without those that were stopped: too dear to ask at each message
        except Exception:  # the next tick goes on with the others
            _log.exception("a timer could not be handled")
        self._timer_at = self._settle_at = math.inf
        if at is not None:
            self._wake(at)

    def _wake(self, at: float) -> None:
        """Look at timers and books at `at`, and no later."""
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at = math.ceil(at / TICK_S) * TICK_S
        self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._tick)

    # --- effects ---

    def _do(self, effects: list[CoreEffect]) -> None:
        note, send = self._books.note, self._transports.send
        for effect in effects:  # what follows from one is put behind the others
            try:
                if isinstance(effect, Send):
                    flow, data = effect.flow, effect.data
                    note((SENT, data, flow, time.monotonic()))
                    try:
                        send(flow, data, effect.branch)
                    except OSError as error:
                        now = time.monotonic()
                        effects += self._core.send_failed(flow, effect.branch, str(error), now)
                elif isinstance(effect, EventRaised):
                    event = effect.event
                    if isinstance(event, CallEnded):  # the next call's policy may ask for it
                        self._screener.counting.ended(event)
                    note((HAPPENED, event, time.time(), time.monotonic()))
                elif isinstance(effect, CallRefused | LegOpened | Discarded):
                    note((effect,))
                else:
                    effects += self._carry_out(effect)
            except Exception:  # those behind it are other calls' answers, timers and events
                _log.exception("a %s could not be carried out", type(effect).__name__)
        if self._loop is None:  # nobody would wake us
            self.settle()
            return
        if self._settle_at < math.inf or self._timer_at == -math.inf:
            return  # the next tick is near, or this is it
        now = time.monotonic()
        self._settle_at = now + TICK_S
        due = min(self._core.soonest, now + 2 * TICK_S)  # if no message comes by until then
        if due < self._timer_at:
            self._wake(due)

    def _carry_out(self, effect: CoreEffect) -> list[CoreEffect]:
        """What is rarer than messages and events; returns what follows from it."""
        match effect:
            case ScreeningRequested(call_id, request):
                decision = self._screener.decide(request, call_id)
                return self._core.command(ScreeningDecided(call_id, decision), time.monotonic())
            case MediaRequested(command):
                if self._media is not None:
                    self._media.send(command)
            case PopupRequested():
                self._spawn(self._publish(effect))
            case ResolveRequested():
                self._spawn(self._resolve(effect))
            case CommandAnswered(acknowledgement):
                self.commands.answer(acknowledgement)
            case _:
                raise AssertionError(f"no hand for {effect!r}")
        return []

    async def _publish(self, requested: PopupRequested) -> None:
        result = await self._publisher.popup(requested)
        self.command(PopupPublished(requested.popup_id, result))

    async def _resolve(self, asked: ResolveRequested) -> None:
        location = await self._resolver.locate(asked.uri, asked.transports, asked.families)
        self._transports.name_targets(location, asked.uri.host)
        self.command(Resolved(asked.query_id, location))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            work.close()
            return
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self._spawn(self._publisher.acknowledge(acknowledgement))

    def event(self, event: AnyEvent) -> None:
        """Something that happened beside the calls."""
        self._books.note((HAPPENED, event, time.time(), time.monotonic()))
        self.settle()

    def settle(self) -> None:
        """Tell all that was noted."""
        self._books.settle()

    def _refused(self, refused: CallRefused) -> None:
        self._do(self._core.tell(refused, time.monotonic()))

    def alarm(self, slug: str, detail: str) -> None:
        """Something a person must look at; goes the way of all events."""
        self.event(Alarm(slug=slug, detail=detail))

    # --- the end ---

    async def drain(self, limit_s: float, hurry: asyncio.Event) -> None:
        """Take no new calls; those that are up may go on for `limit_s`, then say goodbye to them.

        Whatever is being waited for, `hurry` ends the waiting: then BYE is said and no answer awaited.
        """
        self.command(Drain())
        await self._without_calls(limit_s, hurry)
        self.command(Drain(end_calls=True))
        await self._without_calls(GOODBYE_S, hurry)

    async def _without_calls(self, limit_s: float, hurry: asyncio.Event) -> None:
        """Until none is up, `limit_s` is over, or `hurry`."""
        deadline = time.monotonic() + limit_s
        while self.calls and time.monotonic() < deadline and not hurry.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), DRAIN_LOOK_S)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop = None
        self.settle()
        await self._transports.close()
        await self._resolver.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
