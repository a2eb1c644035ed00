"""Who is let in, what strangers learn, and what guessing costs (RFC 7616, RFC 8760)."""

from __future__ import annotations

import re

import pytest

from engine.edge.settings import SourceBanned
from engine.sip.effects import RequestReceived
from engine.sip.message import Request, Response
from tests.edge.kit import Lab, Phone, settings


@pytest.fixture
def lab() -> Lab:
    return Lab()


def challenged(phone: Phone, user: str = "") -> tuple[Request, Response]:
    request = phone.make("REGISTER", user or phone.name, user=user)
    return request, phone.ask(request)


def guess(phone: Phone, password: str = "wrong", user: str = "") -> Response:
    request, answer = challenged(phone, user)
    return phone.ask(phone.with_credentials(request, answer, user=user, password=password))


def values(answer: Response, name: str) -> list[str]:
    found = [re.search(rf'{name}="?([^",]*)', value) for value in answer.rows("WWW-Authenticate")]
    return [match[1] for match in found if match]


def test_two_challenges_the_stronger_first(newcomer: Phone) -> None:
    _, answer = challenged(newcomer)
    assert values(answer, "algorithm") == ["SHA-256", "MD5"]
    assert values(answer, "qop") == ["auth", "auth"]
    assert values(answer, "realm") == ["test", "test"]
    assert values(answer, "stale") == []


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_either_algorithm_will_do(newcomer: Phone, algorithm: str) -> None:
    request, answer = challenged(newcomer)
    assert newcomer.ask(newcomer.with_credentials(request, answer, algorithm=algorithm)).status == 200


def test_old_phones_may_be_offered_nothing_but_md5() -> None:
    bob = Lab(settings(algorithms=("MD5",))).phone("bob", "192.0.2.20")
    request, answer = challenged(bob)
    assert values(answer, "algorithm") == ["MD5"]
    assert bob.ask(bob.with_credentials(request, answer)).status == 200
    strong = Response(401, "", [(n, v.replace("=MD5", "=SHA-256")) for n, v in answer.headers])
    assert bob.ask(bob.with_credentials(request, strong)).status == 401


def test_a_wrong_password_is_asked_again(lab: Lab, newcomer: Phone) -> None:
    answer = guess(newcomer)
    assert (answer.status, values(answer, "stale")) == (401, [])
    assert len(lab.core.bindings) == 0


def test_a_challenge_leaves_nothing_behind(lab: Lab, newcomer: Phone) -> None:
    challenged(newcomer)
    lab.advance(40)
    assert {name: count for name, count in lab.core.counts().items() if count} == {}


def test_one_nonce_serves_several_requests_in_order(newcomer: Phone) -> None:
    request, answer = challenged(newcomer)
    for count in (1, 2, 5):
        assert newcomer.ask(newcomer.with_credentials(request, answer, nonce_count=count)).status == 200


@pytest.mark.parametrize("count", [1, 2])
def test_a_count_used_before_is_refused_without_blame(lab: Lab, newcomer: Phone, count: int) -> None:
    request, answer = challenged(newcomer)
    newcomer.ask(newcomer.with_credentials(request, answer, nonce_count=2))
    again = newcomer.ask(newcomer.with_credentials(request, answer, nonce_count=count))
    assert (again.status, values(again, "stale")) == (401, ["true", "true"])
    assert lab.core.counts()["guesses"] == 0


def test_an_old_nonce_is_stale(lab: Lab, newcomer: Phone) -> None:
    request, answer = challenged(newcomer)
    lab.advance(301)
    again = newcomer.ask(newcomer.with_credentials(request, answer))
    assert (again.status, values(again, "stale")) == (401, ["true", "true"])
    assert newcomer.ask(newcomer.with_credentials(request, again)).status == 200


def test_a_wrong_password_with_an_old_nonce_is_a_guess(lab: Lab, newcomer: Phone) -> None:
    request, answer = challenged(newcomer)
    lab.advance(301)
    again = newcomer.ask(newcomer.with_credentials(request, answer, password="wrong"))
    assert values(again, "stale") == []
    assert lab.core.counts()["guesses"] > 0


def test_nonces_of_an_earlier_start_are_stale(lab: Lab, newcomer: Phone) -> None:
    request, answer = challenged(newcomer)
    lab.advance(1)
    lab.start()
    again = newcomer.ask(newcomer.with_credentials(request, answer))
    assert (again.status, values(again, "stale")) == (401, ["true", "true"])


DAMAGES = [
    (' nonce="[0-9a-f]', ' nonce="x'),
    (' nonce="[0-9a-f]{12}', ' nonce="0000000fffff'),
    ('response="[0-9a-f]{8}', 'response="é0000000'),
    ('response="[^"]*"', 'response=""'),
    ('uri="[^"]*"', 'uri="sip:192.0.2.99"'),
    ("nc=00000001", "nc=00000002"),
    ("nc=00000001", "nc=0000000g"),
    ("qop=auth", "qop=auth-int"),
    ('cnonce="c"', 'cnonce=""'),
    ("algorithm=SHA-256", "algorithm=MD5"),
    ("algorithm=SHA-256", "algorithm=SHA-512"),
    ("Digest", "Basic"),
    ('realm="test"', 'realm="other"'),
    ('username="bob"', 'username="alice"'),
    (",.*", ", ="),
]


@pytest.mark.parametrize(("pattern", "instead"), DAMAGES)
def test_damaged_credentials_are_worth_nothing(lab: Lab, newcomer: Phone, pattern: str, instead: str) -> None:
    request, answer = challenged(newcomer)
    right = newcomer.with_credentials(request, answer)
    (whole,) = right.rows("Authorization")
    damaged = re.sub(pattern, instead, whole)
    assert damaged != whole
    headers = [(name, damaged if name == "Authorization" else value) for name, value in right.headers]
    assert newcomer.ask(Request("REGISTER", right.uri, headers)).status == 401
    assert len(lab.core.bindings) == 0


def test_credentials_made_for_another_target_are_wrong(newcomer: Phone) -> None:
    request, answer = challenged(newcomer)
    other = newcomer.with_credentials(Request("REGISTER", "sip:192.0.2.99", request.headers), answer)
    assert newcomer.ask(Request("REGISTER", request.uri, other.headers)).status == 401


def test_without_qop_only_where_it_is_allowed_and_once_for_each_nonce() -> None:
    for allowed, statuses in ((False, [401, 401]), (True, [200, 401])):
        lab = Lab(settings(without_qop=allowed))
        bob = lab.phone("bob", "192.0.2.20")
        request, answer = challenged(bob)
        old = [(name, value.replace(', qop="auth"', "")) for name, value in answer.headers]
        asked = Response(answer.status, answer.reason, old)
        found = [bob.ask(bob.with_credentials(request, asked)).status for _ in range(2)]
        assert found == statuses


def shape(answer: Response) -> bytes:
    text = answer.to_bytes().decode()
    for varies in (r'nonce="[0-9a-f]{52}"', r"branch=[^;\r]+", r"Call-ID: [^\r]+", r"tag=[0-9a-f]{16}"):
        text = re.sub(varies, "*", text)
    return text.encode()


def test_a_stranger_cannot_tell_a_user_that_exists(lab: Lab) -> None:
    ladders = []
    for user in ("bobo", "alice"):
        phone = lab.phone("guesser", f"192.0.2.{30 + len(user)}")
        request, first = challenged(phone, user)
        second = phone.ask(phone.with_credentials(request, first, user=user, password="wrong"))
        ladders.append([shape(answer).replace(user.encode(), b"USER") for answer in (first, second)])
    mine, theirs = (
        [part.replace(b"192.0.2.34", b"*").replace(b"192.0.2.35", b"*") for part in one] for one in ladders
    )
    assert mine == theirs


# --- guessing ---


def test_a_source_that_guesses_is_banned_for_a_while() -> None:
    lab = Lab(settings(guesses=3, ban_s=100))
    thief = lab.phone("thief", "192.0.2.66")
    for user in ("alice", "carol", "nobody"):
        assert guess(thief, user=user).status == 401
    assert [effect for effect in lab.told if isinstance(effect, SourceBanned)] == [
        SourceBanned("192.0.2.66", 100)
    ]
    lab.sent("E")
    thief.send(thief.make("REGISTER", "alice"))
    lab.advance(40)
    assert lab.sent("E") == []
    thief.heard.clear()
    lab.advance(61)
    assert guess(thief, "secret-a", "alice").status == 200


def test_slow_typing_is_no_guessing() -> None:
    lab = Lab(settings(guesses=3, guess_window_s=100))
    bob = lab.phone("bob", "192.0.2.20")
    for _ in range(6):
        guess(bob)
        lab.advance(51)
    assert bob.register().status == 200


def test_a_user_who_is_guessed_at_from_many_places_is_shut_to_strange_ones() -> None:
    lab = Lab(settings(guesses=3))
    home = lab.phone("alice", "192.0.2.21")
    home.register()
    for place in range(14):
        guess(lab.phone("thief", f"192.0.2.{100 + place}"), user="alice")
    assert guess(lab.phone("thief", "192.0.2.120"), "secret-a", "alice").status == 200
    guess(lab.phone("thief", "192.0.2.121"), user="alice")
    assert guess(lab.phone("thief", "192.0.2.122"), "secret-a", "alice").status == 401
    home.cseq = 10
    assert home.register().status == 200
    lab.advance(601)
    assert guess(lab.phone("alice", "192.0.2.123"), "secret-a", "alice").status == 200


def test_an_emergency_call_passes_a_ban() -> None:
    lab = Lab(settings(guesses=1))
    thief = lab.phone("thief", "192.0.2.66")
    guess(thief, user="alice")
    lab.sent("E")
    thief.send(thief.make("INVITE", "alice"))
    assert lab.sent("E") == []
    thief.send(thief.make("INVITE", "110", call_id="sos"))
    assert lab.sent("E") == ["100 Trying", "INVITE"]
    assert lab.engine.hear(RequestReceived).request.uri.user == "110"
