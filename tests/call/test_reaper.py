"""No call outlives its peers: whoever vanishes, at whatever point, is noticed in bounded time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec import structs

from engine.call.reaper import SELDOM_S, Watch, watch_of
from engine.model.events import CallEnded
from engine.model.media import RtpTimeout
from engine.model.screening import Action
from tests.call.kit import ACCESS, CARRIER, NUMBER, T1, Lab
from tests.call.peer import Side, sdp

AUDIT_S, RTP_TIMEOUT_S, SESSION_S = 300.0, 45.0, 600
GIVE_UP_S = 64 * T1
"""A request without an answer is over (RFC 3261 §17.1.2.2)."""


def lab(session_s: int = 0, **changes: Any) -> Lab:
    return Lab(
        **{"audit_s": AUDIT_S, "rtp_timeout_s": RTP_TIMEOUT_S, "session_expires_s": session_s, **changes}
    )


def vanish(at: Lab, *names: str) -> None:
    """Nothing comes from these hosts any more, and nothing gets there."""
    at.lose = lambda line: any(name in line.split(" ")[0] for name in names)


def silence(at: Lab) -> None:
    """The media worker tells of every leg that should send and is with a host that has vanished."""
    for session in list(at.media.sessions):
        for endpoint, host, name in (("caller", CARRIER[0], "C"), ("callee", ACCESS[0], "S")):
            told = at.media.remotes(session).get(endpoint)
            expected = told is not None and told.send and told.receive and told.host == host
            if expected and at.lose(f"{name}→E INVITE"):
                at.do(RtpTimeout(session=session, endpoint=endpoint, silent_s=RTP_TIMEOUT_S))


@pytest.mark.parametrize("rtp_timeout_s", [0.0, 45.0])
@pytest.mark.parametrize("must_send", [False, True])
@pytest.mark.parametrize(
    ("session_s", "soon_enough"), [(60.0, True), (77.0, True), (77.1, False), (1768.0, False), (inf, False)]
)
def test_every_leg_has_its_watch(
    rtp_timeout_s: float, must_send: bool, session_s: float, soon_enough: bool
) -> None:
    watch = watch_of(rtp_timeout_s=rtp_timeout_s, audit_s=45.0, must_send=must_send, session_s=session_s)
    if must_send and rtp_timeout_s:
        assert watch is Watch.MEDIA
    else:
        assert watch is (Watch.SESSION if soon_enough else Watch.AUDIT)


def test_both_sides_are_asked_and_go_on() -> None:
    at = lab()
    caller, _ = at.connect()
    at.advance(AUDIT_S)
    asked = ["E→C OPTIONS", "C→E 200 (OPTIONS)", "E→S OPTIONS", "S→E 200 (OPTIONS)"]
    assert sorted(at.ladder()) == sorted(asked)
    at.advance(AUDIT_S)
    assert sorted(at.ladder()) == sorted(asked)
    caller.bye()
    at.settle()


@pytest.mark.parametrize("status", [405, 480, 501, 500])
def test_any_answer_is_a_sign_of_life(status: int) -> None:
    at = lab()
    caller, _ = at.connect()
    at.carrier.options_status = status
    at.advance(AUDIT_S)
    assert at.of(CallEnded) == []
    caller.bye()
    at.settle()


@pytest.mark.parametrize("status", [481, 408])
def test_an_answer_that_the_dialog_is_gone_ends_the_call(status: int) -> None:
    at = lab()
    _, called = at.connect()
    at.carrier.options_status = status
    at.advance(AUDIT_S)
    assert at.ended == "upstream/timeout 200"
    assert called.has("BYE") == 1
    at.settle()


@pytest.mark.parametrize("gone", ["C", "S"])
def test_silence_ends_the_call_for_the_side_that_is_left(gone: str) -> None:
    at = lab()
    caller, called = at.connect()
    vanish(at, gone)
    at.advance(AUDIT_S + GIVE_UP_S)
    assert at.ended == "upstream/timeout 200"
    left = called if gone == "C" else caller
    assert left.has("BYE") == 1
    at.settle()


@pytest.mark.parametrize(("session_s", "asked"), [(90, False), (SESSION_S, True)])
def test_a_leg_whose_session_is_short_is_not_asked(session_s: int, asked: bool) -> None:
    at = lab(session_s=session_s)
    at.carrier.takes_offers, at.phone.takes_offers = sdp(CARRIER[0]), sdp(ACCESS[0], 50_000)
    caller, _ = at.connect()
    at.ladder()
    at.advance(AUDIT_S)
    assert any("OPTIONS" in line for line in at.ladder()) is asked
    caller.bye()
    at.settle()


@pytest.mark.parametrize("held", [False, True])
def test_an_anchored_leg_is_asked_while_it_may_be_silent(held: bool) -> None:
    at = lab()
    at.verdict(record=True)
    caller, called = at.connect()
    at.media.finish()
    if held:
        hold = caller.offer(sdp(CARRIER[0], 40_000, version=2, way="sendonly"))
        called.last("INVITE").reply(200, sdp(ACCESS[0], 50_000, way="recvonly"))
        hold.ack()
    at.ladder()
    at.advance(AUDIT_S)
    assert ("E→C OPTIONS" in at.ladder()) is held
    caller.bye()
    at.settle()


def test_no_audit_where_none_is_wanted() -> None:
    at = lab(audit_s=0.0)
    caller, _ = at.connect()
    at.advance(10 * AUDIT_S)
    assert at.ladder() == []
    caller.bye()
    at.settle()


class Vanishing(RuleBasedStateMachine):
    """Calls of all kinds get to wherever they get; then a side is gone for ever, or both."""

    @initialize(session=st.sampled_from([0, SESSION_S]), audit=st.sampled_from([AUDIT_S, 60.0]))
    def begin(self, session: int, audit: float) -> None:
        self.lab = lab(session_s=session, audit_s=audit)
        self.audit_s = audit

    @precondition(lambda self: len(self.lab.core.calls) < 3)
    @rule(record=st.booleans(), warn=st.booleans(), late=st.booleans())
    def invite(self, record: bool, warn: bool, late: bool) -> None:
        extra = {"action": Action.WARN, "announcement": "warn_callee"} if warn else {}
        self.lab.verdict(record=record, **extra)
        self.lab.carrier.invite(NUMBER, b"" if late else None)

    @rule(ring=st.booleans())
    def answer(self, ring: bool) -> None:
        for told in [told for side in self.lab.phone.calls for told in side.told if told.answered < 200]:
            if told.request.method == "INVITE":
                told.reply(180 if ring else 200, b"" if ring else sdp(ACCESS[0], 50_000))

    @rule()
    def acknowledge(self) -> None:
        for side in self.sides():
            for ask in list(side.asks.values()):
                if ask.method == "INVITE" and 200 <= ask.status < 300:
                    ask.ack(b"" if ask.body else sdp(CARRIER[0], 40_000))

    @rule(key=st.sampled_from(["1", "2"]))
    def press(self, key: str) -> None:
        self.lab.media.finish()
        for session in [each for each in self.lab.media.sessions if self.lab.media.knows(each, "callee")]:
            self.lab.media.press(key, session=session)
        self.lab.media.finish()

    @rule(pick=st.integers(0, 9), way=st.sampled_from(["sendrecv", "sendonly", "inactive"]))
    def hold(self, pick: int, way: str) -> None:
        sides = [side for side in self.sides() if side.target]
        if sides:
            side = sides[pick % len(sides)]
            side.offer(sdp(side.peer.address[0], 40_000, version=pick + 2, way=way))

    @rule(seconds=st.sampled_from([1.0, 31.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.lab.advance(seconds)

    def sides(self) -> list[Side]:
        return [*self.lab.carrier.calls, *self.lab.phone.calls]

    @rule(who=st.sampled_from([("C",), ("S",), ("C", "S")]))
    def vanish(self, who: tuple[str, ...]) -> None:
        """Everything there was before has ended within the bound, with an outcome; then both are back."""
        there = set(self.lab.core.calls)
        vanish(self.lab, *who)
        self.lab.advance(RTP_TIMEOUT_S)
        self.lab.media.finish()
        silence(self.lab)
        slowest = max(self.audit_s, RTP_TIMEOUT_S, self.lab.settings.no_answer_s, GIVE_UP_S)
        self.lab.advance(slowest + GIVE_UP_S - RTP_TIMEOUT_S + 1)
        still = there - {event.call_id for event in self.lab.of(CallEnded)}
        assert not still, [self.lab.core.calls[call_id].state for call_id in still]
        self.lab.advance(GIVE_UP_S + 3)
        assert not there & set(self.lab.core.calls)
        self.lab.lose = lambda line: False

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.vanish(("C", "S"))
            self.lab.settle()


Vanishing.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestVanishing = Vanishing.TestCase


@pytest.mark.parametrize("seed", range(20))
def test_long_walks(seed: int) -> None:
    """The same with calls that get further: hypothesis looks for the shortest trouble first."""
    chance = Random(seed)
    walk = Vanishing()
    walk.begin(session=chance.choice([0, SESSION_S]), audit=chance.choice([AUDIT_S, 60.0]))
    yes = [True, False]
    rules: dict[str, tuple[int, Callable[[], None]]] = {
        "invite": (
            4,
            lambda: walk.invite(record=chance.choice(yes), warn=chance.choice(yes), late=chance.choice(yes)),
        ),
        "answer": (6, lambda: walk.answer(ring=chance.choice([True, False, False]))),
        "acknowledge": (6, lambda: walk.acknowledge()),
        "press": (4, lambda: walk.press(key=chance.choice(["1", "1", "2"]))),
        "hold": (2, lambda: walk.hold(chance.randrange(10), chance.choice(["sendrecv", "sendonly"]))),
        "wait": (1, lambda: walk.wait(chance.choice([1.0, 31.0, 200.0]))),
        "vanish": (1, lambda: walk.vanish(chance.choice([("C",), ("S",), ("C", "S")]))),
    }
    for name in chance.choices(list(rules), [weight for weight, _ in rules.values()], k=80):
        if name != "invite" or len(walk.lab.core.calls) < 3:
            rules[name][1]()
    walk.teardown()


@pytest.mark.parametrize("gone", [CARRIER, ACCESS])
def test_an_audit_that_cannot_be_sent_ends_no_call_at_once(gone: tuple[str, int]) -> None:
    """A closed connection is a 503 (RFC 3261 §8.1.3.1), which ends no dialog; the next goes by another."""
    at = lab()
    caller, called = at.connect()
    at.unreachable.add(gone)
    at.advance(AUDIT_S)
    at.unreachable.clear()
    at.advance(AUDIT_S)
    at.unreachable.add(gone)
    at.advance(AUDIT_S)
    assert (at.of(CallEnded), caller.has("BYE"), called.has("BYE")) == ([], 0, 0)
    at.advance(AUDIT_S)
    assert at.ended == "upstream/timeout 200"
    at.unreachable.clear()
    at.settle()


def helped(audit_s: float = 45.0) -> tuple[Lab, Side, Side]:
    """A call with a number for help, whose media goes past us."""
    at = lab(audit_s=audit_s)
    at.verdict(protected=True)
    return at, *at.connect()


def test_a_call_for_help_is_asked_about_seldom() -> None:
    at, caller, _ = helped()
    at.lose = lambda line: "OPTIONS" in line
    at.ladder()
    at.advance(SELDOM_S - 1)
    assert at.ladder() == []
    at.advance(1)
    assert {"E→C OPTIONS", "E→S OPTIONS"} <= set(at.ladder())
    at.lose = lambda line: False
    at.advance(GIVE_UP_S)
    assert at.of(CallEnded) == []
    caller.bye()
    at.settle()


def test_a_call_for_help_is_asked_about_no_oftener_than_others() -> None:
    at, caller, _ = helped(audit_s=2 * SELDOM_S)
    at.ladder()
    at.advance(2 * SELDOM_S - 1)
    assert at.ladder() == []
    at.advance(1)
    assert "E→C OPTIONS" in at.ladder()
    caller.bye()
    at.settle()


@pytest.mark.parametrize("status", [None, 408, 481])
def test_a_call_for_help_whose_peer_is_gone_ends(status: int | None) -> None:
    at, _, called = helped()
    at.carrier.options_status = status
    at.advance(SELDOM_S + (GIVE_UP_S if status is None else 0))
    assert at.ended == "upstream/timeout 200"
    assert called.has("BYE") == 1
    at.settle()


@pytest.mark.parametrize("asked_before", [False, True])
def test_what_was_asked_or_due_before_a_call_is_one_for_help_ends_it_not(asked_before: bool) -> None:
    at = lab(audit_s=45.0)
    caller, _ = at.connect()
    at.lose = lambda line: "OPTIONS" in line
    at.advance(46 if asked_before else 44)
    (call,) = at.core.calls.values()
    call.decision = structs.replace(call.decision, protected=True)
    at.ladder()
    at.advance(SELDOM_S - 5)
    assert at.of(CallEnded) == []
    caller.bye()
    at.settle()
