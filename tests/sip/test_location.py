"""RFC 3263 as questions and answers: which transport, which port, which addresses, in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.location import (
    MAX_TARGETS,
    Answer,
    Family,
    Location,
    Naptr,
    Query,
    Server,
    Srv,
    Target,
    in_order,
    locate,
)
from engine.sip.uri import Uri

ALL = ("udp", "tcp", "tls")
Zone = Mapping[str, Answer]


def found(
    uri: str, zone: Zone, transports: tuple[str, ...] = ALL, families: Collection[Family] = ("A",)
) -> tuple[Location, list[str]]:
    """The location, and the questions in the order in which they were asked."""
    procedure = locate(Uri.parse(uri), transports, families)
    asked: list[str] = []
    try:
        questions = next(procedure)
        while True:
            asked += [f"{each.kind} {each.name}" for each in questions]
            answers = {each: zone.get(f"{each.kind} {each.name}", Answer(ttl_s=60)) for each in questions}
            questions = procedure.send(answers)
    except StopIteration as done:
        return done.value, asked


def targets(uri: str, zone: Zone, transports: tuple[str, ...] = ALL) -> list[str]:
    location, _ = found(uri, zone, transports)
    return [f"{each.transport} {each.host}:{each.port}" for each in location.targets(lambda most: 0)]


def a(*addresses: str, ttl_s: float = 60) -> Answer:
    return Answer(addresses=addresses, ttl_s=ttl_s)


def srv(*records: tuple[int, int, int, str]) -> Answer:
    return Answer(srv=tuple(Srv(*each) for each in records), ttl_s=60)


ZONE = {
    "NAPTR example.org": Answer(
        naptr=(
            Naptr(60, 50, "s", "SIP+D2U", "_sip._udp.example.org"),
            Naptr(50, 50, "S", "sip+d2t", "_sip._tcp.example.org"),
            Naptr(50, 40, "s", "SIPS+D2T", "_sips._tcp.example.org"),
        ),
        ttl_s=300,
    ),
    "SRV _sips._tcp.example.org": srv((0, 1, 5061, "s1.example.org")),
    "SRV _sip._tcp.example.org": srv((0, 1, 5070, "s1.example.org"), (1, 1, 5071, "s2.example.org")),
    "SRV _sip._udp.example.org": srv((0, 1, 5080, "s2.example.org")),
    "A s1.example.org": a("192.0.2.1", "192.0.2.2"),
    "A s2.example.org": a("192.0.2.3"),
    "A example.org": a("192.0.2.9"),
}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        # §4.1: a numeric host needs no question; the transport named, else UDP, or TLS for sips
        ("sip:192.0.2.7", ["udp 192.0.2.7:5060"]),
        ("sip:192.0.2.7:5066", ["udp 192.0.2.7:5066"]),
        ("sip:192.0.2.7;transport=tcp", ["tcp 192.0.2.7:5060"]),
        ("sip:192.0.2.7;transport=TLS", ["tls 192.0.2.7:5061"]),
        ("sips:192.0.2.7", ["tls 192.0.2.7:5061"]),
        ("sips:192.0.2.7;transport=tcp", ["tls 192.0.2.7:5061"]),
        ("sip:[2001:db8::1]", ["udp 2001:db8::1:5060"]),
        # an explicit port leaves the addresses
        ("sip:example.org:5066", ["udp 192.0.2.9:5066"]),
        ("sips:example.org:5066", ["tls 192.0.2.9:5066"]),
        ("sip:example.org:5066;transport=tcp", ["tcp 192.0.2.9:5066"]),
        ("sip:EXAMPLE.org.:5066", ["udp 192.0.2.9:5066"]),
        # a transport, no port: SRV of that transport (§4.2)
        ("sip:example.org;transport=udp", ["udp 192.0.2.3:5080"]),
        (
            "sip:example.org;transport=tcp",
            ["tcp 192.0.2.1:5070", "tcp 192.0.2.2:5070", "tcp 192.0.2.3:5071"],
        ),
        # neither: NAPTR, of which the lowest order counts and in it the preference
        (
            "sip:example.org",
            [
                "tls 192.0.2.1:5061",
                "tls 192.0.2.2:5061",
                "tcp 192.0.2.1:5070",
                "tcp 192.0.2.2:5070",
                "tcp 192.0.2.3:5071",
            ],
        ),
        ("sips:example.org", ["tls 192.0.2.1:5061", "tls 192.0.2.2:5061"]),
        # maddr is somebody else's word for where our requests go
        ("sip:192.0.2.7;maddr=203.0.113.9", ["udp 192.0.2.7:5060"]),
    ],
)
def test_where_a_uri_leads(uri: str, expected: list[str]) -> None:
    assert targets(uri, ZONE) == expected


def test_what_we_do_not_speak_is_passed_over() -> None:
    assert targets("sip:example.org", ZONE, ("udp",)) == ["udp 192.0.2.3:5080"]
    assert targets("sip:example.org", ZONE, ("udp", "tcp")) == [
        "tcp 192.0.2.1:5070",
        "tcp 192.0.2.2:5070",
        "tcp 192.0.2.3:5071",
    ]


def test_the_dearer_service_comes_first_whatever_priorities_its_servers_have() -> None:
    """A priority says something among the servers of one service only (RFC 2782)."""
    zone = ZONE | {"SRV _sips._tcp.example.org": srv((70, 1, 5061, "s2.example.org"))}
    assert targets("sip:example.org", zone)[:2] == ["tls 192.0.2.3:5061", "tcp 192.0.2.1:5070"]


def test_without_naptr_all_services_are_asked_for_at_once() -> None:
    zone = {key: answer for key, answer in ZONE.items() if not key.startswith("NAPTR")}
    location, asked = found("sip:example.org", zone)
    assert asked[:4] == [
        "NAPTR example.org",
        "SRV _sip._udp.example.org",
        "SRV _sip._tcp.example.org",
        "SRV _sips._tcp.example.org",
    ]
    assert [server.targets[0].transport for server in location.servers] == ["udp", "tcp", "tcp", "tls"]


@pytest.mark.parametrize(
    ("uri", "expected"), [("sip:h.example", "udp 192.0.2.5:5060"), ("sips:h.example", "tls 192.0.2.5:5061")]
)
def test_without_srv_the_addresses_and_default_ports(uri: str, expected: str) -> None:
    assert targets(uri, {"A h.example": a("192.0.2.5")}) == [expected]


def test_both_families_where_both_can_be_sent_to() -> None:
    zone = {"A h.example": a("192.0.2.5"), "AAAA h.example": a("2001:db8::5", ttl_s=7)}
    location, asked = found("sip:h.example:5060", zone, families=("AAAA", "A"))
    assert asked == ["AAAA h.example", "A h.example"]
    assert location == Location(
        (Server((Target("udp", "2001:db8::5", 5060), Target("udp", "192.0.2.5", 5060))),), 7.0
    )


def test_the_shortest_life_counts() -> None:
    assert found("sip:example.org", ZONE)[0].ttl_s == 60
    assert found("sip:192.0.2.1", ZONE)[0].ttl_s == float("inf")


@pytest.mark.parametrize(
    ("uri", "zone", "reason"),
    [
        ("sip:nowhere.example", {}, "no_address"),
        ("sip:nowhere.example", {"NAPTR nowhere.example": Answer(failed=True)}, "dns"),
        ("sip:h.example:5060", {"A h.example": Answer(failed=True)}, "dns"),
        # a dot for a target: there is decidedly no such service (RFC 2782)
        ("sip:h.example;transport=udp", {"SRV _sip._udp.h.example": srv((0, 0, 0, ""))}, "no_address"),
        ("sip:example.org;transport=sctp", ZONE, "transport"),
        ("sips:example.org;transport=udp", ZONE, "transport"),
        ("tel:+8613900000002", ZONE, "transport"),
        # what only looks like an address is a name that cannot be
        ("sip:127.1", {"A 127.1": a("127.0.0.1")}, "name"),
        ("sip:0x7f.0x1", {"A 0x7f.0x1": a("127.0.0.1")}, "name"),
        ("sip:2130706433", {"A 2130706433": a("127.0.0.1")}, "name"),
        ("sip:a..b", {}, "name"),
        (f"sip:{'a' * 64}.example", {}, "name"),
        (f"sip:{'a.' * 124}example", {}, "name"),
    ],
)
def test_why_there_is_no_server(uri: str, zone: Zone, reason: str) -> None:
    location, _ = found(uri, zone)
    assert (location.servers, location.reason) == ((), reason)


def test_a_naptr_without_answer_does_not_stop_the_search() -> None:
    zone = {"NAPTR example.org": Answer(failed=True), **{k: v for k, v in ZONE.items() if k[:1] != "N"}}
    assert targets("sip:example.org", zone)[0] == "udp 192.0.2.3:5080"


def test_sizes_are_bounded() -> None:
    many = tuple(f"192.0.2.{number}" for number in range(200))
    records = srv(*((0, 1, 5060, f"h{number}.example") for number in range(200)))
    zone = {"SRV _sip._udp.big.example": records}
    zone |= {f"A h{number}.example": a(*many) for number in range(200)}
    location, asked = found("sip:big.example;transport=udp", zone)
    assert len(asked) == 17
    assert len(location.targets(lambda most: most)) == MAX_TARGETS


def test_chance_follows_weight() -> None:
    """RFC 2782: 3 to 1 in the first place, and who was not chosen comes next."""
    servers = [Server((), 0, 30), Server((), 0, 10), Server((), 1, 100), Server((), 0, 0)]
    chance = Random(7)
    first: Counter[int] = Counter()
    for _ in range(4000):
        ordered = in_order(servers, lambda most: chance.randint(0, most))
        assert sorted(map(repr, ordered)) == sorted(map(repr, servers))
        assert ordered[-1].priority == 1
        first[ordered[0].weight] += 1
    assert 2700 < first[30] < 3150
    assert 800 < first[10] < 1150
    assert 0 < first[0] < 250


@given(
    weights=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535)), max_size=8),
    seed=st.integers(0, 1000),
)
def test_every_order_holds_everything_once(weights: list[tuple[int, int]], seed: int) -> None:
    chance = Random(seed)
    servers = [Server((), *each) for each in weights]
    ordered = in_order(servers, lambda most: chance.randint(0, most))
    assert [each.priority for each in ordered] == sorted(each.priority for each in servers)
    assert Counter(map(repr, ordered)) == Counter(map(repr, servers))


records = st.builds(
    Srv,
    st.integers(-1, 70_000),
    st.integers(0, 70_000),
    st.integers(-1, 70_000),
    st.text(max_size=30) | st.sampled_from(["s1.example.org", "192.0.2.1", ""]),
)
answers = st.builds(
    Answer,
    st.lists(
        st.builds(
            Naptr,
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from(["s", "S", "a", ""]),
            st.sampled_from(["SIP+D2U", "SIPS+D2T", "E2U+sip", "\ufffd"]),
            st.text(max_size=20) | st.just("_sip._udp.example.org"),
        ),
        max_size=20,
    ).map(tuple),
    st.lists(records, max_size=20).map(tuple),
    st.lists(st.text(max_size=20) | st.just("192.0.2.1"), max_size=20).map(tuple),
    st.floats(0, 1e6),
    st.booleans(),
)


@given(given=answers, host=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,40}", fullmatch=True), secure=st.booleans())
def test_any_answer_ends_in_addresses(given: Answer, host: str, secure: bool) -> None:
    procedure = locate(Uri("sips" if secure else "sip", None, host), ALL)
    asked = 0
    try:
        questions: tuple[Query, ...] = next(procedure)
        while True:
            asked += len(questions)
            questions = procedure.send(dict.fromkeys(questions, given))
    except StopIteration as done:
        location: Location = done.value
    assert asked < 100
    for target in location.targets(lambda most: most):
        assert 0 < target.port < 65536
        assert target.transport == "tls" or not secure
