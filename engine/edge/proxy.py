"""A transaction-stateful, forking proxy: one response context for each request (RFC 3261 §16)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from engine.edge.answers import Answer, best, challenges
from engine.edge.routing import Hop, Received, Router, backward, loop_mark
from engine.sip.effects import ClientKey, Effect, ServerKey
from engine.sip.flow import Flow
from engine.sip.ids import IdSource
from engine.sip.layer import TransactionLayer
from engine.sip.message import Request, Response, response_to
from engine.sip.timers import Timers

_ELSEWHERE: Final = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)  # RFC 3326
_RECORDED: Final = ("INVITE", "SUBSCRIBE", "REFER")
# A phone's other flow is tried after these only (RFC 5626 §7).
_TRY_ANOTHER_FLOW: Final = (408, 430)


@dataclass(frozen=True, slots=True)
class Journey:
    """Where a request goes: each group's first hop at once, its others one after the other when it fails."""

    received: Received
    groups: Sequence[Sequence[Hop]]
    identity: str | None
    """See `Router.onward`."""
    phone: tuple[Flow, int] | None = None
    """The flow of the phone that sent it; None where it goes to phones."""
    record: bool = True
    """Whether to stay on the path of the dialog."""


@dataclass(slots=True)
class _Branch:
    hop: Hop
    spare: list[Hop]
    rung: bool = False
    gives_up_at: float = 0.0
    """Timer C."""


@dataclass(slots=True)
class _Context:
    key: ServerKey
    journey: Journey
    open: dict[ClientKey, _Branch] = field(default_factory=dict)
    """Branches without a final answer."""
    started: list[ClientKey] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    final: int = 0
    """Status of the final answer that went back."""
    over_at: float = inf
    """When it is forgotten."""
    closed: bool = False
    """No new branches any more."""
    cancelled: bool = False

    @property
    def request(self) -> Request:
        return self.journey.received.request

    @property
    def is_invite(self) -> bool:
        return self.key.method == "INVITE"


class Proxy:
    """All response contexts. Methods return what the transaction layer wants done."""

    def __init__(
        self, layer: TransactionLayer, router: Router, ids: IdSource, timer_c_s: float, timers: Timers
    ) -> None:
        self._layer = layer
        self._router = router
        self._ids = ids
        self._timer_c_s = timer_c_s
        self._patience_s = timers.patience_s
        self._contexts: dict[ServerKey, _Context] = {}
        self._of: dict[ClientKey, _Context] = {}
        self._on_flow: dict[Flow, set[ClientKey]] = {}
        # When, a serial, the branch whose timer C it is or the context to forget.
        self._timers: list[tuple[float, int, ClientKey | ServerKey]] = []
        self._serial = 0

    # --- inputs ---

    def start(self, key: ServerKey, journey: Journey, now: float) -> list[Effect]:
        """Pass a request on; there is at least one group, and each has at least one hop."""
        self._forget(key)  # of a branch that is used again the earlier one may still be here
        context = self._contexts[key] = _Context(key, journey)
        effects: list[Effect] = []
        if context.is_invite:
            effects += self._layer.respond(key, response_to(context.request, 100), now)
        for group in journey.groups:
            effects += self._branch(context, group[0], list(group[1:]), now)
        return effects

    def cancelled(self, key: ServerKey, cancel: Request, now: float) -> list[Effect]:
        """The caller took its INVITE back; the answers of the branches say when it is over (§16.10)."""
        context = self._contexts.get(key)
        if context is None:
            return []
        context.cancelled = True
        return self._stop(context, now, [("Reason", value) for value in cancel.rows("Reason")])

    def responded(self, key: ClientKey, response: Response, now: float) -> list[Effect]:
        """A response of one branch (§16.7)."""
        context = self._of.get(key)
        if context is None:
            return []
        branch = context.open.get(key)
        status = response.status
        if status < 200:
            if branch is None:
                return []
            branch.rung = True
            if status == 100:
                return []
            branch.gives_up_at = now + self._timer_c_s
            if context.final or not context.is_invite:
                return []
            return self._layer.respond(context.key, backward(response), now)
        effects: list[Effect] = []
        if branch is not None:
            self._end(context, key, branch)
        if status < 300:
            # Each 2xx to an INVITE goes back at once, repeated ones too, unless a failure went before it.
            if context.final < 300 and (context.is_invite or not context.final):
                effects += self._finish(context, backward(response), now)
            return effects + self._stop(context, now, _ELSEWHERE)
        if branch is None:
            return []
        return self._failed(context, branch, Answer(status, response), now)

    def failed(self, key: ClientKey, reason: str, now: float) -> list[Effect]:
        """A branch got no answer, "timeout" or "transport" says why (§16.9)."""
        context = self._of.get(key)
        branch = context.open.get(key) if context is not None else None
        if context is None or branch is None:
            return []
        self._end(context, key, branch)
        if reason == "timeout":
            status = 408
        else:  # our own words: a phone that cannot be reached, or an engine that cannot
            status = 430 if context.journey.phone is None else 503
        return self._failed(context, branch, Answer(status), now)

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A connection closed: what waits for an answer from there waits in vain."""
        effects: list[Effect] = []
        for key in list(self._on_flow.get(flow, ())):
            if key.method == "INVITE":
                effects += self._layer.cancel(key, now)
            effects += self._layer.send_failed(flow, key.branch, "closed", now)
            effects += self.failed(key, "transport", now)
        return effects

    def timer(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        while self._timers and self._timers[0][0] <= now:
            _, _, key = heapq.heappop(self._timers)
            if isinstance(key, ServerKey):
                ended = self._contexts.get(key)
                if ended is not None and ended.over_at <= now:
                    self._forget(key)
                continue
            context = self._of.get(key)
            branch = context.open.get(key) if context is not None else None
            if context is None or branch is None:
                continue
            if branch.gives_up_at > now:
                self._at(branch.gives_up_at, key)
            elif branch.rung:  # §16.8: its answer to the CANCEL ends it, or its silence does
                effects += self._layer.cancel(key, now)
            else:
                effects += self.failed(key, "timeout", now)
        return effects

    def next_timer(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    def __len__(self) -> int:
        return len(self._contexts)

    # --- branches ---

    def _branch(self, context: _Context, hop: Hop, spare: list[Hop], now: float) -> list[Effect]:
        journey = context.journey
        recorded: list[str] = []
        if journey.record and context.key.method in _RECORDED:
            phone, serial = journey.phone or (hop.flow, hop.serial)
            recorded = self._router.record_route(phone, serial, to_phone=journey.phone is None)
        request = self._router.onward(journey.received, hop, recorded, journey.identity)
        branch = self._ids.branch() + loop_mark(context.request)
        key, effects = self._layer.request(request, hop.flow, now, branch)
        context.open[key] = _Branch(hop, spare, gives_up_at=now + self._timer_c_s)
        context.started.append(key)
        self._of[key] = context
        if hop.flow.reliable:
            self._on_flow.setdefault(hop.flow, set()).add(key)
        if context.is_invite:
            self._at(now + self._timer_c_s, key)
        return effects

    def _end(self, context: _Context, key: ClientKey, branch: _Branch) -> None:
        del context.open[key]
        waiting = self._on_flow.get(branch.hop.flow)
        if waiting is not None:
            waiting.discard(key)
            if not waiting:
                del self._on_flow[branch.hop.flow]

    def _failed(self, context: _Context, branch: _Branch, answer: Answer, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if branch.spare and not context.closed and answer.status in _TRY_ANOTHER_FLOW:
            return self._branch(context, branch.spare[0], branch.spare[1:], now)
        context.answers.append(answer)
        if answer.status >= 600:  # §16.7 item 5
            effects += self._stop(context, now)
        return effects + self._settle(context, now)

    def _stop(self, context: _Context, now: float, headers: Sequence[tuple[str, str]] = ()) -> list[Effect]:
        """Cancel what is open; other requests than INVITE cannot be cancelled, their answers are not used."""
        context.closed = True
        effects: list[Effect] = []
        if context.is_invite:
            for key in context.open:
                effects += self._layer.cancel(key, now, headers)
        return effects

    # --- the answer ---

    def _settle(self, context: _Context, now: float) -> list[Effect]:
        """Pass the best answer on once all have come (§16.7 item 6)."""
        if context.open or context.final:
            return []
        chosen = best(context.answers, cancelled=context.cancelled)
        status, response = chosen.status, chosen.response
        if status == 408 and response is None and not context.is_invite:
            # RFC 4320 §4.2: by now its sender has given up too.
            self._layer.abandon(context.key)
            self._forget(context.key)
            return []
        if response is not None and status != 503:
            return self._finish(context, backward(response, challenges(context.answers, chosen)), now)
        if context.cancelled and response is None:
            status = 487
        elif status == 430:
            status = 480
        elif status == 503:  # not ours: it would say that all of us is overloaded (§16.7 item 6)
            status = 500
        return self._finish(context, response_to(context.request, status, to_tag=self._ids.tag()), now)

    def _finish(self, context: _Context, response: Response, now: float) -> list[Effect]:
        effects = self._layer.respond(context.key, response, now)
        if not context.final:
            context.final = response.status
            # 2xx may come again, or from another branch, for as long as the layer holds the transaction.
            context.over_at = now + (self._patience_s if context.is_invite else 0.0)
            self._at(context.over_at, context.key)
        return effects

    def _forget(self, key: ServerKey) -> None:
        context = self._contexts.pop(key, None)
        if context is None:
            return
        for client, branch in list(context.open.items()):
            self._end(context, client, branch)
        for client in context.started:
            del self._of[client]

    def _at(self, at: float, key: ClientKey | ServerKey) -> None:
        self._serial += 1
        heapq.heappush(self._timers, (at, self._serial, key))
