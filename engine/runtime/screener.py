"""From what the wire said to a decision: normalise, look up, decide, and fill in what is shown and said."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Final, Protocol

import msgspec
from msgspec import structs

from engine.call.trunk import Dialled, Route
from engine.call.trunks import Trunks
from engine.call.values import Block, Decision, ScreeningRequest
from engine.model.config import Config
from engine.model.events import Party
from engine.model.ids import CallId, NumberId
from engine.model.screening import (
    NO_COUNTERS,
    UNAUTHORISED_ACTIONS,
    Action,
    Direction,
    Facts,
    HotEntry,
    Verdict,
)
from engine.runtime.callbacks import Callbacks
from engine.runtime.counting import CallCounting
from engine.runtime.notices import REMEMBERED, Notices
from engine.screening.decide import STATUS_REJECTED, Table, decide, with_entry
from engine.screening.policy import Policy
from engine.screening.shadow import compare
from engine.screening.standing import passes, stands
from engine.sip.uri import Uri
from engine.warning.announcements import Catalogue
from scoring.numbers import Number, Numbering, NumberKind, canonical_id, is_emergency_uri

NO_ROUTE: Final = Route()
_now = partial(datetime.now, UTC)

_log = logging.getLogger(__name__)


class LiveTable(Table, Protocol):
    """One that changes while it is in use."""

    @property
    def generation(self) -> int:
        """Another one after each change; the version may stay the same when an older table is put back."""


class _Absent(msgspec.Struct, frozen=True):
    """A number of which the table says nothing: as it stood in a message, the table's generation, itself."""

    text: str
    generation: int
    number: Number


class _Pass(msgspec.Struct, frozen=True):
    """The decision on one ordinary call that stands for all of its trunk (`engine.screening.standing`)."""

    policy: Policy
    generation: int
    """The table's."""
    decision: Decision


class Screener:
    """Decides calls. Never raises: what goes wrong becomes the policy's `on_failure`."""

    def __init__(
        self,
        config: Config,
        *,
        numbering: Numbering,
        table: LiveTable,
        policy: Callable[[], Policy],
        shadow: Callable[[], Policy | None],
        kill_switch: Callable[[], bool],
        catalogue: Catalogue,
        key: bytes,
        on_failure: Callable[[str], None],
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
        trunks: Trunks | None = None,
        callbacks: Callbacks | None = None,
    ) -> None:
        """Without `callbacks`, emergency calls are remembered by this one alone."""
        self._config = config
        self._numbering = numbering
        self._table = table
        self._policy = policy
        self._shadow = shadow
        self._kill_switch = kill_switch
        self._key = key
        self._on_failure = on_failure
        self._clock = clock
        if trunks is None:
            trunks = Trunks(config.trunk, country_code=config.numbering.country_code)
        self._trunks = trunks
        self._parties = lru_cache(REMEMBERED)(self._make_party)
        self._notices = Notices(config.tenant, config.redress, catalogue, key)
        if callbacks is None:
            callbacks = Callbacks(key, config.tenant, config.screening.callback_window_s)
        self._callbacks = callbacks
        self._absent: _Absent | None = None
        self._passes: dict[str, _Pass] = {}
        # no number changes what these are allowed, nor the way from them to subscribers
        self._even = frozenset(
            name
            for name, trunk in config.trunk.items()
            if trunk.side == "carrier"
            and trunks.constant("access") is not None
            and not (trunk.calling_in or trunk.called_in or trunk.callers)
        )
        self._tells_subscribers = config.popup.sip_message or bool(config.bus.url)
        seed = int.from_bytes(hmac.digest(key, b"counters", hashlib.sha256)[:8])
        self.counting = CallCounting(config.counters, seed, monotonic)

    def decide(self, request: ScreeningRequest, call_id: CallId | None = None) -> Decision:
        """With its id the call's end is counted too, see `CallCounting`."""
        policy = self._policy()
        ordinary = self._ordinary(request)
        if ordinary is not None:
            calling, called = ordinary
            found = self._passes.get(request.trunk)
            if found and found.policy is policy and found.generation == self._table.generation:
                self.counting.attempted(call_id, calling, called, request.trunk, rejected=False)
                display = called.display
                return structs.replace(
                    found.decision,
                    calling=self._parties(calling.display),
                    called=self._parties(display),
                    language=self._config.language_of(display),
                )
        facts = self.facts(request, policy)
        try:
            facts = with_entry(facts, self._table)
            verdict = decide(facts, policy)
        except Exception as error:  # a broken table or rule must not stop calls; now no rule is asked
            self._failed(error)
            facts = structs.replace(facts, screening_failed=True)
            verdict = decide(facts, policy)
        if verdict.protected and facts.direction is Direction.OUTBOUND:
            self._callbacks.note(facts)
        self.counting.screened(call_id, facts, verdict)
        decision = self._decision(request, facts, verdict)
        even = ordinary is not None and facts.entry is None and request.trunk in self._even
        if even and passes(verdict, policy):
            self._passes[request.trunk] = _Pass(policy, self._table.generation, decision)
        return decision

    def _ordinary(self, request: ScreeningRequest) -> tuple[Number, Number] | None:
        """Calling and called number, where there is nothing else to a call; see `passes`.

        None of any other, and where the gate has not just found that the table says nothing of the caller.
        """
        absent = self._absent
        if (
            absent is None
            or absent.text != request.calling
            or absent.generation != self._table.generation
            or request.asserted
            or request.diversion
            or not request.request_uri.startswith("sip:")
            or not self._callbacks.quiet(self._clock())
            or self._shadow() is not None
        ):
            return None
        calling, called = absent.number, self._numbering.of_user(request.called)
        if calling.kind is not NumberKind.E164 or called.kind is not NumberKind.E164:
            return None
        return None if calling.protected or called.protected else (calling, called)

    def listed(self, text: str) -> HotEntry | None:
        """What the table says of a number as it stands in a message."""
        self._absent = None
        try:
            number, generation = self._numbering.of_user(text), self._table.generation
            entry = self._table.lookup(self._config.tenant, number, self._clock())
        except Exception:  # the long way asks again, and tells of it
            return None
        if entry is None:
            self._absent = _Absent(text, generation, number)
        return entry

    def block(self, request: ScreeningRequest, entry: HotEntry) -> Block | None:
        """What `decide` would say, where the other party's entry makes it a reject; else None."""
        try:
            trunk = self._config.trunk[request.trunk]
            if trunk.calling_in or trunk.called_in:  # they may make another number of it
                return None
            policy = self._policy()
            facts = structs.replace(
                self.facts(request, policy), entry=entry, table_version=self._table.version
            )
            verdict = decide(facts, policy)
        except Exception:  # the long way asks again, and tells of it
            return None
        if verdict.action is not Action.REJECT:
            return None
        steady = facts.direction is Direction.INBOUND and stands(verdict, policy)
        decision = self._decision(request, facts, verdict) if steady else None
        _, redress, card = self._notices.block(facts, verdict)
        return Block(entry, verdict, facts.at, decision, verdict.status or STATUS_REJECTED, redress, card)

    def may_refuse(self, called: str) -> bool:
        """Whether a block that stands holds for a call to that number too."""
        at = self._clock()
        if self._callbacks.quiet(at) and self._numbering.is_plain(called):
            return True  # protected numbers are short
        number = self._numbering.of_user(called)
        return not number.protected and not self._callbacks.is_open(number, at)

    def view(self) -> tuple[Policy, int, bool]:
        """What standing blocks depend on, beside their entry: policy, the table's generation, kill switch."""
        return self._policy(), self._table.generation, self._kill_switch()

    def blocked(self, call_id: CallId, request: ScreeningRequest, block: Block) -> Decision:
        """Count a call that was refused so, and say all that is to be told of it."""
        verdict, called = block.verdict, self._numbering.of_user(request.called)
        calling = self._numbering.of_user(request.calling)
        self.counting.attempted(call_id, calling, called, request.trunk, rejected=True)
        decision = block.decision
        if decision is not None and not self._tells_subscribers and self._shadow() is None:
            return structs.replace(decision, called=self._parties(called.display))
        facts = self.facts(request, self._policy())
        facts = structs.replace(facts, entry=block.entry, table_version=verdict.table_version)
        return self._decision(request, facts, verdict)

    def facts(self, request: ScreeningRequest, policy: Policy) -> Facts:
        """The facts but for the table's entry; of counters those that the policy asks for."""
        name = request.trunk
        trunk = self._config.trunk[name]
        outbound = trunk.side == "access"
        number = self._numbering.of_user
        calling_text, called_text = request.calling, request.called
        asserted: Number | None = None
        diversion: tuple[Number, ...] = ()
        if trunk.calling_in or trunk.called_in:
            calling_text, called_text = self._meant(request)
        calling = number(calling_text)
        authorised = not trunk.callers or trunk.may_carry(calling.display)
        if request.asserted:
            asserted = number(self._own(request, request.asserted))
            authorised = authorised and trunk.may_carry(asserted.display)
        if request.diversion:
            diversion = tuple([number(self._own(request, text)) for text in request.diversion])
        if is_emergency_uri(request.request_uri):
            called = self._numbering.normalise(request.request_uri)
        else:
            called = number(called_text)
        subscriber = calling if outbound else called
        at = self._clock()
        return Facts(
            tenant=self._config.tenant,
            direction=Direction.OUTBOUND if outbound else Direction.INBOUND,
            calling=calling,
            called=called,
            at=at,
            trunk=name,
            trunk_authorised_public=trunk.public_service,
            caller_authorised=authorised,
            unauthorised_action=UNAUTHORISED_ACTIONS[trunk.callers_else],
            asserted=asserted,
            display_name=request.display,
            request_uri=request.request_uri,
            diversion=diversion,
            emergency_callback=not outbound and self._callbacks.is_open(subscriber, at),
            kill_switch=self._kill_switch(),
            counters=NO_COUNTERS
            if not policy.counters and ((shadow := self._shadow()) is None or not shadow.counters)
            else self.counting.read(calling, name),
            language=self._config.language_of(subscriber.display),
        )

    def protects(self, trunk: str, uri: Uri) -> bool:
        """Whether a call from there to that URI is one for help."""
        if is_emergency_uri(str(uri)):
            return True
        text = uri.user or ""
        meant = self._trunks.meaning(trunk, "", text)[1]
        return any(self._numbering.of_user(each).protected for each in (text, meant))

    def party(self, number: Number) -> Party:
        """What is shown of a number, and its keyed id."""
        return self._parties(number.display)

    def _make_party(self, display: str) -> Party:
        return Party(display, NumberId(canonical_id(self._key, self._config.tenant, display)))

    # --- the decision ---

    def _decision(self, request: ScreeningRequest, facts: Facts, verdict: Verdict) -> Decision:
        config = self._config
        blocked = verdict.action is Action.REJECT
        inbound = facts.direction is Direction.INBOUND
        popup = None
        if verdict.popup is not None and inbound and self._tells_subscribers:
            popup = self._notices.popup(verdict.popup, verdict.reason, facts.calling.display, facts.language)
        # a block goes nowhere, but its popup goes to the subscriber
        route = self._route(request, facts, verdict) if popup is not None or not blocked else NO_ROUTE
        code, redress, card = self._notices.block(facts, verdict) if blocked else ("", config.redress.url, "")
        shadow = self._shadow()
        return Decision(
            action=verdict.action,
            calling=self._parties(facts.calling.display),
            called=self._parties(facts.called.display),
            rule=verdict.rule,
            reason=verdict.reason,
            level=facts.entry.level.value if facts.entry is not None else "",
            policy_version=verdict.policy_version,
            table_version=verdict.table_version,
            shadow_action=_shadow_action(facts, verdict, shadow) if shadow is not None else "",
            appeal_code=code,
            status=verdict.status or STATUS_REJECTED,
            protected=verdict.protected,
            hops=route.hops,
            unrouted=route.unrouted,
            retry_after_s=math.ceil(route.wait_s),
            pass_identity=config.trunk[request.trunk].trusted_identity,
            language=facts.language,
            label=verdict.label if inbound else None,
            popup=popup,
            announcement=verdict.announcement or "",
            record=verdict.record and config.recording.enabled and not verdict.protected,
            redress=redress,
            card=card,
        )

    def _route(self, request: ScreeningRequest, facts: Facts, verdict: Verdict) -> Route:
        """Subscribers are behind access trunks, everybody else behind the carriers'."""
        to_subscriber = facts.direction is Direction.INBOUND or self._is_subscriber(facts.called)
        trunk = self._config.trunk[request.trunk]
        calling, called = request.calling, request.called
        if trunk.calling_in or trunk.called_in or ";" in called:
            calling, called = self._meant(request)
        return self._trunks.route(
            "access" if to_subscriber else "carrier",
            Dialled(facts.calling, request.calling, calling),
            Dialled(facts.called, request.called, called),
            protected=verdict.protected,
        )

    def route_to(self, calling: Number, called: Number) -> Route:
        """The way to a subscriber, for a call of the engine's own."""
        numbers = (Dialled(each, each.display, each.display) for each in (calling, called))
        return self._trunks.route("access", *numbers, protected=False)

    def _is_subscriber(self, number: Number) -> bool:
        return number.display.startswith(self._config.subscribers.prefixes)

    def _own(self, request: ScreeningRequest, text: str) -> str:
        """Another number of the caller's side, by the rules for calling numbers."""
        return self._trunks.meaning(request.trunk, text, "")[0]

    def _meant(self, request: ScreeningRequest) -> tuple[str, str]:
        """Calling and called number by the rules of their trunk; what is protected as it came stays so.

        Without its parameters: a context would make another number of it for whoever heeds one.
        """
        calling, called = self._trunks.meaning(request.trunk, request.calling, request.called)
        for text in (request.called, called):
            if self._numbering.of_user(text).protected:
                return calling, text.partition(";")[0]
        return calling, called

    def _failed(self, error: Exception) -> None:
        _log.error("screening failed, the policy's default applies: %s", error)
        self._on_failure(str(error))


def _shadow_action(facts: Facts, verdict: Verdict, shadow: Policy) -> str:
    """What another policy would have done, where it would have done something else."""
    try:
        difference = compare(facts, verdict, shadow)
    except Exception:  # it decides nothing, so it stops nothing
        _log.exception("the shadow policy failed")
        return ""
    return difference.shadow.action.value if difference is not None else ""
