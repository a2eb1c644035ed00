"""A trunk that asks who we are."""

from __future__ import annotations

from hashlib import md5

import pytest

from engine.call.credentials import Credentials
from engine.call.values import Hop
from engine.model.config import Address
from tests.call.kit import ACCESS, NUMBER, Lab
from tests.call.peer import sdp

CHALLENGE = 'Digest realm="access", nonce="n1", algorithm=MD5, qop="auth"'


def digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("status", "asked", "answered"),
    [(401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization")],
)
def test_a_challenge_is_answered_and_the_call_goes_on(
    lab: Lab, status: int, asked: str, answered: str
) -> None:
    lab.verdict(hops=(Hop(Address(*ACCESS), credentials=Credentials("ringward", "secret")),))
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    first = called.invite.request
    called.invite.reply(status, headers=[(asked, CHALLENGE)])
    again = called.last("INVITE").request
    assert (again.cseq.number, again.call_id) == (first.cseq.number + 1, first.call_id)
    given = dict(
        part.strip().split("=", 1) for part in (again.get(answered) or "")[len("Digest ") :].split(",")
    )
    given = {name: value.strip('"') for name, value in given.items()}
    secret = digest("ringward:access:secret")
    asked_for = digest(f"INVITE:{again.request_uri}")
    expected = digest(f"{secret}:n1:{given['nc']}:{given['cnonce']}:auth:{asked_for}")
    assert given["response"] == expected
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    assert lab.stages[-1] == "connected"
    ask.side.bye()


def test_wrong_credentials_end_the_call_after_one_try(lab: Lab) -> None:
    lab.verdict(hops=(Hop(Address(*ACCESS), credentials=Credentials("ringward", "wrong")),))
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(401, headers=[("WWW-Authenticate", CHALLENGE)])
    called.last("INVITE").reply(401, headers=[("WWW-Authenticate", CHALLENGE)])
    assert ask.status == 500
    assert lab.ended == "upstream/failed 500"
