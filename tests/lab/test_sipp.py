"""SIPp on both sides of the engine: what each side counts, and what the engine says of the call."""

import asyncio
import socket
from dataclasses import replace

import pytest

from engine.model.events import CallScreened, PopupSent
from lab.peers import packages, scenarios
from lab.peers.link import doubled, link, lost_once
from lab.peers.process import until
from lab.peers.rtp_tone import rtp_party
from lab.peers.scenarios import Scenario
from lab.peers.sipp import Line, Load, answering
from lab.peers.tone import seconds_of_tone
from tests.lab.kit import CLEAN, RED, SUBSCRIBER, YELLOW_LABEL, YELLOW_WARN, Lab

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not packages.have("sipp"), reason=packages.reason("sipp")),
]

RTP_PORT = 9000

# --- answered ---------------------------------------------------------------


async def test_plain_calls(lab: Lab) -> None:
    """Every call is answered and ended; no popup, and nothing is told of the caller but who it is."""
    ours, theirs = await lab.call(scenarios.CALL, load=Load(calls=20, per_second=20))
    assert ours.retransmissions == 0
    assert theirs.received("MESSAGE") == []
    invites = theirs.received("INVITE")
    assert len(invites) == 20
    assert SUBSCRIBER in invites[0].start
    assert CLEAN in invites[0].header("From")
    assert invites[0].header("Max-Forwards") == "69"
    assert invites[0].header("Call-Info") == invites[0].header("Alert-Info") == ""
    assert {call.outcome for call in await lab.engine.calls(20)} == {"caller/hung_up"}


@pytest.mark.parametrize("settings", [{"sip.audit_s": "0.5"}])
async def test_sides_that_are_asked_whether_they_are_there(lab: Lab) -> None:
    ours, theirs = await lab.call(scenarios.CALL, load=Load(pause_ms=1500))
    assert len(ours.received("OPTIONS")) == len(theirs.received("OPTIONS")) == 2
    assert [call.outcome for call in await lab.engine.calls(1)] == ["caller/hung_up"]


async def test_callee_hangs_up(lab: Lab) -> None:
    await lab.call(scenarios.HUNG_UP, scenarios.HANGS_UP)
    (call,) = await lab.engine.calls(1)
    assert (call.outcome, call.ended.answered) == ("callee/hung_up", True)


async def test_hold_and_resume(lab: Lab) -> None:
    """A re-INVITE goes through with its direction, and one more takes it back (RFC 3264 §8.4)."""
    _, theirs = await lab.call(scenarios.HOLD)
    assert ["sendonly" in invite.body for invite in theirs.received("INVITE")] == [False, True, False]


async def test_early_media(lab: Lab) -> None:
    ours, _ = await lab.call(scenarios.CALL, scenarios.EARLY_MEDIA)
    assert "m=audio" in ours.received("SIP/2.0 183")[0].body


async def test_late_offer(lab: Lab) -> None:
    """An INVITE without an offer: the callee's offer comes back in the 200 (RFC 3264 §4)."""
    ours, _ = await lab.call(scenarios.LATE_OFFER)
    assert "m=audio" in ours.received("SIP/2.0 200")[0].body


# --- not answered -----------------------------------------------------------


@pytest.mark.parametrize(
    ("calling", "called"),
    [
        pytest.param(scenarios.CANCEL_UNANSWERED, scenarios.NEVER_RINGS, id="before ringing"),
        pytest.param(scenarios.CANCEL_RINGING, scenarios.RINGS_FOREVER, id="while ringing"),
    ],
)
async def test_caller_gives_up(lab: Lab, calling: Scenario, called: Scenario) -> None:
    _, theirs = await lab.call(calling, called)
    assert len(theirs.received("CANCEL")) == 1
    (call,) = await lab.engine.calls(1)
    assert (call.outcome, call.ended.status) == ("caller/cancelled", 487)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("486 Busy Here", "callee/busy"),
        ("480 Temporarily Unavailable", "callee/no_answer"),
        ("603 Decline", "callee/declined"),
        ("404 Not Found", "upstream/not_found"),
    ],
)
async def test_callee_refuses(lab: Lab, status: str, outcome: str) -> None:
    code = int(status[:3])
    await lab.call(scenarios.refused(code), scenarios.refuses(status))
    (call,) = await lab.engine.calls(1)
    assert (call.outcome, call.ended.status) == (outcome, code)


@pytest.mark.parametrize("settings", [{"sip.no_answer_s": "1"}])
async def test_nobody_answers(lab: Lab) -> None:
    """The callee rings longer than a callee may: cancelled there, refused here."""
    _, theirs = await lab.call(scenarios.refused(480), scenarios.RINGS_FOREVER)
    assert len(theirs.received("CANCEL")) == 1
    (call,) = await lab.engine.calls(1)
    assert call.outcome == "callee/no_answer"


@pytest.mark.timeout(100)
async def test_what_takes_32_seconds(lab: Lab) -> None:
    """A caller that never acknowledges (RFC 3261 §13.3.1.4) and a next hop that never speaks (timer B).

    Both at once: one from the carrier to a subscriber, one from a subscriber to the carrier.
    """
    slow = Load(deadline_s=45)
    carrier, access = (
        replace(line, port=5070, media_port=7100, folder=line.folder / "caller")
        for line in (lab.carrier, lab.access)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind((lab.carrier.address, 5060))
        (ours, theirs), _ = await asyncio.gather(
            replace(lab, carrier=carrier).call(scenarios.LOST_ACK, load=slow),
            lab.alone(scenarios.refused(408), line=access, caller=SUBSCRIBER, number=CLEAN, load=slow),
        )
    assert len(ours.received("SIP/2.0 200")) > 5
    assert len(theirs.received("BYE")) == 1
    outcomes = {call.started.direction: call.outcome for call in await lab.engine.calls(2)}
    assert outcomes == {"inbound": "caller/ack_missing", "outbound": "upstream/timeout"}


# --- a network that loses and doubles ---------------------------------------


async def test_every_message_is_lost_once(lab: Lab) -> None:
    """On both sides the first copy of every message vanishes: each is repeated, and the call is one call."""
    site = lab.engine.site
    caller = Line(f"{site.prefix}.11.1", 5060, lab.carrier.folder)
    callee = Line(f"{site.prefix}.31.1", 5060, lab.access.folder)
    us = (site.engine, 5060)
    async with (
        link((callee.address, 5060), (site.access, 5060), us, lost_once),
        link((caller.address, 5060), (site.carrier, 5060), us, lost_once) as via,
        answering(scenarios.ANSWERS_REPEATS, callee, Load(pause_ms=1, deadline_s=60)) as side,
    ):
        await lab.alone(scenarios.CALL, line=caller, load=Load(pause_ms=4000), via=via)
        theirs = await side.finish(15)
    assert (theirs.succeeded, theirs.failed) == (1, 0), lab.engine.peer.error(f"callee: {theirs}")
    (call,) = await lab.engine.calls(1)
    assert call.outcome == "caller/hung_up"


async def test_every_message_of_the_carrier_comes_twice(lab: Lab) -> None:
    """Each INVITE, ACK and BYE arrives twice: the callee gets one of each."""
    site = lab.engine.site
    caller = Line(f"{site.prefix}.11.1", 5060, lab.carrier.folder)
    async with (
        link((caller.address, 5060), (site.carrier, 5060), (site.engine, 5060), doubled) as via,
        answering(scenarios.ANSWERS, lab.access) as side,
    ):
        await lab.alone(scenarios.CALL, line=caller, load=Load(calls=5), via=via)
        theirs = await side.finish()
    assert (theirs.created, theirs.succeeded) == (5, 5), lab.engine.peer.error(f"callee: {theirs}")
    assert [len(theirs.received(method)) for method in ("INVITE", "ACK", "BYE")] == [5, 5, 5]


# --- screened ---------------------------------------------------------------


async def told(lab: Lab) -> bool:
    """Whether three popups have been sent."""
    return sum(isinstance(event, PopupSent) for event in lab.engine.events()) == 3


async def test_red_caller_is_rejected(lab: Lab) -> None:
    """608 with the redress, before the first repeat; the telephone never rings, its owner gets a popup."""
    async with answering(scenarios.ANSWERS, lab.access) as side:  # popups come after the refusals
        ours = await lab.alone(scenarios.refused(608), caller=RED, load=Load(calls=3))
        assert {call.outcome for call in await lab.engine.calls(3)} == {"policy/rejected"}
        await until("three popups", lambda: told(lab), 10.0)
        theirs = await side.finish()
    assert (ours.retransmissions, theirs.failed) == (0, 0)
    assert theirs.received("INVITE") == []
    assert len(theirs.received("MESSAGE")) == 3
    assert "purpose=jwscard" in ours.received("SIP/2.0 608")[0].header("Call-Info")


async def test_yellow_caller_is_labelled(lab: Lab) -> None:
    """The popup has arrived before the telephone rings, and the telephone shows the label."""
    _, theirs = await lab.call(scenarios.CALL, caller=YELLOW_LABEL)
    (popup,), (invite,) = theirs.received("MESSAGE"), theirs.received("INVITE")
    assert theirs.messages.index(popup) < theirs.messages.index(invite)
    assert "Suspected fraud" in invite.header("From")
    assert YELLOW_LABEL in invite.header("From")
    sent = await lab.engine.event(PopupSent)
    assert sent.sip_result == "200"


async def test_popup_that_nobody_answers_does_not_hold_the_call(lab: Lab) -> None:
    """A telephone that knows no MESSAGE rings all the same."""
    await lab.call(scenarios.CALL, scenarios.IGNORES_POPUPS, caller=YELLOW_LABEL)
    sent = await lab.engine.event(PopupSent)
    assert sent.sip_result == "timeout"


async def test_warned_callee_presses_1(lab: Lab) -> None:
    """Speech and keys on both sides: the warning for the callee alone, its key (RFC 4733), both voices."""
    voiced = replace(
        lab,
        carrier=replace(lab.carrier, audio_port=RTP_PORT),
        access=replace(lab.access, audio_port=RTP_PORT),
    )
    async with (
        rtp_party(lab.carrier.address, RTP_PORT, 700) as caller,
        rtp_party(lab.access.address, RTP_PORT, 1100) as callee,
    ):
        call = asyncio.create_task(voiced.call(scenarios.CALL, caller=YELLOW_WARN, load=Load(pause_ms=6000)))
        async with asyncio.timeout(10):
            await callee.answering.wait()
        assert not caller.answering.is_set()
        callee.press("1")
        await call
    assert seconds_of_tone(callee.heard(), 700) > 2
    assert seconds_of_tone(caller.heard(), 1100) > 2
    assert caller.keys == []
    assert {address for address, _ in caller.sources | callee.sources} == {lab.engine.site.engine}
    (ended,) = await lab.engine.calls(1)
    assert ended.outcome == "caller/hung_up"


async def test_emergency_call_of_a_red_caller_passes(lab: Lab) -> None:
    _, theirs = await lab.call(scenarios.CALL, caller=RED, number="110")
    assert len(theirs.received("INVITE")) == 1
    assert theirs.received("MESSAGE") == []
    screened = await lab.engine.event(CallScreened)
    assert screened.action == "allow"


# --- what is not understood -------------------------------------------------


async def test_required_extension_is_refused(lab: Lab) -> None:
    result = await lab.alone(scenarios.REQUIRE_UNKNOWN)
    assert result.received("SIP/2.0 420")[0].header("Unsupported") == "precondition"


@pytest.mark.parametrize(("method", "code"), [("OPTIONS", 200), ("PUBLISH", 405), ("FROBNICATE", 501)])
async def test_request_outside_a_call(lab: Lab, method: str, code: int) -> None:
    await lab.alone(scenarios.request(method, code))


async def test_garbage_between_calls(lab: Lab) -> None:
    """Empty, garbled, truncated and oversize datagrams from the carrier's own address harm no call."""
    rubbish = (
        b"",
        b"\0" * 40,
        b"\xff" * 60_000,
        b"INVITE",
        b"INVITE sip:a@b SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bad:
        bad.bind((lab.carrier.address, 5099))
        for datagram in rubbish * 20:
            bad.sendto(datagram, (lab.engine.site.engine, 5060))
    await lab.call(scenarios.CALL, load=Load(calls=5))


async def test_stranger_is_refused(lab: Lab) -> None:
    """A host that is no trunk of ours places no calls."""
    stranger = Line(f"{lab.engine.site.prefix}.99.1", 5060, lab.carrier.folder)
    await lab.alone(scenarios.refused(403), line=stranger)
    assert await lab.engine.calls(0) == []
