"""The calls of the demo, in order, and what must come of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from engine.model.events import CallScreened, DissuasionEnded, PopupSent, RecordingClosed, RecordingStarted
from lab.demo.checks import CallReport, Check
from lab.demo.phones import PhoneProcess
from lab.demo.records import Console, JournalTail, PopupStream
from lab.phones.messages import Call, Expect

SUBSCRIBER: Final = "+8613800138000"
RED: Final = "+8617000000001"
LABELLED: Final = "+8617000000002"
WARNED: Final = "+8617000000003"
CLEAN: Final = "+8613912345678"
T1_S: Final = 0.5
"""The caller's first retransmission (RFC 3261 §17.1.1.1)."""
TRANSCRIPT_LIMIT_S: Final = 60.0
B2BUA_HEADERS: Final = {"From", "Allow", "Supported", "Session-Expires"}
"""Of those that a phone shows: what a back-to-back user agent says of itself; anything else was added."""


@dataclass(slots=True)
class Stage:
    """Everything a call of the scenario uses."""

    engine: str
    carrier: PhoneProcess
    transit: PhoneProcess
    subscriber: PhoneProcess
    journal: JournalTail
    console: Console
    popups: PopupStream
    callback_mark: int = 0
    """The subscriber phone's observations before the call-back of call 7."""
    report: CallReport = field(default_factory=lambda: CallReport("", ""))

    def expect(self, text: str, held: bool, seen: object = "") -> None:
        self.report.checks.append(Check(text, bool(held), str(seen)))

    async def ready_for(self, order: Expect) -> None:
        """The subscriber's phone knows how to take its next call."""
        mark = self.subscriber.mark
        self.subscriber.order(order)
        await self.subscriber.until("expecting", since=mark)

    def dial(self, phone: PhoneProcess, from_number: str, number: str = SUBSCRIBER, **more: object) -> int:
        """Place a call; returns the phone's mark before it."""
        mark = phone.mark
        phone.order(
            msgspec.convert(
                {"order": "call", "to": self.engine, "number": number, "from_number": from_number, **more},
                Call,
            )
        )
        return mark


async def red_is_rejected(stage: Stage) -> None:
    """1. A red number calls: 608 at once, the phone never rings, the callee is told."""
    journal, subscriber = stage.journal.mark, stage.subscriber.mark
    mark = stage.dial(stage.carrier, RED, display="Your Bank")
    refused = await stage.carrier.until("refused", since=mark)
    calling = stage.carrier.seen("calling", mark)[0]
    popup = await stage.subscriber.until("message", since=subscriber)
    started, screened, ended = await stage.journal.call(journal)
    elapsed_ms = (refused.at - calling.at) * 1000
    stage.expect("the caller gets 608 Rejected", refused.status == 608, refused.status)
    stage.expect("before its first retransmission", elapsed_ms < T1_S * 1000, f"{elapsed_ms:.1f} ms")
    code = screened.appeal_code
    stage.expect("with redress in Call-Info and an appeal code", bool(code) and code in refused.detail, code)
    stage.expect("the callee's phone never rings", not stage.subscriber.seen("incoming", subscriber))
    stage.expect(
        "the callee gets a popup that a fraud call was blocked", "blocked" in popup.detail, popup.detail
    )
    stage.expect("the outcome is policy/rejected", str(ended.outcome) == "policy/rejected", ended.outcome)
    stage.expect("the call came in over the carrier", started.trunk == "carrier", started.trunk)


async def red_hears_announcement(stage: Stage) -> None:
    """1b. A red number over a trunk without sip.608: an announcement in early media, then 608."""
    subscriber = stage.subscriber.mark
    mark = stage.dial(stage.transit, RED)
    early = await stage.transit.until("provisional", since=mark)
    refused = await stage.transit.until("refused", since=mark)
    stage.expect("early media first", early.detail == "early media", early.detail)
    stage.expect(
        "the caller hears the announcement", refused.heard_s >= 3.0, f"{refused.heard_s} s of speech"
    )
    stage.expect("then 608 Rejected", refused.status == 608, refused.status)
    stage.expect("the callee's phone never rings", not stage.subscriber.seen("incoming", subscriber))


async def yellow_is_labelled(stage: Stage) -> None:
    """2. A yellow number, policy label: popup, then the phone rings with the label as display name."""
    journal, subscriber, pages = stage.journal.mark, stage.subscriber.mark, len(stage.popups.arrived)
    await stage.ready_for(Expect(steps=("say:callee_hello",)))
    mark = stage.dial(stage.carrier, LABELLED, display="Grandson", steps=("now:say:caller_hello", "hang_up"))
    incoming = await stage.subscriber.until("incoming", since=subscriber)
    message = await stage.subscriber.until("message", since=subscriber)
    await stage.carrier.until("ended", "refused", since=mark)
    sent = await stage.journal.until(PopupSent, journal)
    page = await _until(lambda: len(stage.popups.arrived) > pages, 5.0)
    name = incoming.headers.get("From", "")
    stage.expect("the display name is the label", '"Suspected fraud"' in name, name)
    stage.expect(
        "the popup reached the phone before the ringing INVITE",
        message.at < incoming.at,
        f"{(incoming.at - message.at) * 1000:.1f} ms before",
    )
    stage.expect(
        "MESSAGE and broker had both answered when the INVITE left",
        (sent.sip_result, sent.bus_result) == ("200", "acknowledged"),
        f"MESSAGE {sent.sip_result}, broker {sent.bus_result}",
    )
    # the broker passes it on to the page while it answers the engine: the two are within milliseconds
    earlier_ms = (incoming.at - stage.popups.arrived[-1][0]) * 1000 if page else 0.0
    stage.expect("the handset page shows it", page, f"{earlier_ms:+.1f} ms before the phone's INVITE")


async def yellow_is_warned(stage: Stage) -> None:
    """3. A yellow number, policy warn: the callee alone hears the warning, presses 1, both hear a notice."""
    journal, subscriber = stage.journal.mark, stage.subscriber.mark
    await stage.ready_for(
        Expect(steps=("press:1", "listen", "say:callee_who", "say:callee_refuse", "listen"))
    )
    mark = stage.dial(
        stage.carrier, WARNED, steps=("say:caller_transfer", "say:caller_hurry", "hang_up"), display="Bank"
    )
    pressed = await stage.subscriber.until("pressed", since=subscriber, limit_s=30)
    before = stage.carrier.observations[mark:]
    # the phone must know how to take the call-back before it comes:
    # talk now; yes, asked for money; keeps to the advice (dialplans/dissuasion/general.toml)
    stage.callback_mark = stage.subscriber.mark
    await stage.ready_for(Expect(steps=("press:1", "press:1", "press:1")))
    answered = await stage.carrier.until("answered", since=mark)
    await stage.carrier.until("ended", since=mark, limit_s=60)
    started, screened, ended = await stage.journal.call(journal, limit_s=60)
    closed = await stage.journal.until(RecordingClosed, journal, started.call_id)
    stage.expect("the verdict is warn", screened.action == "warn", screened.action)
    stage.expect(
        "the callee heard a warning", 2.0 <= pressed.heard_s <= 8.0, f"{pressed.heard_s} s of speech"
    )
    rang = any(found.what == "provisional" and found.detail == "ringback" for found in before)
    stage.expect(
        "meanwhile the caller heard ringback and nothing else",
        rang and answered.heard_s == 0,
        answered.heard_s,
    )
    stage.expect("after the key the caller was answered", answered.at > pressed.at)
    stage.expect("both talked", _said(stage.carrier, mark) >= 2 and _said(stage.subscriber, subscriber) >= 2)
    stage.expect(
        "and the call ended normally", ended.answered and ended.outcome.reason == "hung_up", ended.outcome
    )
    stage.expect(
        "it was recorded on two channels", closed.duration_ms > 5000 and not closed.interrupted, closed.path
    )
    await _transcribed(stage, closed.recording_id, left="transfer the money", right="do not believe you")


async def warning_refused(stage: Stage) -> None:
    """3b. The same, but the callee presses 2: the call ends with 607."""
    journal = stage.journal.mark
    await stage.ready_for(Expect(steps=("press:2",)))
    mark = stage.dial(stage.carrier, WARNED)
    refused = await stage.carrier.until("refused", since=mark, limit_s=30)
    _, _, ended = await stage.journal.call(journal)
    stage.expect("the caller gets 607 Unwanted", refused.status == 607, refused.status)
    stage.expect(
        "the outcome is callee/warning_refused", str(ended.outcome) == "callee/warning_refused", ended.outcome
    )


async def warning_unanswered(stage: Stage) -> None:
    """3c. The same, but the callee presses nothing: the call ends."""
    journal = stage.journal.mark
    await stage.ready_for(Expect())
    mark = stage.dial(stage.carrier, WARNED)
    refused = await stage.carrier.until("refused", since=mark, limit_s=40)
    _, _, ended = await stage.journal.call(journal)
    stage.expect("the caller gets 480", refused.status == 480, refused.status)
    expected = "callee/warning_unanswered"
    stage.expect(f"the outcome is {expected}", str(ended.outcome) == expected, ended.outcome)


async def clean_passes(stage: Stage) -> None:
    """4. A clean number: passes with no header added, media goes direct."""
    journal, subscriber = stage.journal.mark, stage.subscriber.mark
    await stage.ready_for(Expect(steps=("say:callee_lunch",)))
    mark = stage.dial(stage.carrier, CLEAN, display="Anna", steps=("now:say:caller_friend", "hang_up"))
    incoming = await stage.subscriber.until("incoming", since=subscriber)
    answered = await stage.carrier.until("answered", since=mark)
    await stage.carrier.until("ended", since=mark, limit_s=30)
    _, screened, _ = await stage.journal.call(journal)
    stage.expect("the verdict is allow", screened.action == "allow", screened.action)
    stage.expect("the display name is the caller's own", '"Anna"' in incoming.headers.get("From", ""))
    added = set(incoming.headers) - B2BUA_HEADERS
    stage.expect("no header beyond what a B2BUA must set", not added, ", ".join(sorted(added)) or "none")
    direct = incoming.media_from == "127.0.10.1" and answered.media_from == "127.0.30.1"
    stage.expect("media is direct", direct, f"{incoming.media_from} ⇄ {answered.media_from}")
    stage.expect("no popup was sent", not stage.subscriber.seen("message", subscriber))
    stage.expect("nothing was recorded", stage.journal.find(RecordingStarted, journal) is None)


async def subscriber_dials_red(stage: Stage) -> None:
    """5. A subscriber dials a red number: warned in early media before the call goes out, hangs up."""
    journal, carrier = stage.journal.mark, stage.carrier.mark
    mark = stage.dial(stage.subscriber, SUBSCRIBER, RED, hang_up_on_early_media=True)
    refused = await stage.subscriber.until("refused", since=mark, limit_s=30)
    _, screened, ended = await stage.journal.call(journal)
    stage.expect("the verdict is warn", screened.action == "warn", screened.action)
    stage.expect("the subscriber heard the warning", refused.heard_s >= 2.0, f"{refused.heard_s} s of speech")
    stage.expect("the call never went out", not stage.carrier.seen("incoming", carrier))
    expected = "caller/dial_warning_heeded"
    stage.expect(f"the outcome is {expected}", str(ended.outcome) == expected, ended.outcome)


async def emergency_passes(stage: Stage) -> None:
    """6. A red number calls 110: passes, unrecorded. Then a spoofed 110 calls: no exemption."""
    journal, subscriber = stage.journal.mark, stage.subscriber.mark
    await stage.ready_for(Expect(steps=("say:callee_hello",)))
    mark = stage.dial(stage.carrier, RED, "110", steps=("now:say:caller_hello", "hang_up"))
    await stage.subscriber.until("incoming", since=subscriber)
    await stage.carrier.until("ended", since=mark, limit_s=30)
    _, screened, _ = await stage.journal.call(journal)
    stage.expect(
        "the call to 110 passes", screened.action == "allow" and screened.rule == "emergency", screened.rule
    )
    stage.expect("it is not recorded", stage.journal.find(RecordingStarted, journal) is None)
    journal, subscriber = stage.journal.mark, stage.subscriber.mark
    await stage.ready_for(Expect(steps=("hang_up",)))
    mark = stage.dial(stage.carrier, "110", steps=("now:say:caller_police",))
    incoming = await stage.subscriber.until("incoming", since=subscriber)
    await stage.carrier.until("ended", since=mark, limit_s=30)
    spoofed = await stage.journal.until(CallScreened, journal)
    name = incoming.headers.get("From", "")
    stage.expect("a spoofed 110 gets no exemption", spoofed.rule == "spoofed-official", spoofed.rule)
    stage.expect("the callee sees that the number may be forged", "forged" in name, name)


async def victim_is_called_back(stage: Stage) -> None:
    """7. After call 3 the callee is called back: greeting, questions by key, outcome, recording."""
    journal, subscriber = 0, stage.callback_mark
    incoming = await stage.subscriber.until("incoming", since=subscriber, limit_s=60)
    ended = await stage.journal.until(DissuasionEnded, journal, limit_s=120)
    closed = await stage.journal.until(RecordingClosed, journal, ended.call_id)
    pressed = [found.detail for found in stage.subscriber.seen("pressed", subscriber)]
    stage.expect("the call comes from the tenant's own number", "96110" in incoming.headers.get("From", ""))
    stage.expect("the victim answered by key", len(pressed) >= 2, " ".join(pressed))
    stage.expect("the outcome is dissuaded", ended.outcome == "dissuaded", ended.outcome)
    stage.expect("the call was recorded", closed.duration_ms > 3000, f"{closed.duration_ms / 1000:.1f} s")
    await _transcribed(stage, closed.recording_id, left="money", right="")


async def _transcribed(stage: Stage, recording_id: str, left: str, right: str) -> None:
    """Wait for the transcript and look for words that were said on each channel."""
    deadline = time.monotonic() + TRANSCRIPT_LIMIT_S
    lines: list[dict[str, object]] = []
    state = ""
    while time.monotonic() < deadline:
        try:
            answer = await stage.console.json(f"/recordings/{recording_id}/transcript.json")
        except OSError:
            answer = {}
        lines, state = answer.get("lines", []), str(answer.get("state", ""))
        if lines or state in ("done", "failed"):
            break
        await asyncio.sleep(0.3)
    for channel, (side, words) in enumerate((("left", left), ("right", right))):
        said = " ".join(str(line["text"]) for line in lines if line["channel"] == channel)
        if words:
            stage.expect(f"the {side} channel is transcribed", words in said, said or state)


def _said(phone: PhoneProcess, since: int) -> int:
    return len(phone.seen("said", since))


async def _until(condition: Callable[[], bool], limit_s: float) -> bool:
    for _ in range(round(limit_s / 0.02)):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return condition()


SCENARIO: Final[tuple[Callable[[Stage], Awaitable[None]], ...]] = (
    red_is_rejected,
    red_hears_announcement,
    yellow_is_labelled,
    yellow_is_warned,
    victim_is_called_back,
    warning_refused,
    warning_unanswered,
    clean_passes,
    subscriber_dials_red,
    emergency_passes,
)
