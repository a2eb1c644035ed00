"""Who is listened to: a trunk's hosts, and in a dialog the hosts it names. Nobody else moves a call."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.sip.message import Response
from engine.sip.parse import parse
from tests.call.kit import ACCESS, ENGINE, LONG, NUMBER, Lab
from tests.call.peer import Peer, sdp

STRANGER = ("127.0.66.6", 5060)


class Spoofer:
    """Sends what it wants from where it wants, and keeps what comes back."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.heard: list[bytes] = []
        self.peer = Peer("X", STRANGER, ENGINE, lab.post)
        self.peer.receive = self.heard.append  # type: ignore[method-assign, assignment]
        lab.join(self.peer)

    def send(self, data: bytes) -> list[int]:
        """Statuses of the answers."""
        del self.heard[:]
        self.peer.post(data)
        answers = [parse(data) for data in self.heard]
        return [answer.status for answer in answers if isinstance(answer, Response)]


def written(peer: Peer, act: Callable[[], object]) -> bytes:
    """What the peer would send, for somebody else to send it."""
    sent: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "post", sent.append)
        act()
    return sent[0]


@pytest.fixture
def spoofer(lab: Lab) -> Spoofer:
    return Spoofer(lab)


def test_a_stranger_is_refused_once_and_nothing_is_kept(lab: Lab, spoofer: Spoofer) -> None:
    spoofer.peer.invite(NUMBER)
    lab.advance(LONG)
    assert [parse(data).status for data in spoofer.heard] == [403]  # type: ignore[union-attr]
    assert lab.asked == []
    assert not any(lab.core.counts().values())


def test_a_strangers_retransmission_gets_the_same_answer(lab: Lab, spoofer: Spoofer) -> None:
    ask = spoofer.peer.invite(NUMBER)
    ask.send()
    assert len(spoofer.heard) == 2
    assert spoofer.heard[0] == spoofer.heard[1]


def test_only_who_invited_may_cancel(lab: Lab, spoofer: Spoofer) -> None:
    """Branches such as SIPp's can be guessed, and so can the address in the Via."""
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(180)
    assert spoofer.send(written(lab.carrier, ask.cancel)) == [481]
    assert lab.core.calls
    assert lab.phone.calls[0].has("CANCEL") == 0
    ask.cancel()
    assert ask.status == 487


@pytest.mark.parametrize("method", ["BYE", "INVITE", "OPTIONS"])
def test_known_tags_are_not_enough(lab: Lab, spoofer: Spoofer, method: str) -> None:
    caller, called = lab.connect()
    body = sdp(STRANGER[0]) if method == "INVITE" else b""
    forged = written(lab.carrier, lambda: caller.ask(method, body, [("Contact", "<sip:x@127.0.66.6>")]))
    assert spoofer.send(forged) == [403]
    assert len(called.told) == 1
    caller.bye()
    assert lab.ended == "caller/hung_up 200"


def test_a_dialogs_own_hosts_are_listened_to(lab: Lab, spoofer: Spoofer) -> None:
    """A phone behind its exchange speaks from the address in its Contact."""
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0]), contact=f"<sip:phone@{STRANGER[0]}>")
    ask.ack()
    assert spoofer.send(written(lab.phone, called.bye)) == [200]
    assert lab.ended == "callee/hung_up 200"


def test_a_refusal_that_is_never_acknowledged_ends_by_itself(lab: Lab) -> None:
    lab.carrier.acknowledges_failures = False
    ask = lab.carrier.invite(NUMBER)
    lab.phone.calls[0].invite.reply(486)
    lab.advance(LONG)
    assert set(ask.statuses) == {100, 486}


@pytest.mark.parametrize("host", ["999.1.1.1", "1.2.3.4.5", "1", "08.08.08.08", "phone.example.org"])
def test_no_contact_makes_us_look_a_name_up(lab: Lab, host: str) -> None:
    ask = lab.carrier.invite(NUMBER, headers=[("Contact", f"<sip:x@{host}:5060>")])
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0]))
    ask.ack()
    called.bye()
    byes = [request for request in ask.side.told if request.request.method == "BYE"]
    assert len(byes) == 1  # sent to where the caller is
