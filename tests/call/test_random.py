"""Calls under random peers, clocks, losses and media: whatever comes, promises hold and nothing leaks."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from engine.call.answering import capture
from engine.call.credentials import Credentials
from engine.call.table import State
from engine.call.values import Decision, ScreeningRequest
from engine.model.events import Alarm, CallEnded, CallStarted
from engine.model.ids import CallId
from engine.model.media import Play, RtpTimeout, StartCapture
from engine.model.outcome import Blame
from engine.model.screening import Action
from tests.call.kit import ACCESS, AGENT, CARRIER, NUMBER, POPUP, TRUNKS, Lab, allow
from tests.call.peer import Ask, Side, Told, sdp

WARN = {"action": Action.WARN, "announcement": "warn_callee", "label": "Suspected fraud"}
REJECT = {"action": Action.REJECT, "redress": "https://example.org/a"}
KINDS: dict[str, dict[str, Any]] = {
    "clean": {},
    "recorded": {"record": True},
    "labelled": {"action": Action.LABEL, "label": "Suspected fraud", "popup": POPUP},
    "warned": WARN,
    "warned and recorded": WARN | {"record": True, "popup": POPUP},
    "rejected": REJECT | {"popup": POPUP},
    "announced": REJECT | {"announcement": "rejected_608"},
    "unrouted": {"hops": ()},
    "protected": {"protected": True, "rule": "emergency"},
}
BODIES = {
    "good": lambda host: sdp(host),
    "none": lambda host: b"",
    "hold": lambda host: sdp(host, version=2, way="sendonly"),
    "foreign": lambda host: sdp(host, formats="18"),
    "bad": lambda host: b"nonsense",
}
bodies = st.sampled_from(["good", "good", "good", "none", "hold", "foreign", "bad"])
STATUSES = (100, 180, 183, 199, 200, 200, 200, 302, 401, 407, 408, 422, 481, 486, 487, 488, 491, 500, 603)
statuses = st.sampled_from(STATUSES)
picks = st.integers(0, 10_000)
UPDATES = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, INFO, REFER, NOTIFY")
WANTS: dict[str, list[tuple[str, str]]] = {
    "nothing": [],
    "update": [UPDATES],
    "can": [("Supported", "100rel, timer"), UPDATES],
    "must": [("Require", "100rel"), ("Supported", "timer"), UPDATES],
    "refreshes": [("Session-Expires", "90;refresher=uac"), ("Supported", "timer")],
    "is refreshed": [("Session-Expires", "90;refresher=uas"), ("Supported", "100rel, timer"), UPDATES],
}
"""What a peer's INVITE asks for beside the call, or its answer says."""
wants = st.sampled_from(sorted(WANTS))
INSIDE: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {
    "BYE": ("BYE", [], b""),
    "INVITE": ("INVITE", [], b"offer"),
    "UPDATE": ("UPDATE", [], b"offer"),
    "refresh": ("UPDATE", WANTS["refreshes"], b""),
    "refresh by INVITE": ("INVITE", WANTS["refreshes"], b"offer"),
    "key": ("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=1\r\nDuration=100\r\n"),
    "INFO": ("INFO", [], b""),
    "REFER": ("REFER", [("Refer-To", "<sip:96110@127.0.20.1>")], b""),
    "silent REFER": ("REFER", [("Refer-To", "<sip:1@127.0.20.1>"), ("Refer-Sub", "false")], b""),
    "NOTIFY": ("NOTIFY", [("Event", "refer")], b""),
    "PRACK": ("PRACK", [("RAck", "1 1 INVITE")], b""),
    "OPTIONS": ("OPTIONS", [], b""),
}
"""What a peer may say inside a dialog."""
FOLLOWS = ("ack", "ack", "ack", "cancel", "again", "prack", "prack", "prack with an offer", "early bye")


class Calls(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        trunks = {name: structs.replace(trunk, refer=True) for name, trunk in TRUNKS.items()}
        self.lab = Lab(trunks=trunks)
        self.peers = [self.lab.carrier, self.lab.phone, self.lab.agent]
        self.protected: set[CallId] = set()
        self.ended_by_command: set[CallId] = set()
        self.gave_notice = False
        self.rseq = 0
        self.skip = 0
        self.lab.lose = self.lost
        self.lab.media.check = self.captured

    def lost(self, line: str) -> bool:
        if self.skip:
            self.skip -= 1
            return True
        return False

    def captured(self, command: StartCapture) -> None:
        """Nothing is recorded of people who have not been told."""
        if command.left == "agent":
            assert self.gave_notice
            return
        for endpoint in (command.left, command.right):
            assert (command.session, endpoint, "recording_notice") in self.lab.media.heard

    # --- what peers do ---

    def decide(self, kind: str, *, known: bool = False) -> Callable[[ScreeningRequest], Decision]:
        def decided(request: ScreeningRequest) -> Decision:
            decision = structs.replace(allow(request), **KINDS[kind])
            trunk = "access" if request.trunk == "carrier" else "carrier"
            ours = Credentials("ringward", "secret") if known else None
            hops = tuple(structs.replace(hop, trunk=trunk, credentials=ours) for hop in decision.hops)
            return structs.replace(decision, hops=hops * (1 + known))

        return decided

    @precondition(lambda self: len(self.lab.core.calls) < 3)
    @rule(
        kind=st.sampled_from(sorted(KINDS)),
        body=bodies,
        outbound=st.booleans(),
        want=wants,
        known=st.booleans(),
    )
    def invite(self, kind: str, body: str, outbound: bool, want: str, known: bool) -> None:
        self.lab.decide = self.decide(kind, known=known)
        peer = self.lab.phone if outbound else self.lab.carrier
        started = len(self.lab.of(CallStarted))
        peer.invite(NUMBER, BODIES[body](peer.address[0]), WANTS[want])
        if kind == "protected":
            self.protected |= {event.call_id for event in self.lab.of(CallStarted)[started:]}

    @precondition(lambda self: len(self.lab.core.calls) < 3)
    @rule(record=st.booleans())
    def place(self, record: bool) -> None:
        self.lab.place(record=record)

    def sides(self) -> list[Side]:
        return [side for peer in self.peers for side in peer.calls]

    def told(self) -> list[Told]:
        """Requests that still want a final answer, or got a 2xx that could be sent again."""
        return [told for side in self.sides() for told in side.told if told.answered < 300]

    def asks(self, method: str = "") -> list[Ask]:
        return [
            ask for side in self.sides() for ask in side.asks.values() if not method or ask.method == method
        ]

    @precondition(lambda self: self.told())
    @rule(pick=picks, status=statuses, body=bodies, want=wants, reliable=st.booleans())
    def reply(self, pick: int, status: int, body: str, want: str, reliable: bool) -> None:
        told = self.told()
        chosen = told[-1 - pick % min(len(told), 4)]
        if not chosen.answered or chosen.answered < 200 or status == chosen.answered:
            described = chosen.request.method == "INVITE" and status in (180, 183, 200)
            host = chosen.peer.address[0]
            headers = self.headers(status, want, reliable=reliable and chosen.request.method == "INVITE")
            chosen.reply(status, BODIES[body](host) if described else b"", headers)

    def headers(self, status: int, want: str, *, reliable: bool) -> list[tuple[str, str]]:
        if status in (401, 407):
            self.rseq += 1
            name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
            stale = ", stale=true" if self.rseq % 3 else ""
            return [(name, f'Digest realm="r", nonce="n{self.rseq}", qop="auth"{stale}')]
        if status == 422:
            return [("Min-SE", "2000")]
        if status == 302:
            self.rseq += 1
            return [
                ("Contact", f"<sip:139000000{self.rseq % 3}@{ACCESS[0]}>, <tel:1391>;q=0.{self.rseq % 10}")
            ]
        if 100 < status < 200 and reliable:
            self.rseq += 1 if self.rseq % 5 else 2  # now and then one is lost
            return [("Require", "100rel"), ("RSeq", str(self.rseq))]
        return [row for row in WANTS[want] if row[0] != "Require"] if 200 <= status < 300 else []

    @precondition(lambda self: any(told.answered < 200 for told in self.told()))
    @rule(pick=picks, rings=st.booleans(), media=st.booleans(), want=wants, reliable=st.booleans())
    def answer(self, pick: int, rings: bool, media: bool, want: str, reliable: bool) -> None:
        """As a phone does that works."""
        told = [told for told in self.told() if told.answered < 200]
        chosen = told[-1 - pick % len(told)]
        if rings:
            headers = self.headers(180, want, reliable=reliable and chosen.request.method == "INVITE")
            chosen.reply(183 if media else 180, sdp(chosen.peer.address[0]) if media else b"", headers)
        else:
            described = chosen.request.method == "INVITE" or (
                chosen.request.method == "UPDATE" and bool(chosen.request.body)
            )
            body = sdp(chosen.peer.address[0]) if described else b""
            chosen.reply(200, body, self.headers(200, want, reliable=False))

    @precondition(lambda self: self.asks("INVITE"))
    @rule(pick=picks, what=st.sampled_from(FOLLOWS), body=bodies)
    def follow(self, pick: int, what: str, body: str) -> None:
        asks = self.asks("INVITE")
        ask = asks[-1 - pick % min(len(asks), 4)]
        if what == "again":
            ask.send()
        elif what == "cancel":
            ask.cancel()
        elif 100 < ask.status < 200:
            if what == "early bye":
                ask.side.follow(ask.last)
                ask.side.bye()
            elif what.startswith("prack"):
                offers = what != "prack" or not ask.body
                ask.side.prack(ask.last, BODIES[body](ask.side.peer.address[0]) if offers else b"")
        elif 200 <= ask.status < 300:
            ask.ack(BODIES[body](ask.side.peer.address[0]) if not ask.body else b"")

    @precondition(lambda self: any(side.target for side in self.sides()))
    @rule(pick=picks, what=st.sampled_from(sorted(INSIDE)), body=bodies)
    def inside(self, pick: int, what: str, body: str) -> None:
        sides = [side for side in self.sides() if side.target]
        side = sides[-1 - pick % min(len(sides), 6)]
        method, headers, said = INSIDE[what]
        side.ask(method, BODIES[body](side.peer.address[0]) if said == b"offer" else said, headers)

    @precondition(lambda self: any(side.target and side.remote_tag for side in self.sides()))
    @rule(pick=picks, other=picks, newcomer=st.booleans())
    def put_through(self, pick: int, other: int, newcomer: bool) -> None:
        """REFER with Replaces, or INVITE with Replaces, for a dialog that there may be."""
        sides = [side for side in self.sides() if side.target and side.remote_tag]
        side, named = sides[-1 - pick % min(len(sides), 4)], sides[-1 - other % min(len(sides), 4)]
        value = f"{named.call_id};to-tag={named.remote_tag};from-tag={named.tag}"
        if newcomer:
            side.peer.invite(NUMBER, headers=[("Replaces", value)])
        else:
            escaped = value.replace(";", "%3B").replace("=", "%3D")
            side.ask("REFER", headers=[("Refer-To", f"<sip:1391@example.org?Replaces={escaped}>")])

    @precondition(lambda self: any(side.target for side in self.lab.agent.calls))
    @rule(what=st.sampled_from(["notice-given", "notice-given", "outcome=dissuaded"]))
    def report(self, what: str) -> None:
        side = self.lab.agent.calls[-1]
        self.gave_notice |= what == "notice-given"
        method = "INFO" if what == "notice-given" else "BYE"
        side.ask(method, headers=[("Ringward-Agent", what)])

    @rule(data=st.binary(max_size=80), cut=st.integers(0, 400), pick=picks)
    def mangled(self, data: bytes, cut: int, pick: int) -> None:
        """Something that was sent before, damaged."""
        sent = self.lab.sent_to_engine
        if sent:
            source, whole = sent[pick % len(sent)]
            self.lab.post(source, self.lab.engine, whole[:cut] + data + whole[cut + len(data) :])

    # --- what the network, the clock and the worker do ---

    @rule(seconds=st.sampled_from([0.1, 0.3, 0.6, 3.0, 3.0, 5.1, 10.1, 33.0, 61.0, 900.0]))
    def wait(self, seconds: float) -> None:
        self.lab.advance(seconds)

    @rule(most=st.integers(1, 2))
    def spoken(self, most: int) -> None:
        self.lab.media.finish(most)

    @precondition(lambda self: self.lab.media.sessions)
    @rule(
        what=st.sampled_from(["1", "1", "2", "0", "silent"]),
        endpoint=st.sampled_from(["callee", "callee", "caller", "agent"]),
        pick=picks,
    )
    def heard(self, what: str, endpoint: str, pick: int) -> None:
        """A key, or nothing for long, from somebody to whom the worker listens."""
        media = self.lab.media
        session = list(media.sessions)[-1 - pick % len(media.sessions)]
        if not media.knows(session, endpoint):
            return
        if what == "silent":
            self.lab.do(RtpTimeout(session=session, endpoint=endpoint, silent_s=45))
        else:
            media.press(what, endpoint, session)

    @rule(
        trouble=st.sampled_from(
            [
                *("lost", "lost twice", "doubled", "single", "nobody there", "all there", "unspoken"),
                *("worker dies", "worker slow", "worker quick", "disk slow", "disk full", "disk well"),
                *("bye ignored", "bye refused", "cancel ignored", "popups ignored", "polite", "end", "drain"),
            ]
        ),
        pick=picks,
    )
    def trouble(self, trouble: str, pick: int) -> None:
        lab, media = self.lab, self.lab.media
        match trouble:
            case "lost" | "lost twice":
                self.skip = len(trouble.split())
            case "doubled" | "single":
                lab.double = lambda line: trouble == "doubled"
            case "nobody there":
                lab.unreachable = {(ACCESS, CARRIER, AGENT)[pick % 3]}
            case "all there":
                lab.unreachable = set()
            case "unspoken":
                media.miss(1 + pick % 2)
            case "worker dies":
                media.lose()
            case "worker slow":
                media.opens = False
            case "worker quick":
                media.opens = True
                media.open()
                lab.pump()
            case "disk slow" | "disk well":
                media.opens_files = media.closes_files = trouble == "disk well"
                media.captures_fail = False
            case "disk full":
                media.captures_fail = True
            case "end":
                self.ended_by_command |= set(lab.core.calls)
                lab.end()
            case "drain":
                if not pick % 7:  # no call is taken after it
                    lab.drain()
            case _:
                self.manners(trouble)

    def manners(self, trouble: str) -> None:
        for peer in self.peers:
            peer.bye_status = {"bye ignored": None, "bye refused": 481}.get(trouble, 200)
            peer.takes_cancel = trouble != "cancel ignored"
            peer.message_status = None if trouble == "popups ignored" else 200
        self.lab.bus = "" if trouble == "popups ignored" else "acknowledged"

    # --- what must hold ---

    @invariant()
    def promises_hold(self) -> None:
        lab = self.lab
        assert [alarm.detail for alarm in lab.of(Alarm) if alarm.slug == "internal"] == []
        ended = [event.call_id for event in lab.of(CallEnded)]
        assert len(ended) == len(set(ended))
        assert set(ended) <= {event.call_id for event in lab.of(CallStarted)}
        assert all(call.state is not State.ENDED for call in lab.core.calls.values())
        for event in lab.of(CallEnded):
            if event.call_id in self.protected and event.outcome.blame in (Blame.POLICY, Blame.ENGINE):
                assert event.call_id in self.ended_by_command
        for call in lab.core.calls.values():
            assert call.call_id not in self.protected or call.anchor is None

    def teardown(self) -> None:
        if not hasattr(self, "lab"):
            return
        lab = self.lab
        self.skip = 0
        lab.media.closes_files = True
        lab.end()
        lab.media.close_files()
        lab.settle()


Calls.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, derandomize=True, deadline=None, print_blob=True
)
TestCalls = Calls.TestCase


def test_the_walk_can_see_a_capture_without_notice() -> None:
    """The check itself is alive."""
    walk = Calls()
    walk.begin()
    walk.lab.decide = walk.decide("recorded")
    ask = walk.lab.carrier.invite(NUMBER)
    walk.lab.phone.calls[0].invite.reply(200, sdp(ACCESS[0]))
    ask.ack()
    (call,) = walk.lab.core.calls.values()
    assert {play.endpoint for play in walk.lab.media.commands if isinstance(play, Play)} == {
        "caller",
        "callee",
    }
    capture(call)
    try:
        walk.lab.advance(0)
        walk.lab.end()
    except AssertionError:
        return
    raise AssertionError("a capture without notice went unseen")


def steps(chance: Random) -> dict[str, tuple[int, Callable[[Calls], None]]]:
    """Each rule with its weight, for walks that get further than those that look for trouble first."""
    choose = chance.choice

    def pick() -> int:
        return chance.randrange(10_000)

    def body() -> str:
        return choose(["good"] * 6 + sorted(BODIES))

    troubles = [
        *("lost", "doubled", "single", "nobody there", "all there", "all there", "unspoken", "worker dies"),
        *("worker slow", "worker quick", "worker quick", "disk slow", "disk full", "disk well", "end"),
        *("bye ignored", "bye refused", "cancel ignored", "popups ignored", "polite", "polite"),
    ]
    inside = ["BYE", "INVITE", "INVITE", "UPDATE", "UPDATE", "REFER", *sorted(INSIDE)]
    want = sorted(WANTS)
    reports = ["notice-given", "notice-given", "outcome=dissuaded"]
    heard = ["1", "1", "1", "2", "0", "silent"]
    who, yes = ["callee", "callee", "caller", "agent"], [True, False]
    return {
        "invite": (
            4,
            lambda c: c.invite(
                kind=choose(sorted(KINDS)),
                body=body(),
                outbound=choose(yes),
                want=choose(want),
                known=choose(yes),
            ),
        ),
        "place": (1, lambda c: c.place(record=choose(yes))),
        "answer": (
            12,
            lambda c: c.answer(
                pick=pick(),
                rings=choose([1, 0, 0]),
                media=choose(yes),
                want=choose(want),
                reliable=choose(yes),
            ),
        ),
        "reply": (
            2,
            lambda c: c.reply(
                pick=pick(), status=choose(STATUSES), body=body(), want=choose(want), reliable=choose(yes)
            ),
        ),
        "ack": (8, lambda c: c.follow(pick=pick(), what="ack", body=body())),
        "prack": (6, lambda c: c.follow(pick=pick(), what="prack", body=body())),
        "follow": (1, lambda c: c.follow(pick=pick(), what=choose(FOLLOWS), body=body())),
        "inside": (4, lambda c: c.inside(pick=pick(), what=choose(inside), body=body())),
        "put through": (
            3,
            lambda c: c.put_through(pick=pick(), other=pick(), newcomer=choose(yes)),
        ),
        "report": (2, lambda c: c.report(what=choose(reports))),
        "spoken": (6, lambda c: c.spoken(most=choose([1, 2]))),
        "heard": (5, lambda c: c.heard(what=choose(heard), endpoint=choose(who), pick=pick())),
        "wait": (3, lambda c: c.wait(seconds=choose([0.1, 0.3, 3.0, 10.1, 33.0, 60.0]))),
        "mangled": (
            1,
            lambda c: c.mangled(data=chance.randbytes(pick() % 60), cut=pick() % 500, pick=pick()),
        ),
        "trouble": (2, lambda c: c.trouble(trouble=choose(troubles), pick=pick())),
    }


def may(walk: Calls, name: str) -> bool:
    """The preconditions of the rules."""
    match name:
        case "invite" | "place":
            return len(walk.lab.core.calls) < 3
        case "answer" | "reply":
            return any(told.answered < 200 for told in walk.told())
        case "ack" | "follow" | "prack":
            return bool(walk.asks("INVITE"))
        case "inside":
            return any(side.target for side in walk.sides())
        case "put through":
            return any(side.target and side.remote_tag for side in walk.sides())
        case "report":
            return any(side.target for side in walk.lab.agent.calls)
        case "heard":
            return bool(walk.lab.media.sessions)
    return True


@pytest.mark.parametrize("seed", range(25))
def test_long_walks(seed: int) -> None:
    chance = Random(seed)
    walk = Calls()
    walk.begin()
    rules = steps(chance)
    names, weights = list(rules), [weight for weight, _ in rules.values()]
    for name in chance.choices(names, weights, k=300):
        if may(walk, name):
            rules[name][1](walk)
            walk.promises_hold()
    walk.teardown()
