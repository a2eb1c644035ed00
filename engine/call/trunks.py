"""Trunks: who a request comes from, where a call may leave to, and what each can take at the moment. Pure.

One `Trunks` is shared by the core, which feeds it, and the screener, which asks it for routes. `now` is set
before each input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

import msgspec

from engine.call.health import FAILURES, State
from engine.call.leg_events import LegAnswered, LegRefused, LegRinging
from engine.call.limits import Way
from engine.call.sources import Sources
from engine.call.translation import translated
from engine.call.trunk import MAX_HOPS, Dialled, Endpoint, Route, Trunk
from engine.call.values import Hop
from engine.model.address import Address
from engine.model.events import Alarm, AnyEvent, TrunkChanged
from engine.model.ids import CallId
from engine.model.trunk_sections import TrunkSection
from engine.sip.flow import Flow
from engine.sip.location import Draw, Location, Target, in_order
from engine.sip.uri import Uri
from scoring.numbers import Number

LOOKUP_MIN_S: Final = 1.0
_LOOKUP: Final = "trunk "
_NO_WAY: Final = ("", "")

Emit = Callable[[AnyEvent], None]


class Lookup(msgspec.Struct, frozen=True):
    """The address of a next hop is to be found; answered by `resolved`."""

    query_id: str
    uri: Uri


class TrunkState(msgspec.Struct, frozen=True):
    """What is known of one target, to be shown."""

    trunk: str
    side: str
    target: str
    state: str
    calls_in: int
    calls_out: int
    """Of the whole trunk, as the calls in."""


class Trunks:
    """All trunks of one tenant. `draw` is the chance that weights need; without one the first is chosen."""

    def __init__(
        self,
        sections: Mapping[str, TrunkSection],
        *,
        country_code: str = "86",
        draw: Draw = lambda most: min(most, 1),
        emit: Emit = lambda event: None,
    ) -> None:
        self._country_code = country_code
        self._draw = draw
        self.emit = emit
        self.now = 0.0
        self.of: Callable[[tuple[str, int]], str | None] = Sources(
            {name: section.match for name, section in sections.items()}
        ).of
        """The trunk that a source (host, port) belongs to."""
        self._trunks = {name: Trunk(name, section) for name, section in sections.items()}
        self._sides = {
            side: [each for each in self._trunks.values() if each.section.side == side and each.places]
            for side in ("access", "carrier")
        }
        self._ways: dict[CallId, tuple[str, str]] = {}
        """Call → the trunks that it came and leaves by; empty: by none."""
        self._endpoints: dict[Target, list[Endpoint]] = {}
        self.ailing = False
        """Whether a target is not `State.UP`: only then does it matter that one has answered."""
        self.next: float | None = None
        """When `due` has something next."""
        self._reached_anew()

    # --- numbers ---

    def meaning(self, trunk: str, calling: str, called: str) -> tuple[str, str]:
        """What the user parts of a call from `trunk` mean by its rules."""
        section = self._trunks[trunk].section
        if section.calling_in:
            calling = translated(calling, section.calling_in)
        if section.called_in:
            called = translated(called, section.called_in)
        return calling, called

    # --- where to ---

    def route(self, side: str, calling: Dialled, called: Dialled, *, protected: bool) -> Route:
        """Where a call to that side goes.

        A protected call heeds no limit, and tries what is down as well. Other calls do so where all is down.
        """
        takers = self._sides[side]
        if len(takers) != 1 or takers[0].section.prefixes:
            takers = self._takers(takers, called.number, protected=protected)
        if not takers:
            return Route(unrouted="not_routed")
        constant = takers[0].constant
        as_came = called.meant == called.text and calling.meant == calling.text
        if constant is not None and len(takers) == 1 and as_came:
            return constant
        waits = [0.0 if protected else trunk.limits[Way.OUT].wait_s(self.now) for trunk in takers]
        free = [trunk for trunk, wait_s in zip(takers, waits, strict=True) if not wait_s]
        if not free:
            return Route(unrouted="over_limit", wait_s=min(waits))
        usable: list[Hop] = []
        down: list[Hop] = []
        for trunk in free:
            for endpoint in trunk.in_turn(self._draw):
                hop = trunk.hop(endpoint.target, calling, called, self._country_code, protected=protected)
                (usable if endpoint.health.usable else down).append(hop)
        hops = [*usable, *down] if protected else usable or down
        return Route(tuple(hops[:MAX_HOPS])) if hops else Route(unrouted="unreachable")

    def constant(self, side: str) -> Route | None:
        """The route that every call to that side has whose numbers go on as they came; None: it varies."""
        takers = self._sides[side]
        return takers[0].constant if len(takers) == 1 and not takers[0].section.prefixes else None

    def redirected(self, by: str, transport: str, address: Address) -> str | None:
        """Whose target an address in a 3xx of trunk `by` is; "": no trunk's, None: nor is it to be called.

        Who was reached by such an address itself, and so is no trunk's, may redirect as well.
        """
        trunk = self._trunks.get(by)
        endpoints = self._endpoints.get(Target(transport, address.host, address.port))
        if endpoints:
            return endpoints[0].trunk
        return "" if trunk is None or trunk.section.redirects_anywhere else None

    def _takers(self, known: list[Trunk], called: Number, *, protected: bool) -> list[Trunk]:
        """Those of them that take the number: by the longest prefix, priority and chance."""
        display = called.display
        lengths: dict[int, list[Trunk]] = {}
        for trunk in known:
            fitting = [len(each) for each in trunk.section.prefixes or ("",) if display.startswith(each)]
            if fitting:
                lengths.setdefault(max(fitting), []).append(trunk)
        if not lengths and protected:
            lengths[0] = known
        in_turn = sorted(lengths.items(), reverse=True)
        return [trunk for _, same in in_turn for trunk in in_order(same, self._draw)]

    # --- calls ---

    def wait_s(self, trunk: str) -> float:
        """Seconds until one more call from there can be taken; 0: now."""
        limit = self._trunks[trunk].limits[Way.IN]
        return limit.wait_s(self.now) if limit.bounded else 0.0

    def entered(self, call_id: CallId, trunk: str) -> None:
        """A call has come by that trunk."""
        self._ways[call_id] = trunk, ""
        limit = self._trunks[trunk].limits[Way.IN]
        if limit.bounded:
            limit.take(self.now)
        else:
            limit.calls += 1

    def left(self, call_id: CallId, trunk: str) -> None:
        """A call tries that trunk now, and no longer the one before."""
        if trunk not in self._trunks:  # the dissuasion agent is on none
            return
        came, before = self._ways.get(call_id, _NO_WAY)
        if before:
            self._trunks[before].limits[Way.OUT].calls -= 1
        self._ways[call_id] = came, trunk
        limit = self._trunks[trunk].limits[Way.OUT]
        if limit.bounded:
            limit.take(self.now)
        else:
            limit.calls += 1

    def gone(self, call_id: CallId) -> None:
        """The call is over."""
        came, left = self._ways.pop(call_id, _NO_WAY)
        if came:
            self._trunks[came].limits[Way.IN].calls -= 1
        if left:
            self._trunks[left].limits[Way.OUT].calls -= 1

    @property
    def calls(self) -> int:
        """Calls that are counted."""
        return len(self._ways)

    # --- health ---

    def told(self, flow: Flow, event: LegRinging | LegAnswered | LegRefused) -> None:
        """What a leg of ours has heard from the other end of its flow."""
        for endpoint in self._endpoints.get(Target(flow.transport, *flow.remote), ()):
            if isinstance(event, LegRefused):
                self.heard(endpoint, event.status, event.no_response)
            elif endpoint.health.state is not State.UP:
                self.heard(endpoint, 200)

    def heard(self, endpoint: Endpoint, status: int, silence: str = "") -> None:
        """A response, or why there was none ("timeout", "transport")."""
        health = endpoint.health
        if silence or status in FAILURES:
            changed = health.failed(self.now)
        else:
            changed = health.alive()
        if health.state is not State.UP:
            self.ailing = True
        elif self.ailing:
            self.ailing = any(
                each.health.state is not State.UP
                for trunk in self._trunks.values()
                for each in trunk.endpoints.values()
            )
        if changed:
            reason = silence or ("answered" if health.usable else str(status))
            up = health.usable
            self.emit(TrunkChanged(trunk=endpoint.trunk, target=str(endpoint), up=up, reason=reason))
            self._judge(self._trunks[endpoint.trunk])
            self._plan()

    def _judge(self, trunk: Trunk) -> None:
        """One alarm when a whole trunk is down, and one when it is back."""
        down = bool(trunk.endpoints) and not any(each.health.usable for each in trunk.endpoints.values())
        if down != trunk.all_down:
            trunk.all_down = down
            targets = ", ".join(str(each) for each in trunk.endpoints.values())
            self.emit(Alarm(slug="trunk_down" if down else "trunk_up", detail=f"{trunk.name}: {targets}"))

    def patience_s(self, endpoint: Endpoint) -> float:
        """How long an OPTIONS to a target waits for its response."""
        return self._trunks[endpoint.trunk].section.health.timeout_s

    def states(self) -> list[TrunkState]:
        """Every target of every trunk, to be shown."""
        return [
            TrunkState(
                trunk.name,
                trunk.section.side,
                str(endpoint),
                endpoint.health.state.value,
                trunk.limits[Way.IN].calls,
                trunk.limits[Way.OUT].calls,
            )
            for trunk in self._trunks.values()
            for endpoint in trunk.endpoints.values()
        ]

    # --- time ---

    def due(self) -> tuple[list[Endpoint], list[Lookup]]:
        """Targets to which an OPTIONS is due, and names whose addresses are."""
        pings, lookups = [], []
        for trunk in self._trunks.values():
            for endpoint in trunk.endpoints.values():
                if _reached(endpoint.health.retry_at, self.now):
                    endpoint.health.retry(self.now)
                if _reached(endpoint.ping_at, self.now):
                    endpoint.ping_at = self.now + trunk.section.health.options_s
                    pings.append(endpoint)
            for number, place in enumerate(trunk.places):
                if _reached(place.lookup_at, self.now):
                    place.lookup_at = inf  # until the answer is there
                    lookups.append(Lookup(f"{_LOOKUP}{trunk.name} {number}", place.uri))
        self._plan()
        return pings, lookups

    def resolved(self, query_id: str, location: Location) -> bool:
        """The answer to a lookup; False when it is none of ours. Nobody's answer leaves what was known."""
        if not query_id.startswith(_LOOKUP):
            return False
        name, _, number = query_id.removeprefix(_LOOKUP).rpartition(" ")
        trunk = self._trunks[name]
        place = trunk.places[int(number)]
        if location.reason != "dns" or place.location is None:
            place.location = location
        place.lookup_at = self.now + max(location.ttl_s, LOOKUP_MIN_S)
        trunk.set_endpoints()
        self._reached_anew()
        self._judge(trunk)
        return True

    def _reached_anew(self) -> None:
        """Targets are new: know them by their address, and when each is looked after."""
        self._endpoints = {}
        for trunk in self._trunks.values():
            interval_s = trunk.section.health.options_s
            for target, endpoint in trunk.endpoints.items():
                self._endpoints.setdefault(target, []).append(endpoint)
                if endpoint.ping_at is None and interval_s:  # not all at the same moment
                    endpoint.ping_at = self.now + interval_s * self._draw(1000) / 1000
        self._plan()

    def _plan(self) -> None:
        times = [
            at
            for trunk in self._trunks.values()
            for at in (
                *(each.ping_at for each in trunk.endpoints.values()),
                *(each.health.retry_at for each in trunk.endpoints.values()),
                *(place.lookup_at for place in trunk.places),
            )
            if at is not None and at < inf
        ]
        self.next = min(times, default=None)


def _reached(at: float | None, now: float) -> bool:
    return at is not None and at <= now
