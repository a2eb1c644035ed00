"""Trunks as the screener uses them: who may call over one, what numbers mean there, and lazy routes."""

from __future__ import annotations

import pytest

from engine.call.trunk import Dialled, Route
from engine.call.trunks import Trunks
from engine.model.screening import Action
from engine.model.trunk_sections import TranslationSection, TrunkSection
from engine.sip.uri import Uri
from tests.runtime.test_decisions import ACCESS, CARRIER, CLEAN, KEY, RED, SUBSCRIBER, World

OUTSIDE = "+8621620000001"


def world(**fields: object) -> World:
    """A carrier's trunk with `fields`, and one to the subscribers."""
    carrier = TrunkSection(**({"side": "carrier", "next_hop": CARRIER} | fields))  # type: ignore[arg-type]
    return World(trunk={"carrier": carrier, "access": TrunkSection(side="access", next_hop=ACCESS)})


@pytest.mark.parametrize(
    ("caller", "otherwise", "action", "rule"),
    [
        (CLEAN, "reject", Action.ALLOW, "no_rule"),
        (OUTSIDE, "pass", Action.ALLOW, "no_rule"),
        (OUTSIDE, "label", Action.LABEL, "caller_unauthorised"),
        (OUTSIDE, "reject", Action.REJECT, "caller_unauthorised"),
        ("anonymous", "label", Action.LABEL, "caller_unauthorised"),
    ],
)
def test_a_number_that_may_not_come_from_there(
    caller: str, otherwise: str, action: Action, rule: str
) -> None:
    decision = world(callers=("+8613",), callers_else=otherwise).decide(caller)
    assert (decision.action, decision.rule) == (action, rule)


def test_the_asserted_identity_may_not_come_from_elsewhere_either() -> None:
    here = world(callers=("+8613",), callers_else="reject", trusted_identity=True)
    assert here.decide(CLEAN, asserted="13800000009").action is Action.ALLOW
    assert here.decide(CLEAN, asserted=OUTSIDE).rule == "caller_unauthorised"


def test_what_is_blocked_anyway_stays_blocked() -> None:
    """A label for a forged number is no way round the risk table."""
    decision = world(callers=("+8621",), callers_else="label").decide(RED)
    assert (decision.action, decision.rule) != (Action.LABEL, "caller_unauthorised")
    assert decision.action is Action.REJECT


def test_an_emergency_call_is_not_asked_who_calls() -> None:
    assert world(callers=("+8613",), callers_else="reject").decide(OUTSIDE, "110").protected


def test_an_emergency_call_with_a_number_that_is_not_the_trunk_s_opens_no_window() -> None:
    access = TrunkSection(side="access", next_hop=ACCESS, callers=(SUBSCRIBER,))
    here = World(trunk={"carrier": TrunkSection(side="carrier", next_hop=CARRIER), "access": access})
    other = "+8613800138009"
    for calling in (other, SUBSCRIBER):
        assert here.decide(calling, "110", trunk="access").protected
    assert here.decide(RED, other).action is Action.REJECT
    assert here.decide(RED, SUBSCRIBER).rule == "emergency_callback"


def test_the_kill_switch_takes_that_block_too() -> None:
    here = world(callers=("+8613",), callers_else="reject")
    here.killed = True
    assert here.decide(OUTSIDE).action is Action.LABEL


def test_numbers_mean_what_their_trunk_says() -> None:
    rules = (TranslationSection(match="9", strip=1),)
    here = world(called_in=rules, calling_in=rules)
    decision = here.decide("917000000001", "913900000002")
    assert (decision.calling.number, decision.called.number) == (RED, SUBSCRIBER)
    assert decision.action is Action.REJECT
    decision = here.decide("913800000001", "913900000002")
    assert decision.hops[0].called_user == "13900000002"
    assert decision.hops[0].calling_user == "13800000001"


def test_asserted_and_diverting_numbers_follow_the_rules_for_calling_ones() -> None:
    here = world(calling_in=(TranslationSection(match="9", strip=1),), trusted_identity=True)
    assert here.decide(CLEAN, asserted="917000000001").action is Action.REJECT


@pytest.mark.parametrize("dialled", ["110;phone-context=+8613912345", "110;x=y", "9110;phone-context=+1"])
def test_an_emergency_number_leaves_as_what_was_screened(dialled: str) -> None:
    """A gateway that heeds the context would call +86 139 1234 5110 under the exemption."""
    here = world(called_in=(TranslationSection(match="9", strip=1),))
    decision = here.decide(SUBSCRIBER, dialled)
    assert decision.protected
    assert [hop.called_user for hop in decision.hops] == ["110"]


def test_no_rule_hides_an_emergency_number() -> None:
    here = world(called_in=(TranslationSection(match="1", strip=1, prefix="2"),))
    decision = here.decide(CLEAN, "110")
    assert decision.protected
    assert decision.hops[0].called_user == ""


def test_an_outside_line_prefix_reaches_the_emergency_number() -> None:
    here = world(called_in=(TranslationSection(match="9", strip=1),))
    decision = here.decide(CLEAN, "9110")
    assert decision.protected
    assert decision.hops[0].called_user == "110"


class Counting(Trunks):
    """Trunks that note how often they are asked for a way."""

    asked = 0

    def route(self, side: str, calling: Dialled, called: Dialled, *, protected: bool) -> Route:
        self.asked += 1
        return super().route(side, calling, called, protected=protected)


def test_a_block_asks_for_no_way_unless_its_popup_needs_one() -> None:
    here = world()
    access = TrunkSection(side="access", next_hop=ACCESS, callers=("+861",), callers_else="reject")
    here = World(trunk={"carrier": here.config.trunk["carrier"], "access": access})
    trunks = Counting(here.config.trunk)
    here.screener = here.made(KEY, trunks)
    assert here.decide(SUBSCRIBER, CLEAN, "access").hops
    assert trunks.asked == 1
    outgoing = here.decide("+442079460000", CLEAN, "access")
    assert (outgoing.action, outgoing.popup, outgoing.hops) == (Action.REJECT, None, ())
    assert trunks.asked == 1
    incoming = here.decide(RED)
    assert incoming.action is Action.REJECT and incoming.popup is not None and incoming.hops
    assert trunks.asked == 2


def test_which_uris_are_numbers_for_help() -> None:
    """However they are spelt, and whatever the trunk's rules make of them."""
    here = world(called_in=(TranslationSection(match="9", strip=1),))
    expected = {
        "sip:110@x": True,
        "sip:+86110@x": True,
        "tel:119": True,
        "sip:9110@x": True,
        "urn:service:sos.fire": True,
        "sip:13800138000@x": False,
        "sip:x": False,
        "urn:isbn:110": False,
    }
    for uri, helps in expected.items():
        assert here.screener.protects("carrier", Uri.parse(uri)) is helps, uri
