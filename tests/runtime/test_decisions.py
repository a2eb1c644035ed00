"""What a decision carries beside the verdict: identities, route, label, popup, appeal code, recording."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.app.paths import dialplans_folder
from engine.call.trunks import Trunks
from engine.call.values import Decision, ScreeningRequest
from engine.model.address import Address
from engine.model.config import Config, RecordingSection, RedressSection, SubscribersSection
from engine.model.screening import Action, Level
from engine.model.trunk_sections import TrunkSection
from engine.runtime.screener import Screener
from engine.warning.announcements import load as load_catalogue
from scoring.numbers import Numbering
from tests.runtime.bench import Table
from tests.screening.kit import entry, shipped

CARRIER, ACCESS = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)
RED, YELLOW, CLEAN = "+8617000000001", "+8617000000002", "+8613800000001"
SUBSCRIBER = "+8613900000002"
KEY = b"k" * 32


class World:
    def __init__(self, **changes: object) -> None:
        fields: dict[str, object] = {
            "tenant": "lab",
            "trunk": {
                "carrier": TrunkSection(side="carrier", next_hop=CARRIER),
                "trusted": TrunkSection(side="carrier", next_hop=CARRIER, trusted_identity=True),
                "police": TrunkSection(side="carrier", next_hop=CARRIER, public_service=True),
                "access": TrunkSection(side="access", next_hop=ACCESS, trusted_identity=True),
            },
            "subscribers": SubscribersSection(
                prefixes=("+86139",), language="zh-CN", languages={"+8613900000003": "en"}
            ),
            "redress": RedressSection(url="https://example.org/appeal"),
            "recording": RecordingSection(enabled=True, purpose="p", legal_basis="b", retention_days=1),
        }
        self.config = Config(**(fields | changes))  # type: ignore[arg-type]
        self.table = Table()
        self.table.entries = {
            RED: entry(Level.RED, action=Action.REJECT, row=7),
            YELLOW: entry(Level.YELLOW, action=Action.WARN, row=8),
        }
        self.killed = False
        self.screener = self.made(KEY)

    def made(self, key: bytes, trunks: Trunks | None = None) -> Screener:
        policy = shipped()
        return Screener(
            self.config,
            numbering=Numbering(),
            table=self.table,
            policy=lambda: policy,
            shadow=lambda: None,
            kill_switch=lambda: self.killed,
            catalogue=load_catalogue(dialplans_folder() / "announcements.toml"),
            key=key,
            on_failure=lambda error: None,
            trunks=trunks,
        )

    def decide(
        self, calling: str = RED, called: str = SUBSCRIBER, trunk: str = "carrier", **more: object
    ) -> Decision:
        request = ScreeningRequest(trunk, calling, called, f"sip:{called}@x", "", None, ())
        return self.screener.decide(structs.replace(request, **more))  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    return World()


# --- who calls whom ---


@pytest.mark.parametrize("spelling", ["+8617000000001", "8617000000001", "008617000000001", "17000000001"])
def test_a_number_is_one_number_in_every_spelling(world: World, spelling: str) -> None:
    decision = world.decide(spelling)
    assert (decision.action, decision.calling.number) == (Action.REJECT, RED)
    assert decision.calling == world.decide(RED).calling


def test_ids_are_keyed_and_differ_by_tenant(world: World) -> None:
    here = world.decide().calling.id
    assert RED.strip("+") not in here
    assert World(tenant="other").decide().calling.id != here
    other_key = replace_screener(world, b"x" * 32)
    assert other_key.decide().calling.id != here


def replace_screener(world: World, key: bytes) -> World:
    other = World()
    other.screener = other.made(key)
    return other


def test_the_asserted_identity_counts_too(world: World) -> None:
    """The core passes it on from trusted trunks only."""
    assert world.decide(CLEAN).action is Action.ALLOW
    decision = world.decide(CLEAN, trunk="trusted", asserted=RED)
    assert (decision.action, decision.level) == (Action.REJECT, "red")


@pytest.mark.parametrize(("trunk", "protected"), [("carrier", False), ("trusted", False), ("police", True)])
def test_a_police_number_is_believed_on_its_own_trunk_only(world: World, trunk: str, protected: bool) -> None:
    assert world.decide("110", trunk=trunk).protected is protected


# --- where to ---


@pytest.mark.parametrize(
    ("called", "trunk", "hop"),
    [
        (SUBSCRIBER, "carrier", ACCESS),
        (SUBSCRIBER, "access", ACCESS),
        (CLEAN, "access", CARRIER),
        ("110", "access", CARRIER),
        ("10086", "access", CARRIER),
    ],
)
def test_routes(world: World, called: str, trunk: str, hop: Address) -> None:
    assert {each.address for each in world.decide(CLEAN, called, trunk).hops} == {hop}


def test_no_trunk_no_route() -> None:
    world = World(trunk={"carrier": TrunkSection(side="carrier", match=("192.0.2.1",))})
    assert world.decide(CLEAN).hops == ()


@pytest.mark.parametrize(("trunk", "passes"), [("carrier", False), ("trusted", True), ("access", False)])
def test_identities_pass_between_trusted_trunks_only(world: World, trunk: str, passes: bool) -> None:
    """The way out to the carrier is not one."""
    decision = world.decide(CLEAN, CLEAN if trunk == "access" else SUBSCRIBER, trunk)
    assert (decision.pass_identity and decision.hops[0].trusted) is passes


# --- what is shown and said ---


def test_a_popup_speaks_both_languages(world: World) -> None:
    popup = world.decide(YELLOW).popup
    assert popup is not None
    assert set(popup.text) == {"en", "zh-CN"}
    assert popup.language == "zh-CN"
    assert all(YELLOW in text for text in popup.text.values())
    english = world.decide(YELLOW, "+8613900000003")
    assert english.popup is not None and english.popup.language == "en"
    assert english.language == "en"
    assert english.label is not None and english.label.isascii()
    assert not (world.decide(YELLOW).label or "").isascii()


def test_outgoing_calls_show_nothing_to_the_other_side(world: World) -> None:
    decision = world.decide(SUBSCRIBER, RED, "access")
    assert (decision.action, decision.announcement) == (Action.WARN, "warn_on_dial")
    assert (decision.label, decision.popup) == (None, None)


@pytest.mark.parametrize(("enabled", "recorded"), [(True, True), (False, False)])
def test_recording_needs_the_tenants_word(enabled: bool, recorded: bool) -> None:
    section = RecordingSection(enabled=enabled, purpose="p", legal_basis="b", retention_days=1)
    assert World(recording=section).decide(YELLOW).record is recorded


def test_the_kill_switch_turns_blocks_into_labels(world: World) -> None:
    assert world.decide().action is Action.REJECT
    world.killed = True
    decision = world.decide()
    assert (decision.action, decision.appeal_code) == (Action.LABEL, "")
    assert decision.label is not None and decision.popup is not None
    assert decision.popup.kind == "risk_label"


# --- appeals ---


@pytest.mark.parametrize(("policy", "told"), [("always", True), ("validated", False), ("never", False)])
def test_who_is_told_where_to_turn_to(policy: str, told: bool) -> None:
    """No caller's number is proved yet: "validated" tells none of these."""
    section = RedressSection(url="https://example.org/appeal", policy=policy)  # type: ignore[arg-type]
    decision = World(redress=section).decide()
    code = decision.appeal_code
    assert code  # the case is filed under it, whoever knows
    assert decision.redress == (f"https://example.org/appeal?code={code}" if told else "")
    assert decision.card == (f"https://example.org/jcard/{code}" if told else "")


def test_without_an_appeal_page_there_is_no_card() -> None:
    assert World(redress=RedressSection()).decide().card == ""


def test_an_appeal_code_is_stable_and_says_nothing(world: World) -> None:
    decision = world.decide()
    code = decision.appeal_code
    assert re.fullmatch("[A-Z2-7]{4}-[A-Z2-7]{4}", code)
    assert decision.redress == f"https://example.org/appeal?code={code}"
    assert world.decide("17000000001").appeal_code == code
    assert replace_screener(world, b"x" * 32).decide().appeal_code != code
    world.table.entries[RED] = entry(Level.RED, action=Action.REJECT, row=9)
    assert world.decide().appeal_code != code


def test_no_page_no_redress() -> None:
    assert World(redress=RedressSection()).decide().redress == ""


def test_the_page_but_no_code_for_a_label(world: World) -> None:
    assert world.decide(YELLOW).redress == "https://example.org/appeal"


# --- whatever comes ---

texts = st.text(max_size=40) | st.from_regex(r"[+0-9*#a-z:;%<>@.]{0,30}", fullmatch=True)


@given(
    calling=texts,
    called=texts,
    uri=texts,
    display=texts,
    asserted=st.none() | texts,
    diversion=st.lists(texts, max_size=3).map(tuple),
    trunk=st.sampled_from(["carrier", "trusted", "police", "access"]),
)
def test_any_text_is_decided(
    calling: str,
    called: str,
    uri: str,
    display: str,
    asserted: str | None,
    diversion: tuple[str, ...],
    trunk: str,
) -> None:
    world = World()
    request = ScreeningRequest(trunk, calling, called, uri, display, asserted, diversion)
    decision = world.screener.decide(request)
    if decision.protected:
        assert decision.action is Action.ALLOW
        assert (decision.record, decision.popup, decision.label, decision.announcement) == (
            False,
            None,
            None,
            "",
        )
