"""The screener around the pure decision: what it reads, what it remembers, and that it always decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from engine.app.paths import dialplans_folder
from engine.call.values import Decision, ScreeningRequest
from engine.model.address import Address
from engine.model.config import Config
from engine.model.screening import Action, Facts, HotEntry, Level, Number
from engine.model.trunk_sections import TrunkSection
from engine.runtime.screener import Screener
from engine.screening.policy import Condition, Policy, Rule
from engine.warning.announcements import load as load_catalogue
from scoring.numbers import Numbering
from tests.screening.kit import entry, shipped

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = Config(
    tenant="lab",
    trunk={
        "carrier": TrunkSection(side="carrier", next_hop=Address("192.0.2.1", 5060)),
        "access": TrunkSection(side="access", next_hop=Address("192.0.2.2", 5060), trusted_identity=True),
    },
)
RED = "+8613900000001"
SUBSCRIBER = "+8613800138000"


class World:
    """A table in which every number has `entry`, a policy, a clock."""

    version = generation = 1

    def __init__(self) -> None:
        self.entry: HotEntry | None = entry(Level.RED, action=Action.REJECT)
        self.fault: Exception | None = None
        self.now = START
        self.told: list[str] = []
        self.policy: Policy = shipped()
        self.shadow: Policy | None = None
        self.screener = Screener(
            CONFIG,
            numbering=Numbering(),
            table=self,
            policy=lambda: self.policy,
            shadow=lambda: self.shadow,
            kill_switch=lambda: False,
            catalogue=load_catalogue(dialplans_folder() / "announcements.toml"),
            key=b"k" * 32,
            on_failure=self.told.append,
            clock=lambda: self.now,
        )

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        if self.fault is not None:
            raise self.fault
        return self.entry

    def call(self, called: str, calling: str = RED, trunk: str = "carrier", **changes: object) -> Decision:
        request = ScreeningRequest(trunk, calling, called, f"sip:{called}@x", "", None, ())
        return self.screener.decide(structs.replace(request, **changes))  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    return World()


def broken(policy: Policy) -> Policy:
    """A policy whose rule cannot be asked."""

    def holds(facts: Facts) -> bool:
        raise ZeroDivisionError("a rule")

    condition = Condition("broken", "", holds, lambda facts: "")
    rules: tuple[Rule, ...] = (replace(policy.rules[0], when=(condition,)),)
    return replace(policy, rules=rules)


def test_a_broken_table_stops_no_call(world: World) -> None:
    world.fault = OSError("gone")
    assert world.call(SUBSCRIBER).action is Action.ALLOW
    assert world.told == ["gone"]


def test_a_broken_rule_stops_no_call(world: World) -> None:
    world.policy = broken(world.policy)
    assert world.call(SUBSCRIBER).rule == "screening_failed"
    assert world.told == ["a rule"]


def test_a_broken_shadow_policy_stops_no_call(world: World) -> None:
    world.shadow = broken(world.policy)
    assert world.call(SUBSCRIBER).action is Action.REJECT


@pytest.mark.parametrize("fault", [False, True])
@pytest.mark.parametrize("trunk", ["carrier", "access"])
def test_an_emergency_call_passes_whatever_breaks(world: World, trunk: str, fault: bool) -> None:
    if fault:
        world.fault = OSError("gone")
        world.policy = broken(world.policy)
    for called in ("110", "+86110", "010110"):
        decision = world.call(called, trunk=trunk)
        assert decision.protected and not decision.record and decision.popup is None
    decision = world.call("urn:service:sos", trunk=trunk, request_uri="urn:service:sos.police")
    assert decision.protected and decision.called.number == "110"


@pytest.mark.parametrize("user", [f"{SUBSCRIBER}<110>", f"110:{SUBSCRIBER}", "%31%31%30", "urn:service:sos"])
def test_an_exemption_is_not_talked_into_a_user_part(world: World, user: str) -> None:
    assert world.call(user, request_uri="sip:escaped@x").action is Action.REJECT


def test_calls_back_after_an_emergency_call(world: World) -> None:
    world.call("110", calling="13800138000", trunk="access")
    assert world.call(SUBSCRIBER).rule == "emergency_callback"
    world.now += timedelta(seconds=CONFIG.screening.callback_window_s + 1)
    assert world.call(SUBSCRIBER).action is Action.REJECT


def test_the_trunk_says_who_made_the_emergency_call(world: World) -> None:
    world.call("110", calling="anonymous", asserted=SUBSCRIBER, trunk="access")
    assert world.call(SUBSCRIBER).rule == "emergency_callback"
    world.call("110", calling="+8613800138001", asserted="+8613800138002", trunk="access")
    assert world.call("+8613800138001").action is Action.REJECT


@pytest.mark.parametrize("nobody", ["anonymous", "alice", ""])
def test_who_has_no_number_opens_no_window(world: World, nobody: str) -> None:
    """Or one anonymous emergency call would open the door to everybody without a number."""
    world.call("110", calling=nobody, trunk="access")
    for called in ("alice", "bob", "anonymous"):
        assert world.call(called).action is Action.REJECT


def test_an_emergency_call_from_outside_opens_no_window(world: World) -> None:
    world.call("110", calling=SUBSCRIBER, trunk="carrier")
    assert world.call(SUBSCRIBER).action is Action.REJECT


def test_whom_the_edge_vouches_for_not_at_all_opens_no_window(world: World) -> None:
    """Anybody may call 110 through the edge, under any number."""
    world.call("110", calling=SUBSCRIBER, asserted="anonymous", trunk="access")
    assert world.call(SUBSCRIBER).action is Action.REJECT


def test_who_is_put_through_to_an_emergency_number_opens_no_window(world: World) -> None:
    """A subscriber's phone forwards or transfers a call to 110: its caller's number is anybody's word."""
    world.call("110", calling=SUBSCRIBER, trunk="access", diversion=("+8613700000009",))
    assert world.call(SUBSCRIBER).action is Action.REJECT
