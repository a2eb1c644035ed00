"""Token buckets and bans by source, in virtual time."""

from __future__ import annotations

from ipaddress import ip_network

from engine.sip.flood import EXAMINED, Flood, FloodLimits

LIMITS = FloodLimits(
    messages_per_s=10.0,
    trunk_messages_per_s=100.0,
    sources=20,
    ban_after=50,
    ban_s=10.0,
    longest_ban_s=60.0,
)
TRUNK, STRANGER = "192.0.2.1", "198.51.100.1"


def flood() -> Flood:
    return Flood(LIMITS, lambda host: host == TRUNK)


def sent(flood: Flood, host: str, count: int, now: float) -> int:
    """How many of `count` messages at once are admitted."""
    return sum(flood.admits(host, now) for _ in range(count))


def test_a_burst_passes_then_the_rate() -> None:
    found = flood()
    assert sent(found, STRANGER, 30, 0.0) == 20
    assert sent(found, STRANGER, 30, 1.0) == 10
    assert sent(found, STRANGER, 30, 1.05) == 0
    assert sent(found, STRANGER, 30, 100.0) == 20
    assert found.counts()["dropped"] == 10 + 20 + 30 + 10


def test_sources_do_not_share() -> None:
    found = flood()
    assert sent(found, STRANGER, 100, 0.0) == 20
    assert sent(found, "198.51.100.2", 5, 0.0) == 5
    assert sent(found, TRUNK, 500, 0.0) == 200


def test_addresses_of_one_ipv6_network_do() -> None:
    found = flood()
    assert sent(found, "2001:db8::1", 15, 0.0) == 15
    assert sent(found, "2001:db8::ffff:2", 15, 0.0) == 5
    assert sent(found, "2001:db8:0:1::1", 15, 0.0) == 15


def test_who_goes_on_is_banned_and_longer_each_time() -> None:
    found = flood()
    sent(found, STRANGER, 70, 0.0)
    assert found.changed
    assert found.bans() == [ip_network(STRANGER)]
    assert found.is_banned(STRANGER, 9.9)
    assert not found.is_banned(STRANGER, 10.0)
    assert sent(found, STRANGER, 1_000, 9.875) == 0
    assert found.counts()["bans"] == 1
    assert sent(found, STRANGER, 60, 11.0) == 10
    assert found.is_banned(STRANGER, 30.9)
    assert not found.is_banned(STRANGER, 31.1)


def test_a_ban_ends_and_is_forgiven() -> None:
    found = flood()
    sent(found, STRANGER, 70, 0.0)
    found.changed = False
    found.expire(9.0)
    assert not found.changed
    found.expire(10.0)
    assert found.changed
    assert found.bans() == []
    later = 10.0 + LIMITS.longest_ban_s + 1
    sent(found, STRANGER, 70, later)
    assert not found.is_banned(STRANGER, later + 10.1)


def test_no_ban_is_longer_than_the_longest() -> None:
    found = flood()
    now = 0.0
    for _ in range(40):
        sent(found, STRANGER, 80, now)
        now += LIMITS.longest_ban_s + 1
    assert not found.is_banned(STRANGER, now)


def test_pauses_are_forgiven() -> None:
    found = flood()
    for second in range(0, 100, 10):
        sent(found, STRANGER, 60, float(second))
    assert found.counts()["bans"] == 0


def test_a_trunk_is_throttled_and_never_banned() -> None:
    found = flood()
    for second in range(10):
        sent(found, TRUNK, 1_000, float(second))
    assert found.counts()["dropped"] > 5_000
    assert not found.is_banned(TRUNK, 9.0)
    assert not found.changed


def test_the_table_has_an_end_and_keeps_who_floods() -> None:
    found = flood()
    sent(found, STRANGER, 70, 0.0)
    for number in range(200):
        found.admits(f"203.0.113.{number}", 1.0)
    assert found.counts()["sources"] == LIMITS.sources
    assert sent(found, STRANGER, 5, 2.0) == 0


def test_the_oldest_quiet_source_makes_room() -> None:
    found = flood()
    sent(found, STRANGER, 20, 0.0)  # empty, so it is not quiet
    for number in range(LIMITS.sources - 1):
        found.admits(f"203.0.113.{number}", 0.0)
    assert LIMITS.sources > EXAMINED
    found.admits("203.0.113.99", 1.0)
    assert sent(found, STRANGER, 20, 1.0) == 10
