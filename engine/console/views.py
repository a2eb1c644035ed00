"""Rows of the store as the pages show them: words instead of slugs, in the viewer's language.

What the live list gets as JSON is the same value that the server renders.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.bus.topics import AlarmNotice, PopupNotice
from engine.console import words
from engine.console.numbers import show_number
from engine.console.viewer import Viewer
from engine.console.words import Tone, word
from engine.model.outcome import Outcome
from engine.store.entries import CallEntry, PopupEntry, Today


@dataclass(frozen=True, slots=True)
class CallView:
    """One row of the live list. Times in seconds since the epoch."""

    id: str
    href: str
    direction: str
    direction_text: str
    verdict: str
    verdict_text: str
    tone: Tone
    level_text: str
    level_tone: Tone
    calling: str
    called: str
    called_href: str
    digits: str
    """Both numbers as filed, for the text filter."""
    reason_text: str
    step: int
    stage_text: str
    live: bool
    started: float
    ended: float | None
    elapsed_ms: int
    outcome_text: str
    recording_href: str


def verdict_of(call: CallEntry) -> str:
    """The action; "protected" for a call beyond every limit, "dissuasion" for one that we placed."""
    if call.direction == "dissuasion":
        return "dissuasion"
    return "protected" if call.rule in words.PROTECTED_RULES else call.action


def call_view(call: CallEntry, viewer: Viewer, now: datetime) -> CallView:
    t = viewer.t
    verdict = verdict_of(call)
    stage = "ended" if call.ended_at is not None else call.stage
    recorded = call.recording_id is not None
    return CallView(
        id=call.call_id,
        href=f"/calls/{call.call_id}",
        direction=call.direction,
        direction_text=word(words.DIRECTIONS, call.direction, t),
        verdict=call.action,
        verdict_text=word(words.VERDICTS, verdict, t),
        tone=words.VERDICT_TONES.get(verdict, "grey"),
        level_text=word(words.LEVELS, call.level, t),
        level_tone=words.LEVEL_TONES.get(call.level, "grey"),
        calling=show_number(call.calling, t),
        called=show_number(call.called, t),
        called_href=f"/handset/{call.called.number}" if call.called and call.called.number else "",
        digits=f"{call.calling.number if call.calling else ''} {call.called.number if call.called else ''}",
        reason_text=word(words.REASONS, call.reason, t),
        step=words.STAGE_STEPS.get(stage, 0),
        stage_text=word(words.STAGES, stage, t),
        live=call.ended_at is None,
        started=call.started_at.timestamp(),
        ended=call.ended_at.timestamp() if call.ended_at is not None else None,
        elapsed_ms=round(((call.ended_at or now) - call.started_at).total_seconds() * 1000),
        outcome_text=word(words.OUTCOMES, call.outcome.reason, t) if call.outcome is not None else "",
        recording_href=f"/recordings/{call.recording_id}" if recorded else "",
    )


BLANK_CALL = CallView(
    id="", href="", direction="", direction_text="", verdict="", verdict_text="", tone="grey", level_text="",
    level_tone="grey", calling="", called="", called_href="", digits="", reason_text="", step=0,
    stage_text="", live=False, started=0.0, ended=None, elapsed_ms=0, outcome_text="", recording_href="",
)  # fmt: skip
"""What the script's row template is made from."""


def outcome_text(outcome: Outcome, viewer: Viewer) -> str:
    t = viewer.t
    blame = t(words.BLAMES[outcome.blame])
    return t("%(outcome)s (%(blame)s)", outcome=word(words.OUTCOMES, outcome.reason, t), blame=blame)


@dataclass(frozen=True, slots=True)
class PopupView:
    id: str
    at: float
    kind_text: str
    tone: Tone
    calling: str
    called: str
    called_href: str
    call_href: str
    text: str
    lang: str
    other_text: str
    """The same in the other language, for who reads that one better; "" where there is none."""
    other_lang: str


def popup_view(popup: PopupNotice | PopupEntry, viewer: Viewer) -> PopupView:
    """A notice from the bus does not say whom it was for; the call's row does, a moment later."""
    t = viewer.t
    called = popup.called.number if isinstance(popup, PopupEntry) else None
    at = popup.at.timestamp() if isinstance(popup, PopupEntry) else popup.at
    language = viewer.language if viewer.language in popup.text else next(iter(popup.text), "en")
    other = next((name for name in popup.text if name != language), language)
    return PopupView(
        id=popup.popup_id,
        at=at,
        kind_text=word(words.POPUPS, popup.popup, t),
        tone=words.POPUP_TONES.get(popup.popup, "grey"),
        calling=show_number(popup.calling, t),
        called=show_number(popup.called, t) if isinstance(popup, PopupEntry) else "",
        called_href=f"/handset/{called}" if called else "",
        call_href=f"/calls/{popup.call_id}",
        text=popup.text.get(language, ""),
        lang=language,
        other_text=popup.text.get(other, "") if other != language else "",
        other_lang=other,
    )


BLANK_POPUP = PopupView(
    id="", at=0.0, kind_text="", tone="grey", calling="", called="", called_href="", call_href="", text="",
    lang="", other_text="", other_lang="",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlarmView:
    at: float
    text: str
    detail: str
    tone: Tone


def alarm_view(alarm: AlarmNotice, viewer: Viewer) -> AlarmView:
    tone = words.ALARM_TONES.get(alarm.slug, "red")
    return AlarmView(alarm.at, word(words.ALARMS, alarm.slug, viewer.t), alarm.detail, tone)


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    text: str
    value: int
    tone: str


def figures(today: Today, viewer: Viewer) -> list[Figure]:
    t = viewer.t
    return [
        Figure("calls", t("Calls today"), today.calls, ""),
        Figure("rejected", t("Blocked"), today.rejected, "red"),
        Figure("warned", t("Warned"), today.warned, "amber"),
        Figure("labelled", t("Labelled"), today.labelled, "amber"),
        Figure("passed", t("Passed"), today.calls - today.rejected - today.warned - today.labelled, "green"),
        Figure("dissuaded", t("Dissuaded"), today.dissuaded, ""),
    ]
