"""One call: what it was, how it went, and why it was treated as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from engine.console import words
from engine.console.i18n import Translator
from engine.console.render import Pages
from engine.console.services import Services
from engine.console.viewer import Viewer, duration
from engine.console.views import call_view, outcome_text, popup_view
from engine.console.words import Tone, word
from engine.model.ids import CallId
from engine.store.entries import TimelineEvent


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline; `after` is the time since the first."""

    at: datetime
    after: str
    title: str
    detail: str
    tone: Tone


def routes(services: Services, pages: Pages) -> APIRouter:
    router = APIRouter()

    @router.get("/calls/{call_id}")
    async def call(request: Request, call_id: str) -> Response:
        viewer = Viewer.of(request)
        t = viewer.t
        cursor = services.feed.cursor
        found = await services.calls.get_call(services.tenant, CallId(call_id))
        if found is None:
            raise HTTPException(404, "call")
        entry, now = found.call, services.now()
        other = entry.called if entry.direction == "outbound" else entry.calling
        return pages.page(
            request,
            "call.html",
            section="live",
            call=entry,
            view=call_view(entry, viewer, now),
            cursor=cursor,
            talk=duration(entry.duration_ms) if entry.answered and entry.ended_at else "",
            outcome=outcome_text(entry.outcome, viewer) if entry.outcome is not None else "",
            rule_text=word(words.RULES, entry.rule, t) if entry.rule in words.RULES else "",
            shadow_text=word(words.ACTIONS, entry.shadow_action, t) if entry.shadow_action else "",
            risk_number=other.number if other is not None else None,
            steps=timeline(found.timeline, t),
            popups=[popup_view(popup, viewer) for popup in found.popups],
            deliveries={popup.popup_id: popup for popup in found.popups},
            dissuasion=(
                word(words.DISSUASION_OUTCOMES, found.dissuasion.outcome, t) if found.dissuasion else ""
            ),
            case_calls=[call_view(other_call, viewer, now) for other_call in found.case_calls],
        )

    return router


def timeline(events: tuple[TimelineEvent, ...], t: Translator) -> list[Step]:
    """The call's events in words; kinds that say nothing to a reader are left out."""
    steps: list[Step] = []
    for event in events:
        told = _TOLD.get(event.kind)
        if told is not None:
            title, detail, tone = told(event, t)
            after_s = (event.at - events[0].at).total_seconds()
            after = f"+{after_s:.2f} s" if after_s >= 1 else f"+{round(after_s * 1000)} ms"
            steps.append(Step(event.at, after if steps else "", title, detail, tone))
    return steps


_Told = tuple[str, str, Tone]


def _text(event: TimelineEvent, field: str) -> str:
    value = event.detail.get(field, "")
    return value if isinstance(value, str) else str(value)


def _started(event: TimelineEvent, t: Translator) -> _Told:
    if _text(event, "direction") == "dissuasion":
        return t("Call placed"), "", "grey"
    return t("Call arrived"), t("trunk %(trunk)s", trunk=_text(event, "trunk")), "grey"


def _screened(event: TimelineEvent, t: Translator) -> _Told:
    protected = _text(event, "rule") in words.PROTECTED_RULES
    verdict = "protected" if protected else _text(event, "action")
    reason = word(words.REASONS, _text(event, "reason"), t)
    return word(words.VERDICTS, verdict, t), reason, words.VERDICT_TONES.get(verdict, "grey")


def _stage(event: TimelineEvent, t: Translator) -> _Told:
    return word(words.STAGES, _text(event, "stage"), t), _text(event, "detail").replace("_", " "), "grey"


def _popup(event: TimelineEvent, t: Translator) -> _Told:
    phone, handset = _text(event, "sip_result"), _text(event, "bus_result")
    results = t(
        "phone %(phone)s, handset page %(pages)s",
        phone=f"SIP {phone}" if phone.isdigit() else word(words.DELIVERIES, phone, t),
        pages=word(words.DELIVERIES, handset, t),
    )
    return t("Popup sent"), results, words.POPUP_TONES.get(_text(event, "popup"), "grey")


def _recording_started(_: TimelineEvent, t: Translator) -> _Told:
    return t("Recording began"), "", "grey"


def _recording_closed(event: TimelineEvent, t: Translator) -> _Told:
    length = event.detail.get("duration_ms", 0)
    return t("Recording closed"), duration(length) if isinstance(length, int | float) else "", "grey"


def _dissuaded(event: TimelineEvent, t: Translator) -> _Told:
    return t("Advice call ended"), word(words.DISSUASION_OUTCOMES, _text(event, "outcome"), t), "grey"


def _ended(event: TimelineEvent, t: Translator) -> _Told:
    outcome = event.detail.get("outcome")
    reason = outcome.get("reason", "") if isinstance(outcome, dict) else ""
    status = event.detail.get("status")
    told = word(words.OUTCOMES, str(reason), t)
    return t("Ended"), f"{told} · SIP {status}" if status else told, "grey"


_TOLD: Final[dict[str, Callable[[TimelineEvent, Translator], _Told]]] = {
    "call_started": _started,
    "call_screened": _screened,
    "call_stage": _stage,
    "popup_sent": _popup,
    "recording_started": _recording_started,
    "recording_closed": _recording_closed,
    "dissuasion_ended": _dissuaded,
    "call_ended": _ended,
}
