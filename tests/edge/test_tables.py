"""Tables that peers can fill have bounds, and forgetting is on the safe side."""

from __future__ import annotations

import tracemalloc

from engine.edge.throttle import Throttle, source_of
from engine.edge.tokens import FlowTokens
from engine.sip.digest import authorization
from engine.sip.digest_server import Checked, DigestServer, Outcome, Secret
from engine.sip.flow import Flow
from engine.sip.uri import Uri

HOME = Uri("sip", None, "192.0.2.1")
SECRETS = {"bob": Secret.of_password("bob", "r", "p")}


def check(server: DigestServer, challenge: str, now: float, count: int = 1) -> Checked:
    value = authorization(
        challenge,
        username="bob",
        password="p",
        method="REGISTER",
        uri=str(HOME),
        cnonce="c",
        nonce_count=count,
    )
    return server.check([value], "REGISTER", HOME, now)


def test_what_a_forgotten_nonce_was_used_for_cannot_be_used_again() -> None:
    server = DigestServer("r", b"k", SECRETS, 0.0, most_nonces=3)
    challenges = [server.challenges(float(at))[0] for at in range(5)]
    for at, challenge in enumerate(challenges):
        assert check(server, challenge, float(at)).outcome is Outcome.ACCEPTED
    assert len(server) == 3
    found = [check(server, challenge, 5.0).outcome for challenge in challenges]
    assert found == [Outcome.STALE] * 2 + [Outcome.REPLAYED] * 3


def test_nonces_are_forgotten_when_they_are_over() -> None:
    server = DigestServer("r", b"k", SECRETS, 0.0, nonce_life_s=10)
    check(server, server.challenges(0.0)[0], 0.0)
    check(server, server.challenges(11.0)[0], 11.0)
    assert len(server) == 1


def test_a_nonce_of_another_key_or_realm_is_none() -> None:
    server = DigestServer("r", b"k", SECRETS, 0.0)
    for other in (DigestServer("r", b"other", SECRETS, 0.0), DigestServer("s", b"k", SECRETS, 0.0)):
        challenge = other.challenges(1.0)[0].replace('realm="s"', 'realm="r"')
        assert check(server, challenge, 1.0).outcome is Outcome.ABSENT


def test_a_nonce_from_the_future_is_stale() -> None:
    server = DigestServer("r", b"k", SECRETS, 0.0)
    assert check(server, server.challenges(100.0)[0], 50.0).outcome is Outcome.STALE


def test_an_empty_secret_lets_nobody_in() -> None:
    server = DigestServer("r", b"k", {"bob": Secret("", SECRETS["bob"].sha256)}, 0.0)
    strong, weak = server.challenges(1.0)
    assert check(server, weak, 1.0).outcome is Outcome.WRONG
    assert check(server, strong, 1.0).outcome is Outcome.ACCEPTED


def test_secrets_are_not_shown() -> None:
    assert SECRETS["bob"].md5 not in repr(SECRETS) and SECRETS["bob"].sha256 not in repr(SECRETS)


def test_guesses_are_counted_in_a_bounded_table() -> None:
    throttle = Throttle(2, 100.0, 100.0, most_entries=50)
    for number in range(1000):
        for _ in range(2):
            throttle.failed(f"198.51.{number // 250}.{number % 250}", f"user-{number}", 1.0)
    assert len(throttle) <= 200
    assert throttle.banned("198.51.3.249", 2.0)


def test_one_customer_of_ipv6_is_one_source() -> None:
    assert source_of("2001:db8:1:2:3:4:5:6") == source_of("2001:db8:1:2::9") != source_of("2001:db8:1:3::9")
    assert source_of("192.0.2.9") == "192.0.2.9"


def test_flow_tokens_are_read_by_who_wrote_them_only() -> None:
    flow = Flow("wss", ("2001:db8::1", 443), ("2001:db8::2", 40001))
    token = FlowTokens(b"k").make(flow, 7)
    assert FlowTokens(b"k").read(token) == (flow, 7)
    assert FlowTokens(b"other").read(token) is None
    for damaged in (token[:-1], token[1:], "A" + token[1:], "", "é", "bob", "=" * 300):
        assert damaged == token or FlowTokens(b"k").read(damaged) is None
    assert Uri.parse(f"sip:{token}@192.0.2.1").user == token


def test_the_names_of_users_that_are_guessed_at_take_little_memory() -> None:
    throttle = Throttle(guesses=1, window_s=60.0, ban_s=60.0)
    tracemalloc.start()
    for number in range(2_000):
        throttle.failed("192.0.2.1", f"{number}{'x' * 20_000}", 0.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 4_000_000
    for _ in range(4):
        throttle.failed("192.0.2.1", "7" + "x" * 20_000, 0.0)
    assert throttle.shut("7" + "x" * 20_000, 1.0, lambda: False)
