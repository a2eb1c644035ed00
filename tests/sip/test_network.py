"""Whole calls over a network that loses, repeats and delays: both ends agree and nothing is left over."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sip.dialog import Dialog
from engine.sip.effects import AckReceived, AckTimeout, CancelReceived, RequestReceived, ResponseReceived
from engine.sip.effects import TransactionFailed as Failed
from tests.sip.kit import ALICE, BOB, Datagram, Host, Net, make_request


class Lossy:
    """Loses datagrams by a list of coins, then none."""

    def __init__(self, coins: list[bool]) -> None:
        self._coins = iter(coins)

    def __call__(self, datagram: Datagram) -> bool:
        return next(self._coins, False)


def play(
    net: Net, alice: Host, bob: Host, status: int, cancel_at: float | None
) -> tuple[list[object], list[object]]:
    """Alice calls, Bob rings and answers `status` after 3 s; both do what RFC 3261 asks of a user agent."""
    request = make_request("INVITE", alice, BOB)
    key = alice.request(request, BOB)
    alice_log: list[object] = []
    bob_log: list[object] = []
    ringing: RequestReceived | None = None
    answer_at = 0.0
    while net.now < 120:
        if cancel_at is not None and net.now >= cancel_at:
            alice.cancel(key)
            cancel_at = None
        for effect in alice.heard:
            if isinstance(effect, ResponseReceived):
                found = effect.response
                alice_log.append((found.status, found.cseq.method))
                if 200 <= found.status < 300 and found.cseq.method == "INVITE":
                    alice.ack(Dialog.uac(request, found, alice.contact), BOB)
            elif isinstance(effect, Failed):
                alice_log.append(effect.reason)
        alice.heard.clear()
        for heard in list(bob.heard):
            if isinstance(heard, RequestReceived):
                bob_log.append(heard.request.method)
                ringing, answer_at = heard, net.now + 3
                bob.respond(heard.key, heard.request, 180)
            elif isinstance(heard, CancelReceived) and ringing is not None:
                bob_log.append("CANCEL")
                bob.respond(heard.key, ringing.request, 487)
                ringing = None
            elif isinstance(heard, AckReceived):
                bob_log.append("ACK")
            elif isinstance(heard, AckTimeout):
                bob_log.append(heard.final)
        bob.heard.clear()
        if ringing is not None and net.now >= answer_at:
            bob.respond(ringing.key, ringing.request, status)
            ringing = None
        net.advance(0.25)
    return alice_log, bob_log


@given(
    # Five losses leave the INVITE of 15.5 s, in time for an answer before timer B.
    coins=st.lists(st.booleans(), max_size=5),
    status=st.sampled_from([200, 486]),
    delay_s=st.sampled_from([0.0, 0.02, 0.7]),
    cancel_at=st.none() | st.sampled_from([0.0, 0.25, 1.0, 2.75, 3.0, 3.25, 5.0]),
)
@settings(max_examples=60, deadline=None)
def test_a_call_over_a_lossy_network_ends_the_same_at_both_ends(
    coins: list[bool], status: int, delay_s: float, cancel_at: float | None
) -> None:
    net = Net(delay_s)
    alice, bob = net.host("A", ALICE), net.host("B", BOB)
    net.lose = Lossy(coins)
    alice_log, bob_log = play(net, alice, bob, status, cancel_at)

    finals = [entry for entry in alice_log if isinstance(entry, tuple) and entry[0] >= 200]
    assert bob_log.count("INVITE") == 1
    ended = 487 if "CANCEL" in bob_log else status
    if ended == 200:
        # Each 2xx that arrives comes up; Bob hears of one ACK.
        assert set(finals) == {(200, "INVITE")}
        assert bob_log.count("ACK") == 1
    else:
        assert finals == [(ended, "INVITE")]
        assert "ACK" not in bob_log
    assert not {"2xx", "failure"} & set(bob_log)
    assert "timeout" not in alice_log
    assert not any(alice.layer.counts().values())
    assert not any(bob.layer.counts().values())


def test_a_peer_that_vanishes_after_its_answer_leaves_nothing() -> None:
    net = Net()
    alice, bob = net.host("A", ALICE), net.host("B", BOB)
    net.lose = lambda datagram: datagram.source == "A" and net.now > 1
    _, bob_log = play(net, alice, bob, 200, None)
    assert bob_log == ["INVITE", "2xx"]
    net.advance(64)
    assert not any(alice.layer.counts().values())
    assert not any(bob.layer.counts().values())


def test_many_calls_leave_nothing_behind() -> None:
    net = Net()
    alice, bob = net.host("A", ALICE), net.host("B", BOB)
    for number in range(500):
        alice.request(make_request("INVITE", alice, BOB, call_id=f"call-{number}"), BOB)
        heard = bob.hear(RequestReceived)
        bob.respond(heard.key, heard.request, 608)
        net.advance(0.01)
    assert alice.layer.counts()["client"] == bob.layer.counts()["server"] == 500
    net.advance(64)
    assert not any(alice.layer.counts().values())
    assert not any(bob.layer.counts().values())
    assert alice.layer.next_timer() is None
