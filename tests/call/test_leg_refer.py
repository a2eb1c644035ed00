"""REFER inside a dialog (RFC 3515, RFC 4488): accepted or not, and told how it goes."""

from __future__ import annotations

import pytest

from engine.call.leg_events import LegReferred
from engine.sip.errors import RemoteProtocolError
from engine.sip.replaces import Replaces
from tests.call.peer import Ask, Headers, Side
from tests.call.phone import Phones

TARGET = "<sip:96110@127.0.20.1>"


@pytest.fixture
def phones() -> Phones:
    return Phones()


def refer(side: Side, target: str = TARGET, headers: Headers = ()) -> Ask:
    return side.ask("REFER", headers=[("Refer-To", target), *headers])


def notified(side: Side) -> list[tuple[str, str]]:
    """Subscription-State and body of each NOTIFY."""
    requests = [told.request for told in side.told if told.request.method == "NOTIFY"]
    return [(each.get("Subscription-State") or "", each.body.decode()) for each in requests]


def asked(phones: Phones) -> LegReferred:
    event = phones.take(LegReferred)
    assert isinstance(event, LegReferred)
    return event


def test_a_reference_from_its_acceptance_to_its_end(phones: Phones) -> None:
    side, leg = phones.called()
    ask = refer(side, headers=[("Referred-By", "<sip:seat@127.0.50.1>")])
    assert ask.statuses == []
    event = asked(phones)
    assert str(event.refer_to) == TARGET
    assert (event.replaces, event.referred_by) == (None, "<sip:seat@127.0.50.1>")
    phones.act(leg.accept_refer)
    assert ask.statuses == [202]
    assert notified(side) == [("active;expires=180", "SIP/2.0 100 Trying\r\n")]
    phones.advance(2)
    phones.act(lambda: leg.refer_progress(180))
    phones.act(lambda: leg.refer_progress(200))
    assert notified(side)[1:] == [
        ("active;expires=178", "SIP/2.0 180 Ringing\r\n"),
        ("terminated;reason=noresource", "SIP/2.0 200 OK\r\n"),
    ]
    notify = side.last("NOTIFY").request
    assert notify.get("Event") == f"refer;id={dict(ask.rows)['CSeq'].split()[0]}"
    assert notify.get("Content-Type") == "message/sipfrag;version=2.0"
    phones.act(lambda: leg.refer_progress(486))
    phones.advance(200)
    assert len(notified(side)) == 3


def test_a_reference_that_nobody_wants_to_hear_of(phones: Phones) -> None:
    side, leg = phones.called()
    ask = refer(side, headers=[("Refer-Sub", "false"), ("Require", "norefersub")])
    phones.act(leg.accept_refer)
    assert (ask.status, ask.last.get("Refer-Sub")) == (202, "false")
    phones.act(lambda: leg.refer_progress(200))
    assert notified(side) == []
    assert refer(side).statuses == []  # the next may come


def test_a_refused_reference(phones: Phones) -> None:
    side, leg = phones.called()
    ask = refer(side)
    phones.act(lambda: leg.refuse_refer(403))
    assert ask.statuses == [403]
    phones.act(leg.accept_refer)
    phones.act(lambda: leg.refer_progress(180))
    assert ask.statuses == [403]
    assert notified(side) == []


def test_a_reference_that_nobody_decides_on_is_declined(phones: Phones) -> None:
    side, _ = phones.called()
    ask = refer(side)
    phones.advance(21)
    assert ask.statuses == [603]


def test_one_at_a_time(phones: Phones) -> None:
    side, leg = phones.called()
    refer(side)
    assert refer(side).statuses == [500]
    phones.act(leg.accept_refer)
    assert refer(side).statuses == [500]
    phones.act(lambda: leg.refer_progress(404))
    assert notified(side)[-1][1] == "SIP/2.0 404 Not Found\r\n"
    assert refer(side).statuses == []


def test_a_reference_that_never_ends_is_told_to_be_over(phones: Phones) -> None:
    side, leg = phones.called()
    refer(side)
    phones.act(leg.accept_refer)
    phones.advance(181)
    assert notified(side)[-1] == ("terminated;reason=timeout", "SIP/2.0 408 Request Timeout\r\n")
    phones.act(lambda: leg.refer_progress(200))
    assert len(notified(side)) == 2


@pytest.mark.parametrize("status", [481, 405])
def test_a_peer_that_does_not_listen(phones: Phones, status: int) -> None:
    side, leg = phones.called()
    phones.peer.notify_status = status
    refer(side)
    phones.act(leg.accept_refer)
    phones.act(lambda: leg.refer_progress(200))
    assert len(notified(side)) == 1


def test_the_call_ends_before_the_decision(phones: Phones) -> None:
    side, leg = phones.called()
    ask = refer(side)
    assert side.bye().status == 200
    assert ask.statuses == [487]
    phones.act(leg.accept_refer)
    phones.advance(200)
    assert notified(side) == []


def test_a_reference_to_a_dialog(phones: Phones) -> None:
    side, _ = phones.called()
    refer(side, "<sip:seat@10.0.0.1?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only&Subject=x>")
    event = asked(phones)
    assert event.replaces == Replaces("a@b", "1", "2", early_only=True)
    assert str(event.replaces) == "a@b;to-tag=1;from-tag=2;early-only"
    assert str(event.refer_to) == "<sip:seat@10.0.0.1>"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "nonsense",
        "<sip:a@b?Replaces=a%40b>",
        "<sip:a@b?Replaces=a%3Bto-tag%3D1>",
        "<sip:a@b?Replaces=%3Bto-tag%3D1%3Bfrom-tag%3D2>",
        "<sip:a@b?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>",
    ],
)
def test_references_that_cannot_be_read(phones: Phones, target: str) -> None:
    side, _ = phones.called()
    assert refer(side, target).statuses == [400]
    assert refer(side).statuses == []


def test_notify_without_a_subscription(phones: Phones) -> None:
    side, _ = phones.called()
    assert side.ask("NOTIFY", headers=[("Event", "refer")]).statuses == [481]


def test_replaces_that_says_nothing() -> None:
    with pytest.raises(RemoteProtocolError):
        Replaces.parse("call-id")
