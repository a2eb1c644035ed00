"""Session timers (RFC 4028): agreed on each leg for itself, refreshed by either side, or ended."""

from __future__ import annotations

from itertools import product

import pytest

from engine.call.session_timer import (
    IGNORED,
    TABLE,
    Agreement,
    Input,
    State,
    agree_to,
    agreed_by,
    late_s,
    longer_interval,
    too_short,
)
from engine.model.screening import Action
from engine.sip.message import Request, Response
from engine.sip.session_expires import SessionExpires, min_se, session_expires
from tests.call.kit import ACCESS, CARRIER, NUMBER, Lab
from tests.call.peer import Ask, Headers, Side, sdp
from tests.call.test_clean_call import origin

TIMER = ("Supported", "timer")
UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")
HALF_S = 900.0
LATE_S = 1768.0


def asks(interval: str, *more: tuple[str, str]) -> Headers:
    return [("Session-Expires", interval), *more]


def begun(lab: Lab, caller: Headers = (), callee: Headers = ()) -> tuple[Side, Side, Ask]:
    """A connected call, as its two sides wanted it: caller's, callee's, and the caller's INVITE.

    The caller answers our refreshes at once.
    """
    lab.carrier.takes_offers = sdp(CARRIER[0])
    ask = lab.carrier.invite(NUMBER, headers=caller)
    called = lab.phone.calls[-1]
    called.invite.reply(200, sdp(ACCESS[0], 50000), callee)
    ask.ack()
    lab.ladder()
    return ask.side, called, ask


# --- the table and the rules ---


def test_each_pair_is_in_exactly_one_place() -> None:
    pairs = set(product(State, Input))
    assert set(TABLE) | IGNORED == pairs
    assert len(TABLE) + len(IGNORED) == len(pairs)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("1800", SessionExpires(1800)),
        ("1800;refresher=uac", SessionExpires(1800, "uac")),
        ("90 ; Refresher=UAS", SessionExpires(90, "uas")),
        ("90;refresher=me", SessionExpires(90)),
        ("", None),
        ("-90", None),
        ("+90", None),
        ("٩٠", None),
        ("90;refresher=", SessionExpires(90)),
        ("90;;", None),
        ("99999999999", None),
    ],
)
def test_reading_session_expires(value: str, read: SessionExpires | None) -> None:
    assert session_expires(Request("INVITE", "sip:a@b", [("Session-Expires", value)])) == read


@pytest.mark.parametrize(("value", "read"), [("120", 120), ("120;x=y", 120), ("", 0), ("x", 0), ("-1", 0)])
def test_reading_min_se(value: str, read: int) -> None:
    assert min_se(Response(422, "", [("Min-SE", value)])) == read


@pytest.mark.parametrize(("interval_s", "at"), [(90, 60.0), (96, 64.0), (120, 88.0), (1800, 1768.0)])
def test_when_the_bye_is_due(interval_s: int, at: float) -> None:
    assert late_s(interval_s) == at


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        ([("Session-Expires", "89"), TIMER], True),
        ([("x", "89"), TIMER], True),
        ([("Session-Expires", "90"), TIMER], False),
        ([("Session-Expires", "89")], False),  # who knows no timers would not understand 422 (§9)
        ([TIMER], False),
    ],
)
def test_what_is_too_short(rows: list[tuple[str, str]], refused: bool) -> None:
    assert too_short(Request("INVITE", "sip:a@b", rows)) is refused


@pytest.mark.parametrize(
    ("rows", "wanted_s", "agreed", "answer"),
    [
        # the rows of table 2 in §9
        (asks("600", TIMER), 0, Agreement(600, False), asks("600;refresher=uac", ("Require", "timer"))),
        (
            asks("600;refresher=uac", TIMER),
            0,
            Agreement(600, False),
            asks("600;refresher=uac", ("Require", "timer")),
        ),
        (asks("600;refresher=uas", TIMER), 0, Agreement(600, True), asks("600;refresher=uas")),
        (asks("600"), 0, Agreement(600, True), asks("600;refresher=uas")),
        (asks("600;refresher=uac"), 0, Agreement(600, True), asks("600;refresher=uas")),
        # nobody asked: we do, where we want one
        ([TIMER], 0, None, []),
        ([], 0, None, []),
        ([], 1800, Agreement(1800, True), asks("1800;refresher=uas")),
        ([("Min-SE", "3600")], 1800, Agreement(3600, True), asks("3600;refresher=uas")),
        # ours is the shorter, but never below their Min-SE
        (asks("7200", TIMER), 1800, Agreement(1800, False), asks("1800;refresher=uac", ("Require", "timer"))),
        (
            asks("7200", TIMER, ("Min-SE", "3600")),
            1800,
            Agreement(3600, False),
            asks("3600;refresher=uac", ("Require", "timer")),
        ),
        # bounds
        (asks("5"), 0, Agreement(90, True), asks("90;refresher=uas")),
        (asks("4294967295"), 0, Agreement(86_400, True), asks("86400;refresher=uas")),
    ],
)
def test_what_is_agreed_as_uas(
    rows: list[tuple[str, str]], wanted_s: int, agreed: Agreement | None, answer: list[tuple[str, str]]
) -> None:
    assert agree_to(Request("INVITE", "sip:a@b", rows), wanted_s) == (agreed, answer)


@pytest.mark.parametrize(
    ("rows", "asked_s", "agreed"),
    [
        (asks("600;refresher=uac"), 1800, Agreement(600, True)),
        (asks("600;refresher=uas"), 1800, Agreement(600, False)),
        (asks("600"), 1800, Agreement(600, True)),
        (asks("600;refresher=uas"), 0, Agreement(600, False)),
        ([], 1800, Agreement(1800, True)),  # a peer that knows no timers: we refresh alone
        ([], 0, None),
        (asks("1;refresher=uac"), 1800, Agreement(90, True)),
    ],
)
def test_what_is_agreed_as_uac(rows: list[tuple[str, str]], asked_s: int, agreed: Agreement | None) -> None:
    assert agreed_by(Response(200, "OK", rows), asked_s) == agreed


@pytest.mark.parametrize(
    ("value", "asked_s", "longer_s"),
    [("3600", 1800, 3600), ("1800", 1800, 0), ("90", 1800, 0), ("", 1800, 0), ("99999999", 1800, 0)],
)
def test_asking_for_longer_sessions(value: str, asked_s: int, longer_s: int) -> None:
    assert longer_interval(Response(422, "", [("Min-SE", value)]), asked_s) == longer_s


# --- as UAC: the callee's leg ---


def test_the_invite_asks(lab: Lab) -> None:
    _, called, _ = begun(lab)
    request = called.invite.request
    assert request.get("Session-Expires") == "1800"
    assert request.get("Min-SE") is None
    assert "timer" in (request.get("Supported") or "")
    called.bye()


@pytest.mark.parametrize("callee", [(), asks("1800;refresher=uac")], ids=["knows no timers", "lets us"])
def test_we_refresh_at_half_time_by_the_same_description(lab: Lab, callee: Headers) -> None:
    _, called, _ = begun(lab, callee=callee)
    first = called.invite.request
    lab.advance(HALF_S - 1)
    assert called.has("INVITE") == 1
    lab.advance(1)
    refresh = called.last("INVITE")
    assert called.has("INVITE") == 2
    assert refresh.request.body == first.body
    assert origin(refresh.request.body) == origin(first.body)
    assert refresh.request.get("Session-Expires") == "1800;refresher=uac"
    assert "timer" in (refresh.request.get("Supported") or "")
    acks = len(called.acks)
    refresh.reply(200, sdp(ACCESS[0], 50000))
    assert len(called.acks) == acks + 1
    lab.advance(HALF_S)
    assert called.has("INVITE") == 3
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50000))
    called.bye()


@pytest.mark.parametrize("allow", [[UPDATES], [("Allow", "INVITE, BYE"), ("Allow", "ACK, update")]])
def test_we_refresh_by_update_where_the_callee_takes_it(lab: Lab, allow: Headers) -> None:
    _, called, _ = begun(lab, callee=allow)
    lab.advance(HALF_S)
    refresh = called.last("UPDATE")
    assert refresh.request.body == b""
    assert refresh.request.get("Session-Expires") == "1800;refresher=uac"
    assert refresh.request.contact is not None
    refresh.reply(200, headers=asks("1800;refresher=uac"))
    lab.advance(HALF_S)
    assert called.has("UPDATE") == 2
    called.last("UPDATE").reply(200)
    called.bye()


@pytest.mark.parametrize("status", [405, 501])
def test_an_update_that_is_not_served_after_all(lab: Lab, status: int) -> None:
    _, called, _ = begun(lab, callee=[UPDATES])
    lab.advance(HALF_S)
    called.last("UPDATE").reply(status)
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50000))
    lab.advance(HALF_S)
    assert (called.has("UPDATE"), called.has("INVITE")) == (1, 3)
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50000))
    called.bye()


def test_the_callee_may_refresh_instead(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=asks("600;refresher=uas", ("Require", "timer")))
    for _ in range(3):
        lab.advance(300)
        refresh = called.ask("UPDATE", headers=asks("600;refresher=uac", TIMER))
        assert refresh.statuses == [200]
        assert refresh.last.get("Session-Expires") == "600;refresher=uac"
        assert refresh.last.get("Require") == "timer"
    lab.advance(568 - 1)
    assert (called.has("BYE"), called.has("UPDATE")) == (0, 0)
    lab.advance(1)
    bye = called.last("BYE").request
    assert bye.get("Reason") == 'SIP;cause=408;text="Session expired"'
    assert caller.has("BYE") == 1
    assert lab.ended == "upstream/timeout 200"


def test_a_refresh_by_reinvite_is_answered_by_the_leg_alone(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=asks("600;refresher=uas"))
    lab.advance(300)
    lab.ladder()
    refresh = called.ask("INVITE", sdp(ACCESS[0], 50000), asks("600;refresher=uac", TIMER))
    refresh.ack()
    ladder = lab.ladder()
    assert ladder == ["S→E INVITE", "E→S 200", "S→E ACK"]
    assert refresh.last.body == called.invite.request.body
    caller.bye()


def test_a_refresh_whose_answer_nobody_acknowledges(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=asks("600;refresher=uas"))
    lab.advance(300)
    called.ask("INVITE", sdp(ACCESS[0], 50000), asks("600;refresher=uac", TIMER))
    lab.advance(33)
    assert (called.has("BYE"), caller.has("BYE")) == (1, 1)
    assert lab.ended == "upstream/timeout 200"


def test_a_refresh_with_another_description_is_an_offer(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=asks("600;refresher=uas"))
    lab.advance(300)
    refresh = called.ask("INVITE", sdp(ACCESS[0], 50002, version=2), asks("600;refresher=uac", TIMER))
    assert caller.has("INVITE") == 1
    assert refresh.statuses == [100, 200]
    assert refresh.last.get("Session-Expires") == "600;refresher=uac"
    refresh.ack()
    lab.advance(500)
    assert called.has("BYE") == 0
    caller.bye()


def test_nobody_answers_our_refresh(lab: Lab) -> None:
    """§10: no answer at all means that the dialog is gone."""
    caller, called, _ = begun(lab, callee=[UPDATES])
    lab.advance(HALF_S)
    lab.advance(33)
    assert called.has("BYE") == 1
    assert caller.has("BYE") == 1
    assert lab.ended == "upstream/timeout 200"


@pytest.mark.parametrize("status", [408, 481])
def test_the_callee_knows_no_such_dialog(lab: Lab, status: int) -> None:
    caller, called, _ = begun(lab, callee=[UPDATES])
    lab.advance(HALF_S)
    called.last("UPDATE").reply(status)
    assert (called.has("BYE"), caller.has("BYE")) == (1, 1)
    assert lab.ended == "upstream/timeout 200"


def test_a_refused_refresh_is_tried_again_until_the_session_is_over(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=[UPDATES])
    lab.advance(HALF_S)
    while not called.has("BYE"):
        called.last("UPDATE").reply(503)
        lab.advance(1.0)
        assert lab.now <= 100 + LATE_S + 1
    assert lab.now >= 100 + LATE_S
    assert 3 <= called.has("UPDATE") <= 10
    assert caller.has("BYE") == 1
    assert lab.ended == "upstream/timeout 200"


def test_a_refresh_after_a_refused_one_counts(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=[UPDATES])
    lab.advance(HALF_S)
    called.last("UPDATE").reply(503)
    lab.advance(1800 / 16)
    assert called.has("UPDATE") == 2
    called.last("UPDATE").reply(200)
    lab.advance(HALF_S - 1)
    assert called.has("UPDATE") == 2
    assert called.has("BYE") == 0
    caller.bye()


def test_a_422_is_answered_with_a_longer_session(lab: Lab) -> None:
    lab.carrier.takes_offers = sdp(CARRIER[0])
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(422, headers=[("Min-SE", "3600")])
    again = called.last("INVITE")
    assert again.request.cseq.number == 2
    assert again.request.get("Session-Expires") == "3600"
    assert again.request.rows("Min-SE") == ["3600"]
    again.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    lab.advance(1799)
    assert called.has("INVITE") == 2
    lab.advance(1)
    assert called.last("INVITE").request.get("Session-Expires") == "3600;refresher=uac"
    called.last("INVITE").reply(200, sdp(ACCESS[0], 50000))
    ask.side.bye()


@pytest.mark.parametrize("least", ["1800", "", "x", "999999999"])
def test_a_422_that_asks_for_no_more(lab: Lab, least: str) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(422, headers=[("Min-SE", least)] if least else [])
    assert called.has("INVITE") == 1
    assert ask.status >= 400


def test_a_refresh_that_is_too_short_for_the_callee(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=[UPDATES])
    lab.advance(HALF_S)
    called.last("UPDATE").reply(422, headers=[("Min-SE", "3600")])
    again = called.last("UPDATE").request
    assert again.get("Session-Expires") == "3600;refresher=uac"
    assert again.get("Min-SE") == "3600"
    called.last("UPDATE").reply(200)
    lab.advance(1799)
    assert called.has("UPDATE") == 2
    caller.bye()


# --- as UAS: the caller's leg ---


def test_a_caller_that_refreshes(lab: Lab) -> None:
    caller, called, ask = begun(lab, caller=asks("600", TIMER))
    assert ask.last.get("Session-Expires") == "600;refresher=uac"
    assert ask.last.get("Require") == "timer"
    assert called.invite.request.get("Session-Expires") == "1800"  # never copied across
    lab.advance(300)
    assert caller.ask("UPDATE", headers=asks("600;refresher=uac", TIMER)).statuses == [200]
    lab.advance(567)
    assert caller.has("BYE") == 0
    lab.advance(1)
    assert caller.has("BYE") == 1
    assert called.has("BYE") == 1
    assert lab.ended == "upstream/timeout 200"


def test_a_caller_that_wants_us_to_refresh(lab: Lab) -> None:
    caller, _, ask = begun(lab, caller=asks("600;refresher=uas", TIMER, UPDATES))
    assert ask.last.get("Session-Expires") == "600;refresher=uas"
    lab.advance(300)
    refresh = caller.last("UPDATE")
    assert refresh.request.get("Session-Expires") == "600;refresher=uac"
    refresh.reply(200, headers=asks("600;refresher=uac"))
    caller.bye()


def test_a_caller_that_knows_no_timers(lab: Lab) -> None:
    caller, _, ask = begun(lab)
    assert ask.last.get("Session-Expires") == "1800;refresher=uas"
    lab.advance(HALF_S)
    refresh = caller.last("INVITE")
    assert refresh.request.body == ask.last.body
    assert len(caller.acks) == 1
    caller.bye()


def test_a_session_too_short_for_us(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=asks("60", TIMER))
    assert ask.statuses == [422]
    assert ask.last.get("Min-SE") == "90"
    assert lab.phone.calls == []


def test_a_refresh_too_short_for_us(lab: Lab) -> None:
    caller, _, _ = begun(lab, caller=asks("600", TIMER))
    ask = caller.ask("UPDATE", headers=asks("60", TIMER))
    assert ask.statuses == [422]
    caller.bye()


def test_an_offer_in_between_keeps_who_refreshes(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=asks("600;refresher=uas"))
    offer = caller.offer(sdp(CARRIER[0], 40002, version=2))
    passed = called.last("INVITE")
    assert passed.request.get("Session-Expires") == "600;refresher=uas"
    passed.reply(200, sdp(ACCESS[0], 50000), asks("600;refresher=uas"))
    offer.ack()
    lab.advance(500)
    assert called.has("UPDATE") == 0
    caller.bye()


def test_no_timers_where_none_are_wanted() -> None:
    lab = Lab(session_expires_s=0)
    caller, called, ask = begun(lab)
    assert called.invite.request.get("Session-Expires") is None
    assert ask.last.get("Session-Expires") is None
    lab.advance(10_000)
    assert (called.has("INVITE"), caller.has("INVITE")) == (1, 0)
    caller.bye()
    lab.settle()


def test_a_refresh_meets_an_offer_of_the_peer(lab: Lab) -> None:
    caller, called, _ = begun(lab, callee=[UPDATES])
    lab.carrier.takes_offers = b""
    lab.advance(HALF_S - 1)
    offer = called.offer(sdp(ACCESS[0], 50002, version=2))
    lab.advance(1)
    assert called.has("UPDATE") == 0
    caller.last("INVITE").reply(200, sdp(CARRIER[0]))
    offer.ack()
    lab.advance(HALF_S)
    assert called.has("UPDATE") == 1
    called.last("UPDATE").reply(200)
    caller.bye()


# --- a peer that is lost before the call is connected ---


@pytest.mark.parametrize(("record", "status"), [(False, 480), (True, 200)], ids=["warning", "notice"])
def test_a_side_that_is_lost_while_a_prompt_plays(lab: Lab, record: bool, status: int) -> None:
    """Nobody acknowledges our answer to its refresh; the prompt takes longer than that."""
    lab.verdict(record=True) if record else lab.verdict(action=Action.WARN, announcement="warn_callee")
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[-1]
    called.invite.reply(200, sdp(ACCESS[0], 50000), asks("600;refresher=uas"))
    if record:
        ask.ack()
    called.ask("INVITE", sdp(ACCESS[0], 50000), asks("600;refresher=uac", TIMER))
    lab.advance(33)
    assert called.has("BYE") == 1
    assert ask.status == status
    assert lab.ended == f"upstream/timeout {status}"
