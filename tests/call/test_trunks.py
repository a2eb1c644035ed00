"""Trunks in virtual time: which hops a call gets, what limits and health do to them, names looked up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from engine.call.trunk import Dialled, Route
from engine.call.trunks import Trunks
from engine.call.values import Decision, Resolved, ScreeningRequest
from engine.model.events import Alarm, TrunkChanged
from engine.model.ids import CallId
from engine.model.screening import Action
from engine.model.trunk_sections import HealthSection, NextHopSection, TranslationSection, TrunkSection
from engine.sip.location import Location, Server, Target
from scoring.numbers import Numbering
from tests.call.kit import ACCESS, CALLER, CARRIER, ENGINE, NUMBER, SUBSCRIBER, Lab
from tests.call.peer import Peer, sdp

SECOND, THIRD = ("127.0.30.2", 5060), ("127.0.30.3", 5060)
PINGED = HealthSection(options_s=10, timeout_s=2, failures=3, recoveries=2)
NUMBERING = Numbering()


def trunk(*hosts: tuple[str, int] | str, **fields: Any) -> TrunkSection:
    """An access trunk to these places."""
    uris = [each if isinstance(each, str) else f"sip:{each[0]}:{each[1]}" for each in hosts]
    places = tuple(NextHopSection(uri=uri, priority=priority) for priority, uri in enumerate(uris))
    return TrunkSection(**({"side": "access", "next_hops": places} | fields))


def dialled(text: str) -> Dialled:
    return Dialled(NUMBERING.of_user(text), text, text)


def route(trunks: Trunks, called: str = NUMBER, *, protected: bool = False, side: str = "access") -> Route:
    return trunks.route(side, dialled("+8613800000001"), dialled(called), protected=protected)


def hosts(found: Route) -> list[str]:
    return [hop.address.host for hop in found.hops]


class TrunkLab(Lab):
    """The lab with several phones' sides, and calls that go where its trunks say."""

    def __init__(self, *, protected: bool = False, **sections: TrunkSection) -> None:
        carrier = TrunkSection(side="carrier", match=(CARRIER[0],))
        super().__init__(trunks={"carrier": carrier} | sections)
        self.second = Peer("S2", SECOND, ENGINE, self.post)
        self.third = Peer("S3", THIRD, ENGINE, self.post)
        self.join(self.second)
        self.join(self.third)
        self.protected = protected
        self.decide = self.routed

    def routed(self, request: ScreeningRequest) -> Decision:
        found = route(self.core.trunks, request.called, protected=self.protected)
        return Decision(
            Action.ALLOW,
            CALLER,
            SUBSCRIBER,
            hops=found.hops,
            unrouted=found.unrouted,
            retry_after_s=round(found.wait_s),
            protected=self.protected,
        )

    def pings(self) -> list[str]:
        """Who was sent an OPTIONS since it was last asked."""
        return [line.split()[0].partition("→")[2] for line in self.ladder() if line.endswith(" OPTIONS")]

    @property
    def changes(self) -> list[str]:
        return [
            f"{each.target} {'up' if each.up else 'down'} {each.reason}" for each in self.of(TrunkChanged)
        ]

    @property
    def alarms(self) -> list[str]:
        return [alarm.slug for alarm in self.of(Alarm)]


# --- which way ---


def test_the_longest_prefix_takes_the_call() -> None:
    trunks = Trunks(
        {
            "all": trunk(ACCESS),
            "province": trunk(SECOND, prefixes=("+86139",)),
            "city": trunk(THIRD, prefixes=("+861390000", "100")),
        }
    )
    assert hosts(route(trunks, "13900000002")) == [THIRD[0], SECOND[0], ACCESS[0]]
    assert hosts(route(trunks, "13912345678")) == [SECOND[0], ACCESS[0]]
    assert hosts(route(trunks, "13800000002")) == [ACCESS[0]]
    assert hosts(route(trunks, "10086")) == [THIRD[0], ACCESS[0]]


def test_no_trunk_takes_the_call_but_an_emergency_call_finds_one() -> None:
    trunks = Trunks({"city": trunk(ACCESS, prefixes=("+861390000",))})
    assert route(trunks, "13800000002") == Route(unrouted="not_routed")
    assert hosts(route(trunks, "110", protected=True)) == [ACCESS[0]]
    assert route(trunks, side="carrier").unrouted == "not_routed"


def test_priority_first_then_chance_by_weight() -> None:
    chance = Random(3)
    trunks = Trunks(
        {
            "backup": trunk(THIRD, priority=2),
            "large": trunk(ACCESS, weight=30),
            "small": trunk(SECOND, weight=10),
        },
        draw=lambda most: chance.randint(0, most),
    )
    first: Counter[str] = Counter()
    for _ in range(2000):
        found = hosts(route(trunks))
        assert found[2] == THIRD[0]
        first[found[0]] += 1
    assert 1350 < first[ACCESS[0]] < 1650
    assert first[ACCESS[0]] + first[SECOND[0]] == 2000


def test_each_trunk_gets_the_numbers_its_own_way() -> None:
    trunks = Trunks(
        {
            "plain": trunk(ACCESS),
            "pbx": trunk(
                SECOND,
                priority=2,
                called_format="national",
                called_out=(TranslationSection(match="1", prefix="9"),),
                calling_format="e164",
                username="u",
                password="p",
                trusted_identity=True,
            ),
        }
    )
    numbers = [NUMBERING.of_user(text) for text in ("13800000001", "+8613900000002")]
    found = trunks.route(
        "access",
        Dialled(numbers[0], "13800000001", "13800000001"),
        Dialled(numbers[1], "+8613900000002", "+8613900000002"),
        protected=False,
    )
    plain, pbx = found.hops
    assert (plain.trunk, plain.called_user, plain.calling_user, plain.trusted) == ("plain", "", "", False)
    assert (pbx.called_user, pbx.calling_user) == ("913900000002", "+8613800000001")
    assert pbx.credentials is not None and pbx.trusted


def test_a_protected_number_is_not_rewritten() -> None:
    rules = (TranslationSection(prefix="9"),)
    trunks = Trunks({"pbx": trunk(SECOND, called_out=rules)})
    assert route(trunks, "110", protected=True).hops[0].called_user == ""
    assert route(trunks, "10086").hops[0].called_user == "910086"


def test_rules_of_the_way_in_go_on_to_the_way_out() -> None:
    section = trunk(ACCESS, called_in=(TranslationSection(match="9", strip=1),))
    trunks = Trunks({"pbx": section})
    assert trunks.meaning("pbx", "+8613800000001", "913900000002") == ("+8613800000001", NUMBER)
    number = NUMBERING.of_user(NUMBER)
    found = trunks.route(
        "access", dialled("+8613800000001"), Dialled(number, "913900000002", NUMBER), protected=False
    )
    assert found.hops[0].called_user == NUMBER


# --- one after the other ---


@pytest.fixture
def lab() -> Iterator[TrunkLab]:
    lab = TrunkLab(one=trunk(ACCESS, priority=1, failover_statuses=(503,)), two=trunk(SECOND, priority=2))
    yield lab
    lab.settle()


def test_the_next_trunk_takes_the_call_when_one_refuses(lab: TrunkLab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[-1].invite.reply(503)
    called = lab.second.calls[-1]
    called.invite.reply(200, sdp(SECOND[0]))
    ask.ack()
    assert lab.core.trunks.states()[1].calls_out == 1
    assert [state.calls_out for state in lab.core.trunks.states()] == [0, 1]
    called.bye()
    assert lab.ended == "callee/hung_up 200"


def test_a_target_that_is_down_is_passed_over(lab: TrunkLab) -> None:
    for _ in range(3):
        ask = lab.carrier.invite(NUMBER)
        lab.phone.calls[-1].invite.reply(503)
        lab.second.calls[-1].invite.reply(486)
        assert ask.status == 486
    assert lab.changes == [f"udp:{ACCESS[0]}:5060 down 503"]
    assert lab.alarms == ["trunk_down"]
    lab.ladder()
    lab.carrier.invite(NUMBER)
    lab.second.calls[-1].invite.reply(486)
    assert "E→S INVITE" not in lab.ladder()
    lab.advance(30)  # without OPTIONS a call finds out
    for _ in range(2):
        lab.carrier.invite(NUMBER)
        lab.phone.calls[-1].invite.reply(486)
    assert lab.changes[1:] == [f"udp:{ACCESS[0]}:5060 up answered"]
    assert lab.alarms == ["trunk_down", "trunk_up"]


@pytest.mark.parametrize("status", [200, 486])
def test_whoever_has_answered_has_not_failed_so_far(lab: TrunkLab, status: int) -> None:
    """Two failures, a sign of life, and two more: never three in a row."""
    for _ in range(2):
        for _ in range(2):
            lab.carrier.invite(NUMBER)
            lab.phone.calls[-1].invite.reply(503)
            lab.second.calls[-1].invite.reply(486)
        ask = lab.carrier.invite(NUMBER)
        called = lab.phone.calls[-1]
        called.invite.reply(status, sdp(ACCESS[0]) if status == 200 else b"")
        if status == 200:
            ask.ack()
            called.bye()
    assert (lab.changes, lab.core.trunks.ailing) == ([], False)


def test_where_all_are_down_they_are_tried_all_the_same(lab: TrunkLab) -> None:
    for _ in range(4):
        ask = lab.carrier.invite(NUMBER)
        lab.phone.calls[-1].invite.reply(503)
        lab.second.calls[-1].invite.reply(503)
        assert ask.status == 500
    assert len(lab.changes) == 2
    assert sorted(hosts(route(lab.core.trunks))) == sorted([ACCESS[0], SECOND[0]])


def test_an_emergency_call_tries_what_is_down_as_well(lab: TrunkLab) -> None:
    for _ in range(3):
        lab.carrier.invite(NUMBER)
        lab.phone.calls[-1].invite.reply(503)
        lab.second.calls[-1].invite.reply(486)
    assert hosts(route(lab.core.trunks)) == [SECOND[0]]
    assert hosts(route(lab.core.trunks, "110", protected=True)) == [SECOND[0], ACCESS[0]]


# --- OPTIONS ---


@pytest.fixture
def pinged() -> Iterator[TrunkLab]:
    lab = TrunkLab(one=trunk(ACCESS, SECOND, health=PINGED))
    lab.phone.options_status = None
    lab.second.options_status = 405
    yield lab


def test_pings_take_a_silent_target_down_and_up_again(pinged: TrunkLab) -> None:
    lab = pinged
    lab.advance(10)
    assert sorted(set(lab.pings())) == ["S", "S2"]
    lab.advance(40)
    # any response will do: 405 says that somebody is there
    assert lab.changes == [f"udp:{ACCESS[0]}:5060 down timeout"]
    assert lab.alarms == []  # the trunk has another target
    assert hosts(route(lab.core.trunks)) == [SECOND[0]]
    lab.phone.options_status = 200
    lab.advance(40)
    assert lab.changes[1:] == [f"udp:{ACCESS[0]}:5060 up answered"]
    assert hosts(route(lab.core.trunks)) == [ACCESS[0], SECOND[0]]


@pytest.mark.parametrize(
    ("status", "down"), [(200, False), (404, False), (500, False), (408, True), (503, True)]
)
def test_which_responses_count_as_alive(pinged: TrunkLab, status: int, down: bool) -> None:
    pinged.phone.options_status = status
    pinged.advance(60)
    assert bool(pinged.changes) is down


def test_pings_leave_nothing_behind(pinged: TrunkLab) -> None:
    pinged.advance(1000)
    counts = pinged.core.counts()
    assert counts["pings"] <= 2
    assert sum(counts.values()) < 40


def test_an_options_is_a_request_of_ours(pinged: TrunkLab) -> None:
    pinged.advance(10)
    request = pinged.second.options[0].request
    assert str(request.uri) == f"sip:{SECOND[0]}:5060"
    assert request.get("Accept") == "application/sdp"
    assert request.contact is not None and request.contact.uri.host == ENGINE[0]


# --- limits ---


def test_more_calls_than_a_trunk_may_bring_are_sent_away() -> None:
    lab = TrunkLab(one=trunk(ACCESS), carrier=TrunkSection(side="carrier", match=(CARRIER[0],), max_calls=1))
    first = lab.carrier.invite(NUMBER)
    second = lab.carrier.invite(NUMBER)
    assert second.status == 503
    assert second.last.get("Retry-After") == "1"
    assert lab.ended == "engine/over_limit 503"
    lab.phone.calls[-1].invite.reply(486)
    assert first.status == 486
    assert lab.carrier.invite(NUMBER).status == 100
    lab.end()
    lab.settle()


def test_an_emergency_call_passes_every_limit() -> None:
    carrier = TrunkSection(side="carrier", match=(CARRIER[0],), max_calls=1, max_calls_per_s=0.1)
    lab = TrunkLab(carrier=carrier, one=trunk(ACCESS, max_calls=1))
    lab.carrier.invite(NUMBER)
    lab.protected = True
    for _ in range(3):
        assert lab.carrier.invite("110").status == 100
    assert len(lab.phone.calls) == 4
    lab.protected = False
    assert lab.carrier.invite(NUMBER).status == 503
    for call in lab.phone.calls:
        call.invite.reply(486)
    lab.settle()


def test_a_trunk_at_its_limit_is_passed_over() -> None:
    lab = TrunkLab(one=trunk(ACCESS, max_calls=1), two=trunk(SECOND, priority=2, max_calls_per_s=1))
    for _ in range(2):
        lab.carrier.invite(NUMBER)
    assert (len(lab.phone.calls), len(lab.second.calls)) == (1, 1)
    refused = lab.carrier.invite(NUMBER)
    assert (refused.status, refused.last.get("Retry-After")) == (503, "1")
    lab.advance(1.0)
    lab.carrier.invite(NUMBER)
    assert len(lab.second.calls) == 2
    for call in (*lab.phone.calls, *lab.second.calls):
        call.invite.reply(486)
    lab.settle()


# --- names ---


def located(query_id: str, *hosts: str, ttl_s: float = 60.0, reason: str = "") -> Resolved:
    servers = tuple(Server((Target("udp", host, 5060),), place) for place, host in enumerate(hosts))
    return Resolved(query_id, Location(servers, ttl_s, reason))


@pytest.fixture
def named() -> Iterator[TrunkLab]:
    lab = TrunkLab(one=trunk("sip:pbx.example.org"))
    lab.advance(0)
    yield lab
    lab.settle()


def test_a_call_before_the_name_is_known_reaches_nobody(named: TrunkLab) -> None:
    assert [str(each.uri) for each in named.lookups] == ["sip:pbx.example.org"]
    assert named.carrier.invite(NUMBER).status == 503
    assert named.ended == "upstream/unreachable 503"


def test_a_name_is_looked_up_again_when_its_answer_is_old(named: TrunkLab) -> None:
    query = named.lookups[0].query_id
    named.command(located(query, ACCESS[0], SECOND[0]))
    assert hosts(route(named.core.trunks)) == [ACCESS[0], SECOND[0]]
    named.advance(59)
    assert len(named.lookups) == 1
    named.advance(2)
    assert len(named.lookups) == 2
    named.command(located(query, SECOND[0]))
    named.carrier.invite(NUMBER)
    named.second.calls[-1].invite.reply(486)
    assert named.ended == "callee/busy 486"


def test_when_the_dns_is_dead_calls_go_where_they_went(named: TrunkLab) -> None:
    query = named.lookups[0].query_id
    named.command(located(query, ACCESS[0]))
    named.advance(61)
    named.command(located(query, ttl_s=5.0, reason="dns"))
    assert hosts(route(named.core.trunks)) == [ACCESS[0]]
    named.advance(5)
    assert len(named.lookups) == 3
    named.command(located(query, reason="no_address"))  # somebody says that it is gone
    assert route(named.core.trunks).unrouted == "unreachable"


def test_a_dialog_follows_a_name_once_it_is_known() -> None:
    lab = Lab()
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[-1]
    called.invite.reply(200, sdp(ACCESS[0]), contact="<sip:phone@pbx.example.org>")
    ask.ack()
    (asked,) = lab.lookups
    assert (asked.uri.host, asked.transports, asked.families) == ("pbx.example.org", ("udp", "tcp"), ("A",))
    other = Peer("S2", SECOND, ENGINE, lab.post)
    lab.join(other)
    lab.command(located(asked.query_id, SECOND[0]))
    lab.ladder()
    ask.side.bye()
    assert "E→S2 BYE" in lab.ladder()
    lab.settle()


# --- together ---


def test_random_trunks_never_lose_count() -> None:
    """Whatever calls come and go, in the end nothing is counted any more."""
    chance = Random(11)
    trunks = Trunks({"a": trunk(ACCESS, max_calls=5), "b": trunk(SECOND, max_calls_per_s=3)})
    up: list[CallId] = []
    for step in range(3000):
        trunks.now += chance.random() / 5
        if up and chance.random() < 0.5:
            trunks.gone(up.pop(chance.randrange(len(up))))
            continue
        call_id = CallId(str(step))
        trunks.entered(call_id, chance.choice("ab"))
        for _ in range(chance.randrange(3)):
            trunks.left(call_id, chance.choice(["a", "b", "nobody"]))
        up.append(call_id)
    for call_id in up:
        trunks.gone(call_id)
    assert trunks.calls == 0
    assert {(state.calls_in, state.calls_out) for state in trunks.states()} == {(0, 0)}
