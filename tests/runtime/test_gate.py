"""The gate refuses what the long way would refuse, with the same bytes and the same events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from engine.app.paths import dialplans_folder
from engine.app.policies import catalogue_labels, read_policy
from engine.call.core import CoreEffect, SipCore
from engine.call.values import (
    CallRefused,
    Drain,
    EventRaised,
    PopupPublished,
    PopupRequested,
    ScreeningDecided,
    ScreeningRequested,
)
from engine.model.address import Address
from engine.model.config import Config, PopupSection, RedressSection
from engine.model.events import AnyEvent, CallEnded
from engine.model.screening import Action, HotEntry, Level
from engine.model.trunk_sections import TrunkSection
from engine.runtime.screener import Screener
from engine.screening import load_policy
from engine.sip.effects import Send
from engine.sip.flow import Flow
from engine.warning.announcements import load as load_catalogue
from scoring.numbers import Numbering
from tests.call.kit import SETTINGS
from tests.runtime.bench import Table
from tests.screening.kit import entry
from tests.sip.ids import SeededIds

CARRIER, TRUSTED, ACCESS = "192.0.2.1", "192.0.2.3", "192.0.2.2"
USUAL = "+8613900000002"
RED, ORDERED, YELLOW, CLEAN = "+8617000000001", "+8617000000009", "+8617000000002", "+8613800000001"
AT = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
CATALOGUE = load_catalogue(dialplans_folder() / "announcements.toml")
POLICY = read_policy(
    dialplans_folder() / "screening" / "default.toml", Numbering(), catalogue_labels(CATALOGUE)
)
POLICY_TEXT = (dialplans_folder() / "screening" / "default.toml").read_text(encoding="utf-8")
QUIET = load_policy(
    POLICY_TEXT.replace(
        "[[rule]]",
        '[[rule]]\nid = "quiet"\naction = "label"\nwhen = { called = "+8613900000003" }\n\n[[rule]]',
        1,
    ),
    "quiet.toml",
    Numbering(),
    catalogue_labels(CATALOGUE),
)
"""As shipped, but calls to one number are only labelled: what a rule says stands for no other call."""
TRUNKS = {
    "carrier": TrunkSection(
        side="carrier", match=(CARRIER,), next_hop=Address(CARRIER, 5060), announce_608=False
    ),
    "trusted": TrunkSection(side="carrier", match=(TRUSTED,), trusted_identity=True),
    "access": TrunkSection(side="access", match=(ACCESS,), next_hop=Address(ACCESS, 5060)),
}
ENGINE = Address("192.0.2.9", 5060)


class Engine:
    """A core with the real screener, with or without a gate."""

    def __init__(self, *, gate: bool, popups: bool = True) -> None:
        self.policy, self.killed, self.table, self.at = POLICY, False, Table(), AT
        self.table.entries = {
            RED: entry(Level.RED, action=Action.REJECT, row=7),
            ORDERED: entry(Level.RED, action=Action.REJECT, row=9),
            YELLOW: entry(Level.YELLOW, action=Action.WARN, row=8),
        }
        self.screener = Screener(
            Config(
                tenant="lab",
                trunk=TRUNKS,
                redress=RedressSection(url="https://example.org/appeal"),
                popup=PopupSection(sip_message=popups),
            ),
            numbering=Numbering(),
            table=self.table,
            policy=lambda: self.policy,
            shadow=lambda: None,
            kill_switch=lambda: self.killed,
            catalogue=CATALOGUE,
            key=b"k" * 32,
            on_failure=lambda error: None,
            clock=lambda: self.at,
        )
        screen = self.screener if gate else None
        self.core = SipCore(structs.replace(SETTINGS, contact=ENGINE), TRUNKS, SeededIds("e"), screen=screen)
        self.asked = 0
        self.sent: list[Send] = []
        self.events: list[AnyEvent] = []

    def receive(self, data: bytes, source: tuple[str, int], now: float = 1.0) -> None:
        flow = Flow("udp", (ENGINE.host, ENGINE.port), source)
        self._do(self.core.receive(data, flow, now))

    def change(self, what: str) -> None:
        """Something that blocks stand on."""
        match what:
            case "killed":
                self.killed = not self.killed
            case "unlisted":
                self.table.entries.pop(RED, None)
                self.table.generation += 1  # the version may stay: an older file under newer changes
            case "policy":
                self.policy = QUIET
            case "emergency":
                self.receive(_emergency("110"), (ACCESS, 5060))

    def _do(self, effects: list[CoreEffect]) -> None:
        refused: list[CallRefused] = []
        for effect in effects:
            match effect:
                case Send():
                    self.sent.append(effect)
                case EventRaised(event):
                    self.events.append(event)
                case CallRefused():
                    refused.append(effect)
                case ScreeningRequested(call_id, request):
                    self.asked += 1
                    self._do(
                        self.core.command(
                            ScreeningDecided(call_id, self.screener.decide(request, call_id)), 1.0
                        )
                    )
                case PopupRequested(popup_id=popup_id):
                    self._do(self.core.command(PopupPublished(popup_id, "acknowledged"), 1.0))
                case _:
                    pass
        for each in refused:
            self._do(self.core.tell(each, 1.0))


HEADERS = (
    "Require: 100rel",
    "Require: nothing-known",
    "P-Asserted-Identity: <sip:+8613800000001@x>",
    "P-Asserted-Identity: <sip:+8617000000001@x>",
    "Diversion: <sip:+8613900000009@x>",
    "Feature-Caps: *;+sip.608",
    "Route: <sip:192.0.2.9;lr>",
    "Record-Route: <sip:192.0.2.1;lr>",
    "Privacy: id",
    "Supported: timer, 100rel",
    "Session-Expires: 1800",
    "Session-Expires: 60",
    "Min-SE: 90",
    "X-Anything: 1",
    "Contact: <sip:another@192.0.2.1>",
    "Contact: <sip:broken",
    "Replaces: a;to-tag=b;from-tag=c",
)
PLAIN = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}"


@st.composite
def invites(draw: st.DrawFn) -> bytes:
    """INVITEs of all kinds, most of them plain."""
    user = st.sampled_from((RED, RED, RED, ORDERED, YELLOW, CLEAN, RED[1:], "00" + RED[1:], "anonymous"))
    called = draw(st.sampled_from((*(USUAL,) * 3, "+8613900000003", "110", "+86110", "010110", "ada")))
    n = draw(st.integers(1, 6))
    via = draw(st.sampled_from((PLAIN, PLAIN + ";rport", "SIP / 2.0 / UDP 192.0.2.1 ; branch = z9hG4bK{n}")))
    display = draw(
        st.sampled_from(
            (
                "",
                "",
                '"Ada" ',
                '"" ',
                '"A \\"B" ',
                "Ada ",
                '"+8617000000001" ',
                '"公安局, 96110;x=y" ',
                '"tab\there" ',
            )
        )
    )
    contact = draw(
        st.sampled_from(
            ('"A, B" <sip:c@192.0.2.1>', "<sip:c@192.0.2.1>", "<sip:c@192.0.2.1>", "sip:c@192.0.2.1", "*", "")
        )
    )
    hops = draw(st.sampled_from(("70", "70", "0", "256", "x")))
    more = draw(st.lists(st.sampled_from(HEADERS), max_size=2))
    kind = draw(st.sampled_from(("application/sdp", "application/sdp", "Application/SDP;x=y", "text/plain")))
    body = draw(st.sampled_from((SDP, SDP, b"", b"not sdp")))
    to_tag = draw(st.sampled_from(("", "", "", ";tag=t")))
    rows = [
        f"INVITE sip:{called}@192.0.2.9{draw(st.sampled_from(('', ':5060;user=phone', '?a=b')))} SIP/2.0",
        f"Via: {via.format(n=n)}",
        f"From: {display}<sip:{draw(user)}@192.0.2.1>;tag=f{draw(st.integers(1, 2))}",
        f"To: <sip:{called}@192.0.2.9>{to_tag}",
        f"Call-ID: call-{draw(st.integers(1, 4))}",
        "CSeq: 1 INVITE",
        f"Max-Forwards: {hops}",
        *([f"Contact: {contact}"] if contact else []),
        *more,
        *([f"Content-Type: {kind}"] if body else []),
        f"Content-Length: {draw(st.sampled_from(('', '  ')))}{len(body)}",
    ]
    return "\r\n".join(rows).encode() + b"\r\n\r\n" + body


SOURCES = st.sampled_from(
    ((CARRIER, 5060), (CARRIER, 5060), (TRUSTED, 5060), (ACCESS, 5060), ("203.0.113.1", 9))
)


def _emergency(number: str) -> bytes:
    """A call of the usual callee to there: for a while nobody who calls back is refused."""
    rows = (
        f"INVITE sip:{number}@192.0.2.9 SIP/2.0",
        f"Via: {PLAIN.format(n=99)}",
        f"From: <sip:{USUAL}@192.0.2.2>;tag=e",
        f"To: <sip:{number}@192.0.2.9>",
        "Call-ID: emergency",
        "CSeq: 1 INVITE",
        "Contact: <sip:e@192.0.2.2>",
    )
    return "\r\n".join(rows).encode() + b"\r\n\r\n"


CHANGES = st.sampled_from(("", "", "", "killed", "unlisted", "policy", "emergency"))


@settings(max_examples=600)
@given(st.lists(st.tuples(invites(), SOURCES, CHANGES), min_size=1, max_size=5), st.booleans())
def test_the_gate_and_the_long_way_agree(
    steps: list[tuple[bytes, tuple[str, int], str]], popups: bool
) -> None:
    gated, long = Engine(gate=True, popups=popups), Engine(gate=False, popups=popups)
    for place, (data, source, change) in enumerate(steps):
        for engine in (gated, long):
            engine.receive(data, source, 1.0 + place)
            engine.change(change)
    assert gated.sent == long.sent
    assert gated.events == long.events
    assert gated.core.counts() == long.core.counts()


def test_a_block_stands_until_something_it_stands_on_changes() -> None:
    """Each INVITE is from the same caller; what is said of it is what screening would say of it anew."""
    engine = Engine(gate=True)
    asked: list[str] = []
    listed = engine.screener.listed

    def noted(text: str) -> HotEntry | None:
        asked.append(text)
        return listed(text)

    engine.screener.listed = noted  # type: ignore[method-assign]

    def call(n: int) -> bytes:
        engine.sent.clear()
        engine.receive(
            invite().replace(b"bK1", b"bK%d" % n).replace(b"call-1", b"call-%d" % n), (CARRIER, 5060), n
        )
        return engine.sent[0].data[:12]

    assert [call(1), call(2), call(3)] == [b"SIP/2.0 608 "] * 3
    assert asked == [RED]
    engine.policy = QUIET
    assert call(4) == b"SIP/2.0 608 "
    assert call(5) == b"SIP/2.0 608 "
    assert asked == [RED] * 3, "nothing stands where a rule before asks for the called number"
    engine.policy = POLICY
    call(6)
    engine.killed = True
    assert call(7) != b"SIP/2.0 608 "
    engine.killed = False
    assert [call(8), call(9)] == [b"SIP/2.0 608 "] * 2
    engine.change("unlisted")
    assert call(10) != b"SIP/2.0 608 "


def invite(number: str = RED, *more: str) -> bytes:
    rows = (
        "INVITE sip:+8613900000002@192.0.2.9 SIP/2.0",
        f"Via: {PLAIN.format(n=1)}",
        f"From: <sip:{number}@192.0.2.1>;tag=f",
        "To: <sip:+8613900000002@192.0.2.9>",
        "Call-ID: call-1",
        "CSeq: 1 INVITE",
        "Contact: <sip:c@192.0.2.1>",
        *more,
    )
    return "\r\n".join(rows).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("more", [(), ("Subject: x", "X-Odd: y", "Content-Length:     0")])
def test_a_listed_caller_is_refused_at_the_gate(more: tuple[str, ...]) -> None:
    engine = Engine(gate=True)
    engine.receive(invite(RED, *more), (CARRIER, 5060))
    assert engine.asked == 0
    assert [type(event).__name__ for event in engine.events][-1] == "CallEnded"
    assert engine.sent[0].data.startswith(b"SIP/2.0 608 Rejected\r\n")
    assert b"Call-Info: <https://example.org/jcard/" in engine.sent[0].data


def test_anybody_else_takes_the_long_way() -> None:
    engine = Engine(gate=True)
    engine.receive(invite(CLEAN), (CARRIER, 5060))
    assert engine.asked == 1


def test_a_block_that_stands_holds_neither_for_emergency_numbers_nor_for_calls_back() -> None:
    engine = Engine(gate=True)
    engine.receive(invite(), (CARRIER, 5060))

    def to(number: str, n: int) -> bytes:
        engine.sent.clear()
        data = invite().replace(USUAL.encode(), number.encode()).replace(b"bK1", b"bK%d" % n)
        engine.receive(data.replace(b"call-1", b"call-%d" % n), (CARRIER, 5060), 1.0)
        return engine.sent[0].data[:12]

    assert to("+8613900000009", 2) == b"SIP/2.0 608 "
    assert to("110", 3) == b"SIP/2.0 100 "
    assert to(USUAL, 4) == b"SIP/2.0 608 "
    engine.change("emergency")
    assert to(USUAL, 5) == b"SIP/2.0 100 "


def test_a_standing_block_ends_with_its_rule() -> None:
    engine = Engine(gate=True)
    engine.table.entries[RED] = entry(Level.RED, action=None, row=7, confirmed=False, expires=None)
    engine.policy = load_policy(
        'name = "short"\n[[rule]]\nid = "r"\nwhen = { level = "red" }\naction = "reject"\n'
        "expires = 2026-11-01T08:00:10Z\n"
    )
    engine.receive(invite(), (CARRIER, 5060), 1.0)
    assert engine.sent[0].data.startswith(b"SIP/2.0 608 ")
    engine.sent.clear()
    engine.at = AT + timedelta(seconds=30)
    data = invite().replace(b"bK1", b"bK2").replace(b"call-1", b"call-2")
    engine.receive(data, (CARRIER, 5060), 31.0)
    assert engine.sent[0].data.startswith(b"SIP/2.0 100 ")


@pytest.mark.parametrize("popups", [True, False])
def test_what_is_told_of_a_standing_block_is_of_its_own_call(popups: bool) -> None:
    told: list[list[AnyEvent]] = []
    for gate in (True, False):
        engine = Engine(gate=gate, popups=popups)
        for n in range(1, 4):
            data = invite().replace(USUAL.encode(), b"+861390000000%d" % n).replace(b"bK1", b"bK%d" % n)
            engine.receive(data.replace(b"call-1", b"call-%d" % n), (CARRIER, 5060), 1.0)
        told.append(engine.events)
    assert told[0] == told[1]


def test_its_ack_ends_the_retransmissions() -> None:
    for ack in (
        b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n",
        b"v: SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bK1\r\n",
    ):
        engine = Engine(gate=True)
        engine.receive(invite(), (CARRIER, 5060))
        engine.sent.clear()
        tail = b"From: <sip:a@b>;tag=f\r\nTo: <sip:c@d>;tag=e-tag-2\r\nCall-ID: call-1\r\nCSeq: 1 ACK\r\n\r\n"
        engine.receive(b"ACK sip:c@d SIP/2.0\r\n" + ack + tail, (CARRIER, 5060))
        for second in range(2, 40):
            engine._do(engine.core.timer(float(second)))
        assert [sent for sent in engine.sent if not sent.data.startswith(b"MESSAGE")] == []
        assert engine.core.counts()["server"] == 0


def test_a_repeated_invite_gets_the_same_answer_and_no_second_event() -> None:
    engine = Engine(gate=True)
    engine.receive(invite(), (CARRIER, 5060))
    engine.receive(invite(), (CARRIER, 5060))
    first, second = [sent.data for sent in engine.sent if sent.data.startswith(b"SIP/2.0 608")]
    assert first == second
    assert sum(isinstance(event, CallEnded) for event in engine.events) == 1


def test_a_draining_engine_has_no_gate() -> None:
    engine = Engine(gate=True)
    engine.core.command(Drain(), 1.0)
    engine.receive(invite(), (CARRIER, 5060))
    assert engine.asked == 1
    assert engine.sent[0].data.startswith(b"SIP/2.0 503 ")
