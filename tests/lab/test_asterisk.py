"""Asterisk 22 as the carrier and as the access PBX, the engine between them."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.model.events import RecordingClosed
from lab.peers.asterisk import Asterisk, Place
from lab.peers.ringward import Ringward
from lab.peers.tone import listen, seconds_of_sound, seconds_of_tone
from recordings.capture import Capture
from tests.lab.kit import CLEAN, RED, SUBSCRIBER, YELLOW_LABEL, YELLOW_WARN

# The first test builds Asterisk's root, which takes a minute.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

CARRIER_HZ, ACCESS_HZ = 700, 1100


@dataclass(frozen=True, slots=True)
class Exchange:
    """Two Asterisks and the engine; each plays a tone of its own to whom it is connected."""

    engine: Ringward
    carrier: Asterisk
    access: Asterisk


@pytest.fixture
async def exchange(asterisk_folder: Path, engine: Ringward, tmp_path: Path) -> AsyncIterator[Exchange]:
    """Both Asterisks up; stopped, and with them their calls, before the engine is looked at."""
    site = engine.site
    carrier = Place("carrier", site.carrier, site.engine, tone_hz=CARRIER_HZ)
    access = Place("access", site.access, site.engine, tone_hz=ACCESS_HZ)
    first = await Asterisk.start(asterisk_folder, carrier, tmp_path / "carrier")
    try:
        second = await Asterisk.start(asterisk_folder, access, tmp_path / "access")
        try:
            yield Exchange(engine, first, second)
        finally:
            await second.stop()
    finally:
        await first.stop()


async def test_clean_call_is_heard_at_both_ends(exchange: Exchange) -> None:
    """The tone that one side sends is the tone that the other hears, and nothing else."""
    await exchange.access.manners(TALK_S="3")
    await exchange.carrier.call(CLEAN, SUBSCRIBER, "clean")
    rang = await exchange.access.event("Incoming", Called=SUBSCRIBER)
    assert rang["Caller"] == CLEAN
    assert rang["CallInfo"] == ""
    await exchange.carrier.event("Ended", Ref="clean", Role="calling")
    await exchange.access.event("Ended", Ref=SUBSCRIBER, Role="called")
    at_carrier = await exchange.carrier.heard("clean")
    at_access = await exchange.access.heard(SUBSCRIBER)
    assert seconds_of_tone(at_carrier, ACCESS_HZ) > 2.5
    assert seconds_of_tone(at_access, CARRIER_HZ) > 2.5
    assert exchange.access.seen("Popup") == []
    (call,) = await exchange.engine.calls(1)
    assert call.outcome == "callee/hung_up"


async def test_red_call_is_rejected(exchange: Exchange) -> None:
    """608 to the carrier; the access PBX gets a popup and no call."""
    await exchange.carrier.call(RED, SUBSCRIBER, "red")
    ended = await exchange.carrier.event("Ended", Ref="red", Role="calling")
    assert ended["Sip"].startswith("SIP 608")
    popup = await exchange.access.event("Popup")
    assert popup["Body"]
    assert exchange.access.seen("Incoming") == []
    (call,) = await exchange.engine.calls(1)
    assert call.outcome == "policy/rejected"


async def test_yellow_call_is_labelled(exchange: Exchange) -> None:
    """The telephone shows the label, and both can talk."""
    await exchange.access.manners(TALK_S="2")
    await exchange.carrier.call(YELLOW_LABEL, SUBSCRIBER, "label")
    rang = await exchange.access.event("Incoming", Called=SUBSCRIBER)
    assert "Suspected fraud" in rang["Name"]
    await exchange.carrier.event("Ended", Ref="label", Role="calling")
    assert seconds_of_tone(await exchange.carrier.heard("label"), ACCESS_HZ) > 1.5


async def test_warned_callee_presses_1(exchange: Exchange) -> None:
    """Alone with the warning until 1 is pressed (RFC 4733); then the notice, then both tones, recorded."""
    await exchange.access.manners(PRESS="1", PRESS_AFTER_S="3", TALK_S="8")
    await exchange.carrier.call(YELLOW_WARN, SUBSCRIBER, "warn")
    await exchange.access.event("Answered", Ref=SUBSCRIBER)
    assert exchange.carrier.seen("Connected") == []
    await exchange.access.event("Pressed", Ref=SUBSCRIBER)
    await exchange.carrier.event("Connected", Ref="warn")
    await exchange.carrier.event("Ended", Ref="warn", Role="calling")
    await exchange.access.event("Ended", Ref=SUBSCRIBER, Role="called")

    warned = await exchange.access.heard(SUBSCRIBER)
    before_the_key = warned[: 3 * 8000]
    assert seconds_of_sound(before_the_key) > 1.5
    assert seconds_of_tone(before_the_key, CARRIER_HZ) == 0
    assert seconds_of_tone(warned, CARRIER_HZ) > 3
    assert seconds_of_tone(await exchange.carrier.heard("warn"), ACCESS_HZ) > 3

    (call,) = await exchange.engine.calls(1)
    assert call.outcome == "callee/hung_up"
    closed = await exchange.engine.event(RecordingClosed)
    path = exchange.engine.folder / "data" / "recordings" / closed.path
    with closing(Capture.open(path)) as capture:
        assert not capture.interrupted
        assert seconds_of_tone(capture.channel(0), CARRIER_HZ) > 3
        assert seconds_of_tone(capture.channel(1), ACCESS_HZ) > 3
        # What is recorded starts after the notice, and each side is on a channel of its own.
        assert listen(capture.channel(0)[8000:16000]).is_tone(CARRIER_HZ)
        assert listen(capture.channel(1)[8000:16000]).is_tone(ACCESS_HZ)


@pytest.mark.parametrize("settings", [{"warning.key_timeout_s": "1"}])
@pytest.mark.parametrize(
    ("key", "outcome"), [("2", "callee/warning_refused"), ("", "callee/warning_unanswered")]
)
async def test_warned_callee_does_not_want_the_call(exchange: Exchange, key: str, outcome: str) -> None:
    """2, or no key in time, ends the call; the caller was never answered."""
    await exchange.access.manners(PRESS=key, PRESS_AFTER_S="1", TALK_S="30")
    await exchange.carrier.call(YELLOW_WARN, SUBSCRIBER, "refused")
    await exchange.carrier.event("Ended", 40, Ref="refused", Role="calling")
    assert exchange.carrier.seen("Connected") == []
    (call,) = await exchange.engine.calls(1)
    assert (call.outcome, call.ended.answered) == (outcome, False)


async def test_subscriber_who_dials_a_red_number_is_warned_and_hangs_up(exchange: Exchange) -> None:
    """The warning comes in early media, before anything reaches the carrier."""
    await exchange.access.call(SUBSCRIBER, RED, "dial", give_up_s=3)
    ended = await exchange.access.event("Ended", Ref="dial", Role="calling")
    assert ended["Status"] == "CANCEL"
    assert seconds_of_sound(await exchange.access.heard("dial")) > 1.5
    assert exchange.carrier.seen("Incoming") == []
    (call,) = await exchange.engine.calls(1)
    assert call.outcome == "caller/dial_warning_heeded"


async def test_subscriber_who_dials_a_red_number_may_go_on(exchange: Exchange) -> None:
    """Who stays on the line hears the whole warning, then the other side."""
    await exchange.carrier.manners(TALK_S="2")
    await exchange.access.call(SUBSCRIBER, RED, "insists")
    await exchange.carrier.event("Answered", 30, Ref=RED)
    await exchange.access.event("Ended", Ref="insists", Role="calling")
    heard = await exchange.access.heard("insists")
    assert seconds_of_sound(heard) > 4
    assert seconds_of_tone(heard, CARRIER_HZ) > 1.5
