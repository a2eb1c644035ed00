"""Requests that cannot be served, and what a callee's refusal means to the caller."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from engine.call.values import EndCallNow, Hop
from engine.model.address import Address
from engine.model.events import CallEnded, CallStarted
from engine.model.ids import CallId, CommandId
from engine.model.screening import Action
from tests.call.kit import ACCESS, CALLER, CARRIER, ENGINE, LONG, NUMBER, Lab
from tests.call.peer import Ask, sdp, write

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"


def refused(lab: Lab, ask: Ask, status: int) -> None:
    assert ask.statuses == [status]
    assert ask.last.to.tag
    assert lab.events == [] and lab.phone.calls == []


# --- outside a dialog ---


@pytest.mark.parametrize(
    "method", ["MESSAGE", "REGISTER", "REFER", "SUBSCRIBE", "PUBLISH", "UPDATE", "PRACK"]
)
def test_known_methods_that_are_not_served(lab: Lab, method: str) -> None:
    ask = lab.carrier.invite(NUMBER, method=method)
    refused(lab, ask, 405)
    assert ask.last.get("Allow") == ALLOW


@pytest.mark.parametrize("method", ["FETCH", "invite", "X-1"])
def test_unknown_methods(lab: Lab, method: str) -> None:
    ask = lab.carrier.invite(NUMBER, method=method)
    refused(lab, ask, 501)
    assert ask.last.get("Allow") == ALLOW


@pytest.mark.parametrize("method", ["BYE", "INFO"])
def test_requests_that_need_a_dialog(lab: Lab, method: str) -> None:
    refused(lab, lab.carrier.invite(NUMBER, method=method), 481)


def test_options(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, method="OPTIONS")
    refused(lab, ask, 200)
    assert ask.last.get("Allow") == ALLOW
    assert ask.last.get("Accept") == "application/sdp"


@pytest.mark.parametrize(
    ("headers", "status", "answer"),
    [
        ([("Contact", "")], 400, None),
        ([("Contact", "<sip:a@b>, <")], 400, None),
        ([("Require", "100rel, Path, Timer, gruu")], 420, ("Unsupported", "path, gruu")),
        ([("Require", 'a, "b')], 400, None),
        ([("Content-Type", "application/isup")], 415, ("Accept", "application/sdp")),
        ([("Content-Type", "")], 415, ("Accept", "application/sdp")),
    ],
)
def test_invites_that_cannot_be_taken(
    lab: Lab, headers: Iterable[tuple[str, str]], status: int, answer: tuple[str, str] | None
) -> None:
    ask = lab.carrier.invite(NUMBER, headers=headers)
    refused(lab, ask, status)
    if answer is not None:
        assert ask.last.get(answer[0]) == answer[1]


@pytest.mark.parametrize("kind", ["application/sdp; charset=utf-8", "APPLICATION/SDP"])
def test_descriptions_by_other_spellings(lab: Lab, kind: str) -> None:
    ask = lab.carrier.invite(NUMBER, headers=[("Content-Type", kind)])
    assert ask.statuses == [100]
    ask.cancel()


def test_max_forwards(lab: Lab) -> None:
    refused(lab, lab.carrier.invite(NUMBER, forwards=0), 483)
    for forwards, passed in ((1, 0), (None, 69)):
        ask = lab.carrier.invite(NUMBER, forwards=forwards)
        assert lab.phone.calls[-1].invite.request.max_forwards == passed
        ask.cancel()


@pytest.mark.parametrize(
    "body", [b"nonsense", b"v=0\r\n", sdp("224.0.0.1"), b"v=0\r\no=- 1 1 IN IP4 1\r\n\0"]
)
@pytest.mark.parametrize("record", [False, True])
def test_descriptions_that_cannot_be_used_never_ring(lab: Lab, body: bytes, record: bool) -> None:
    lab.verdict(record=record)
    ask = lab.carrier.invite(NUMBER, body)
    assert ask.statuses == [100, 488]
    assert lab.phone.calls == []
    assert lab.ended == "upstream/not_acceptable 488"
    assert lab.stages == ["routed", "unacceptable"]
    assert not lab.core.calls


def test_a_caller_without_a_codec_of_ours_never_rings_where_we_stand_between(lab: Lab) -> None:
    lab.verdict(record=True)
    ask = lab.carrier.invite(NUMBER, sdp("127.0.10.1", formats="18"))
    assert ask.statuses == [100, 488]
    assert lab.phone.calls == []


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("body", [b"nonsense", sdp("224.0.0.1")])
def test_a_callees_description_that_cannot_be_used(lab: Lab, body: bytes, early: bool) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    called.invite.reply(183 if early else 200, body)
    assert ask.status == 488
    assert lab.ended == "upstream/not_acceptable 488"
    assert called.has("CANCEL" if early else "BYE") == 1


def test_numbers_nobody_routes(lab: Lab) -> None:
    lab.verdict(hops=())
    assert lab.carrier.invite(NUMBER).statuses == [404]
    assert lab.ended == "engine/not_routed 404"


@pytest.mark.parametrize("uri", ["urn:service:sos", "tel:110", "sips:110@127.0.20.1"])
def test_addresses_that_are_not_sip(lab: Lab, uri: str) -> None:
    ask = lab.carrier.invite(NUMBER, uri=uri)
    request = lab.phone.calls[0].invite.request
    assert str(request.uri) == (uri if uri.startswith("urn") else "sip:110@127.0.30.1:5060")
    assert lab.asked[0].called == (uri if uri.startswith("urn") else "110")
    assert lab.asked[0].request_uri.startswith(uri)
    ask.cancel()


@pytest.mark.parametrize("caller", ["anonymous", "%2b8613800000001", "a%20b", "+86;x=y"])
def test_callers_of_any_spelling(lab: Lab, caller: str) -> None:
    ask = lab.carrier.invite(NUMBER, caller=caller)
    from_ = lab.phone.calls[0].invite.request.from_
    assert from_.uri.host == ("anonymous.invalid" if caller == "anonymous" else ENGINE[0])
    ask.cancel()


def test_a_caller_without_a_name(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    ask.cancel()
    data = write(
        f"INVITE sip:{NUMBER}@127.0.20.1 SIP/2.0",
        [
            ("Via", lab.carrier.via("z9hG4bK-nameless")),
            ("From", "<sip:127.0.10.1>;tag=1"),
            ("To", f"<sip:{NUMBER}@127.0.20.1>"),
            ("Call-ID", "nameless"),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:127.0.10.1>"),
        ],
    )
    lab.carrier.post(data)
    called = lab.phone.calls[-1]
    assert called.invite.request.from_.uri.user == "anonymous"
    called.invite.reply(486)


# --- inside a dialog ---


@pytest.mark.parametrize(
    ("method", "status"),
    [("MESSAGE", 405), ("SUBSCRIBE", 405), ("FETCH", 501), ("OPTIONS", 200)],
)
@pytest.mark.parametrize("who", [0, 1])
def test_other_methods_in_a_dialog(lab: Lab, method: str, status: int, who: int) -> None:
    sides = lab.connect()
    ask = sides[who].ask(method)
    assert ask.statuses == [status]
    assert ask.last.get("Allow") == ALLOW
    sides[0].bye()


# --- the callee's refusals ---


@pytest.mark.parametrize(
    ("status", "seen", "ended"),
    [
        (302, 480, "upstream/failed 480"),
        (401, 500, "upstream/failed 500"),
        (404, 404, "upstream/not_found 404"),
        (407, 500, "upstream/failed 500"),
        (408, 408, "callee/no_answer 408"),
        (410, 410, "upstream/not_found 410"),
        (415, 415, "upstream/not_acceptable 415"),
        (480, 480, "callee/no_answer 480"),
        (484, 484, "upstream/not_found 484"),
        (486, 486, "callee/busy 486"),
        (487, 480, "upstream/failed 480"),
        (488, 488, "upstream/not_acceptable 488"),
        (500, 500, "upstream/failed 500"),
        (503, 500, "upstream/failed 500"),
        (600, 600, "callee/busy 600"),
        (603, 603, "callee/declined 603"),
        (604, 604, "upstream/not_found 604"),
        (606, 606, "upstream/not_acceptable 606"),
        (607, 607, "callee/declined 607"),
        (699, 699, "upstream/failed 699"),
    ],
)
@pytest.mark.parametrize("rings", [False, True])
def test_what_the_caller_sees(lab: Lab, status: int, seen: int, ended: str, rings: bool) -> None:
    ask = lab.carrier.invite(NUMBER)
    called = lab.phone.calls[0]
    if rings:
        called.invite.reply(180)
    called.invite.reply(status, headers=[("Contact", "<mailto:elsewhere@example.org>"), ("Retry-After", "9")])
    assert ask.status == seen
    assert lab.ended == ended
    assert [ask.last.get(name) for name in ("Contact", "Retry-After", "WWW-Authenticate")] == [None] * 3


# --- draining ---


def test_a_draining_engine_takes_no_calls_but_protected_ones(lab: Lab) -> None:
    lab.drain()
    refused = lab.carrier.invite(NUMBER)
    assert refused.statuses == [503]
    assert refused.last.get("Retry-After") == "30"
    assert lab.ended == "engine/shutdown 503"
    lab.verdict(protected=True, rule="emergency")
    ask = lab.phone.invite("110", caller="13900000002")
    lab.carrier.calls[-1].invite.reply(200, sdp(CARRIER[0], 50000))
    ask.ack()
    lab.drain()
    assert len(lab.core.calls) == 1
    ask.side.bye()
    assert lab.of(CallEnded)[-1].outcome.reason == "hung_up"


def test_draining_ends_calls_at_every_stage(lab: Lab) -> None:
    caller, called = lab.connect()
    ringing = lab.carrier.invite(NUMBER)
    lab.phone.calls[-1].invite.reply(180)
    lab.drain()
    assert (caller.has("BYE"), called.has("BYE"), ringing.status) == (1, 1, 503)
    assert {str(event.outcome) for event in lab.of(CallEnded)} == {"engine/shutdown"}
    assert not lab.core.calls


def test_a_call_that_is_not_there_cannot_be_ended(lab: Lab) -> None:
    lab.command(EndCallNow(CommandId("c"), CallId("nothing")))
    assert [(answer.ok, answer.error) for answer in lab.answers] == [(False, "unknown_call")]


def test_ending_a_call_is_acknowledged_and_done_once(lab: Lab) -> None:
    lab.connect()
    call_id = lab.of(CallStarted)[0].call_id
    lab.phone.bye_status = lab.carrier.bye_status = None
    lab.end()
    lab.end()
    assert [(answer.ok, answer.call_id) for answer in lab.answers] == [(True, call_id)] * 2
    assert lab.ended == "engine/shutdown 200"
    lab.advance(LONG)


# --- screening ---


def test_what_is_told_of_a_call(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, display='"Zhang"')
    (started,) = lab.of(CallStarted)
    assert (started.direction, started.trunk, started.calling) == ("inbound", "carrier", CALLER)
    assert (started.display, started.sip_call_id) == ("Zhang", ask.side.call_id)
    assert lab.asked[0].calling == "+8613800000001"
    assert lab.asked[0].called == NUMBER
    ask.cancel()


def test_calls_from_subscribers_go_out(lab: Lab) -> None:
    ask = lab.phone.invite("13700000003", caller="13900000002")
    assert lab.of(CallStarted)[0].direction == "outbound"
    assert len(lab.carrier.calls) == 1
    ask.cancel()


def test_cancelled_before_the_verdict(lab: Lab) -> None:
    """The runtime decides at once today; nothing rests on it."""
    lab.thinks = True
    ask = lab.carrier.invite(NUMBER)
    assert lab.core.counts()["calls"] == 1
    ask.cancel()
    assert ask.statuses == [487]
    lab.think()
    assert lab.events == []


def test_a_verdict_that_takes_its_time(lab: Lab) -> None:
    lab.thinks = True
    ask = lab.carrier.invite(NUMBER)
    ask.send()
    assert ask.statuses == []
    lab.think()
    assert ask.statuses == [100]
    assert len(lab.phone.calls) == 1
    ask.cancel()


def test_every_action_of_a_verdict_is_carried_out_somehow(lab: Lab) -> None:
    for action in Action:
        lab.verdict(action=action, hops=(Hop(Address(*ACCESS)),))
        ask = lab.carrier.invite(NUMBER)
        if action is Action.REJECT:
            assert ask.statuses == [608]
        else:
            assert ask.statuses == [100]
            ask.cancel()
