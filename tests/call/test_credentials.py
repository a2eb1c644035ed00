"""A trunk that asks who we are: at the INVITE, and at whatever comes after it."""

from __future__ import annotations

from hashlib import md5, sha256

import pytest

from engine.call.credentials import Attempt, Authenticator, Credentials
from engine.call.values import Hop
from engine.model.address import Address
from engine.sip.digest import directives
from engine.sip.message import Request, Response
from tests.call.kit import ACCESS, CARRIER, NUMBER, Lab
from tests.call.peer import Ask, Side, Told, sdp

CHALLENGE = 'Digest realm="access", nonce="n1", algorithm=MD5, qop="auth"'
ANSWER = sdp(ACCESS[0], 50000)
UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")


def digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def challenge(nonce: str, *, stale: bool = False, realm: str = "access") -> list[tuple[str, str]]:
    value = f'Digest realm="{realm}", nonce="{nonce}", algorithm=MD5, qop="auth"'
    return [("WWW-Authenticate", value + (", stale=true" if stale else ""))]


def given(request: Request, header: str = "Authorization") -> dict[str, str]:
    """The directives of our answer, checked against the password."""
    found = directives(request.get(header) or "")
    secret = digest(f"ringward:{found['realm']}:secret")
    asked = digest(f"{request.method}:{request.request_uri}")
    expected = digest(f"{secret}:{found['nonce']}:{found['nc']}:{found['cnonce']}:auth:{asked}")
    assert found["response"] == expected
    assert found["uri"] == str(request.request_uri)
    return found


def known(lab: Lab) -> Ask:
    """A call to a hop that has credentials."""
    lab.verdict(hops=(Hop(Address(*ACCESS), credentials=Credentials("ringward", "secret")),))
    return lab.carrier.invite(NUMBER)


def connected(lab: Lab) -> tuple[Ask, Side]:
    """… challenged at the INVITE, and answered."""
    ask = known(lab)
    called = lab.phone.calls[0]
    called.invite.reply(401, headers=challenge("n1"))
    called.last("INVITE").reply(200, ANSWER, [UPDATES])
    ask.ack()
    assert lab.stages[-1] == "connected"
    return ask, called


# --- the INVITE ---


@pytest.mark.parametrize(
    ("status", "asked", "answered"),
    [(401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization")],
)
def test_a_challenge_is_answered_and_the_call_goes_on(
    lab: Lab, status: int, asked: str, answered: str
) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    first = called.invite.request
    called.invite.reply(status, headers=[(asked, CHALLENGE)])
    again = called.last("INVITE").request
    assert (again.cseq.number, again.call_id) == (first.cseq.number + 1, first.call_id)
    assert given(again, answered)["nc"] == "00000001"
    called.last("INVITE").reply(200, ANSWER)
    ask.ack()
    assert lab.stages[-1] == "connected"
    ask.side.bye()


def test_wrong_credentials_end_the_call_after_one_try(lab: Lab) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    called.invite.reply(401, headers=[("WWW-Authenticate", CHALLENGE)])
    called.last("INVITE").reply(401, headers=[("WWW-Authenticate", CHALLENGE)])
    assert called.has("INVITE") == 2
    assert ask.status >= 500
    assert lab.ended.startswith("upstream/failed")


def test_a_new_nonce_for_wrong_credentials_is_not_believed(lab: Lab) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    called.invite.reply(401, headers=challenge("n1"))
    called.last("INVITE").reply(401, headers=challenge("n2"))
    assert called.has("INVITE") == 2
    assert ask.status >= 500


def test_a_stale_nonce_is_replaced(lab: Lab) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    called.invite.reply(401, headers=challenge("n1"))
    called.last("INVITE").reply(401, headers=challenge("n2", stale=True))
    again = called.last("INVITE").request
    assert (given(again)["nonce"], again.cseq.number) == ("n2", 3)
    called.last("INVITE").reply(486)
    assert ask.status == 486


def test_nonces_that_go_stale_for_ever(lab: Lab) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    for number in range(20):
        if called.last("INVITE").answered:
            break
        called.last("INVITE").reply(401, headers=challenge(f"n{number}", stale=True))
    assert called.has("INVITE") <= 8
    assert ask.status >= 500


def test_a_proxy_and_the_server_behind_it(lab: Lab) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    called.invite.reply(407, headers=[("Proxy-Authenticate", CHALLENGE.replace("n1", "p1"))])
    called.last("INVITE").reply(401, headers=challenge("n1", realm="inner"))
    again = called.last("INVITE").request
    assert given(again)["realm"] == "inner"
    assert given(again, "Proxy-Authorization")["nc"] == "00000002"
    called.last("INVITE").reply(486)
    assert ask.status == 486


def test_the_stronger_hash_is_taken(lab: Lab) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    stronger = CHALLENGE.replace("MD5", "SHA-256")
    called.invite.reply(401, headers=[("WWW-Authenticate", CHALLENGE), ("WWW-Authenticate", stronger)])
    again = called.last("INVITE").request
    found = directives(again.get("Authorization") or "")

    def strong(text: str) -> str:
        return sha256(text.encode()).hexdigest()

    secret, asked = strong("ringward:access:secret"), strong(f"INVITE:{again.request_uri}")
    assert found["algorithm"] == "SHA-256"
    assert found["response"] == strong(f"{secret}:n1:{found['nc']}:{found['cnonce']}:auth:{asked}")
    ask.cancel()


@pytest.mark.parametrize(
    "value",
    [
        CHALLENGE.replace("MD5", "SHA-512-256"),
        CHALLENGE.replace('"auth"', '"auth-int"'),
        'Digest realm="access"',
        "Digest",
        'Basic realm="access"',
        "",
    ],
)
def test_challenges_that_we_cannot_answer(lab: Lab, value: str) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    called.invite.reply(401, headers=[("WWW-Authenticate", value)])
    assert called.has("INVITE") == 1
    assert ask.status >= 500


def test_the_ack_carries_what_the_invite_did(lab: Lab) -> None:
    """RFC 3261 §22.1."""
    ask, called = connected(lab)
    assert called.acks[-1].get("Authorization") == called.last("INVITE").request.get("Authorization")
    ask.side.bye()


# --- inside the dialog ---


def bye_of(lab: Lab, ask: Ask, called: Side) -> Told:
    lab.phone.bye_status = None
    ask.side.bye()
    return called.last("BYE")


def test_later_requests_use_the_nonce_again(lab: Lab) -> None:
    ask, called = connected(lab)
    bye = bye_of(lab, ask, called)
    found = given(bye.request)
    assert (found["nonce"], found["nc"]) == ("n1", "00000002")
    bye.reply(200)


def test_a_challenged_bye_is_said_again(lab: Lab) -> None:
    ask, called = connected(lab)
    bye = bye_of(lab, ask, called)
    bye.reply(401, headers=challenge("n2"))
    again = called.last("BYE")
    assert again.request.cseq.number == bye.request.cseq.number + 1
    assert (given(again.request)["nonce"], given(again.request)["nc"]) == ("n2", "00000001")
    again.reply(200)
    assert lab.core.calls == {}


def test_a_bye_that_is_challenged_for_ever_ends_all_the_same(lab: Lab) -> None:
    ask, called = connected(lab)
    bye_of(lab, ask, called).reply(401, headers=challenge("n2"))
    called.last("BYE").reply(401, headers=challenge("n2"))
    assert called.has("BYE") == 2
    assert lab.core.calls == {}


def test_a_nonce_that_is_refused_is_not_tried_again(lab: Lab) -> None:
    ask, called = connected(lab)
    bye_of(lab, ask, called).reply(401, headers=challenge("n1", stale=True))
    assert called.has("BYE") == 1
    assert lab.core.calls == {}


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_challenged_offer(lab: Lab, method: str) -> None:
    ask, called = connected(lab)
    offer = ask.side.ask(method, sdp(CARRIER[0], 40002, version=2))
    passed = called.last(method)
    passed.reply(401, headers=challenge("n2"))
    again = called.last(method)
    assert again is not passed
    assert given(again.request)["nonce"] == "n2"
    again.reply(200, ANSWER)
    assert offer.status == 200
    if method == "INVITE":
        assert called.acks[-1].get("Authorization") == again.request.get("Authorization")
        again.reply(200, ANSWER)  # again: so is our ACK
        assert called.acks[-1].get("Authorization") == again.request.get("Authorization")
        offer.ack()
    ask.side.bye()


def test_a_challenged_offer_that_is_taken_back(lab: Lab) -> None:
    ask, called = connected(lab)
    offer = ask.side.offer(sdp(CARRIER[0], 40002, version=2))
    called.last("INVITE").reply(401, headers=challenge("n2"))
    called.last("INVITE").reply(100)
    offer.cancel()
    assert called.has("CANCEL") == 1
    assert called.last("CANCEL").request.cseq == (called.last("INVITE").request.cseq.number, "CANCEL")
    ask.side.bye()


def test_a_challenged_prack(lab: Lab) -> None:
    ask = known(lab)
    called = lab.phone.calls[0]
    lab.phone.prack_status = None
    called.invite.reply(183, ANSWER, [("Require", "100rel"), ("RSeq", "1")])
    called.last("PRACK").reply(401, headers=challenge("n1"))
    again = called.last("PRACK").request
    assert (given(again)["nc"], again.get("RAck"), again.cseq.number) == ("00000001", "1 1 INVITE", 3)
    called.last("PRACK").reply(200)
    ask.cancel()


def test_a_key_by_info(lab: Lab) -> None:
    ask, called = connected(lab)
    body = b"Signal=5\r\nDuration=160\r\n"
    ask.side.ask("INFO", body, [("Content-Type", "application/dtmf-relay")])
    called.last("INFO").reply(401, headers=challenge("n2"))
    assert given(called.last("INFO").request)["nonce"] == "n2"
    assert called.last("INFO").request.body == body
    called.last("INFO").reply(200)
    ask.side.bye()


def test_no_credentials_no_answer(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(401, headers=challenge("n1"))
    assert lab.phone.calls[0].has("INVITE") == 1
    assert ask.status >= 500


@pytest.mark.parametrize("status", [401, 407])
def test_who_is_not_the_trunk_gets_no_answer_to_guess_the_password_from(lab: Lab, status: int) -> None:
    """A callee's challenge comes through the trunk like the trunk's own: only its realm tells them apart."""
    ours = Credentials("ringward", "secret", realm="access")
    lab.verdict(hops=(Hop(Address(*ACCESS), credentials=ours),))
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(401, headers=[*challenge("n1"), ("WWW-Authenticate", 'Digest realm="x", nonce="y"')])
    again = called.last("INVITE")
    assert given(again.request)["realm"] == "access"
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    again.reply(200, ANSWER)
    ask.ack()
    ask.side.bye()
    theirs = 'Digest realm="theirs", nonce="n9", algorithm=SHA-256'
    called.last("BYE").reply(status, headers=[(name, theirs)])
    assert called.has("BYE") == 1


def test_more_realms_than_a_path_has() -> None:
    identity = Authenticator(Credentials("ringward", "secret"), lambda: "c")
    attempt = Attempt()
    taken = [
        identity.learn(Response(401, "", challenge("n", realm=f"realm {number}")), attempt)
        for number in range(10)
    ]
    assert sum(taken) == 4
