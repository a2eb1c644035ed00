"""One call: what it was, how it went, and why it was treated as it was."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from engine.console import words
from engine.console.i18n import Translator
from engine.console.ladder import LadderView, ladder_view, told_of_alarm
from engine.console.render import Pages
from engine.console.services import Services
from engine.console.viewer import Viewer, duration
from engine.console.views import call_view, outcome_text, popup_view
from engine.console.words import Tone, word
from engine.model.ids import CallId
from engine.store.entries import TimelineEvent
from engine.traces.files import read_trace
from engine.traces.ladder import Remark, ladder, sides_of

_log = logging.getLogger(__name__)


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
            ladder=await _ladder(services, CallId(call_id), t),
            popups=[popup_view(popup, viewer) for popup in found.popups],
            deliveries={popup.popup_id: popup for popup in found.popups},
            dissuasion=(
                word(words.DISSUASION_OUTCOMES, found.dissuasion.outcome, t) if found.dissuasion else ""
            ),
            case_calls=[call_view(other_call, viewer, now) for other_call in found.case_calls],
        )

    return router


async def _ladder(services: Services, call_id: CallId, t: Translator) -> LadderView | None:
    """The call's SIP messages, where they were kept and can be read."""
    config = services.config
    try:
        trace = await asyncio.to_thread(read_trace, config.traces_folder, call_id)
    except OSError as error:
        _log.error("traces cannot be read: %s", error)
        return None
    if trace is None:
        return None
    return ladder_view(ladder(trace, sides_of(config)), t, lambda remark: _remark(remark, t))


def _remark(remark: Remark, t: Translator) -> _Told | None:
    """An event between two messages in the words of the timeline; the beginning and popups are messages."""
    told = _TOLD.get(remark.kind)
    if remark.kind == "alarm":
        return told_of_alarm(remark, t)
    if told is None or remark.kind == "popup_sent":
        return None
    detail: dict[str, object] = dict(remark.detail)
    if remark.kind == "call_ended":
        detail["outcome"] = {"reason": remark.detail.get("reason", "")}
    return told(detail, t)


def timeline(events: tuple[TimelineEvent, ...], t: Translator) -> list[Step]:
    """The call's events in words; kinds that say nothing to a reader are left out."""
    steps: list[Step] = []
    for event in events:
        told = _TOLD.get(event.kind)
        if told is not None:
            title, detail, tone = told(event.detail, t)
            after_s = (event.at - events[0].at).total_seconds()
            after = f"+{after_s:.2f} s" if after_s >= 1 else f"+{round(after_s * 1000)} ms"
            steps.append(Step(event.at, after if steps else "", title, detail, tone))
    return steps


_Told = tuple[str, str, Tone]
Detail = Mapping[str, Any]
"""Fields of an event."""


def _text(detail: Detail, field: str) -> str:
    value = detail.get(field, "")
    return value if isinstance(value, str) else str(value)


def _started(detail: Detail, t: Translator) -> _Told:
    if _text(detail, "direction") == "dissuasion":
        return t("Call placed"), "", "grey"
    return t("Call arrived"), t("trunk %(trunk)s", trunk=_text(detail, "trunk")), "grey"


def _screened(detail: Detail, t: Translator) -> _Told:
    protected = _text(detail, "rule") in words.PROTECTED_RULES
    verdict = "protected" if protected else _text(detail, "action")
    reason = word(words.REASONS, _text(detail, "reason"), t)
    return word(words.VERDICTS, verdict, t), reason, words.VERDICT_TONES.get(verdict, "grey")


def _stage(detail: Detail, t: Translator) -> _Told:
    return word(words.STAGES, _text(detail, "stage"), t), _text(detail, "detail").replace("_", " "), "grey"


def _popup(detail: Detail, t: Translator) -> _Told:
    phone, handset = _text(detail, "sip_result"), _text(detail, "bus_result")
    results = t(
        "phone %(phone)s, handset page %(pages)s",
        phone=f"SIP {phone}" if phone.isdigit() else word(words.DELIVERIES, phone, t),
        pages=word(words.DELIVERIES, handset, t),
    )
    return t("Popup sent"), results, words.POPUP_TONES.get(_text(detail, "popup"), "grey")


def _recording_started(_: Detail, t: Translator) -> _Told:
    return t("Recording began"), "", "grey"


def _recording_closed(detail: Detail, t: Translator) -> _Told:
    length = detail.get("duration_ms", 0)
    return t("Recording closed"), duration(length) if isinstance(length, int | float) else "", "grey"


def _dissuaded(detail: Detail, t: Translator) -> _Told:
    return t("Advice call ended"), word(words.DISSUASION_OUTCOMES, _text(detail, "outcome"), t), "grey"


def _ended(detail: Detail, t: Translator) -> _Told:
    outcome = detail.get("outcome")
    reason = outcome.get("reason", "") if isinstance(outcome, dict) else ""
    status = detail.get("status")
    told = word(words.OUTCOMES, str(reason), t)
    return t("Ended"), f"{told} · SIP {status}" if status else told, "grey"


_TOLD: Final[dict[str, Callable[[Detail, Translator], _Told]]] = {
    "call_started": _started,
    "call_screened": _screened,
    "call_stage": _stage,
    "popup_sent": _popup,
    "recording_started": _recording_started,
    "recording_closed": _recording_closed,
    "dissuasion_ended": _dissuaded,
    "call_ended": _ended,
}
