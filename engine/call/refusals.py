"""What a callee's refusal means: the call's outcome, and what the caller is told."""

from __future__ import annotations

from typing import Final

import msgspec

from engine.call.leg_events import LegRefused, reason_headers
from engine.call.legs import Headers
from engine.model.outcome import Blame, Outcome

_OUTCOMES: Final[dict[int, tuple[Blame, str]]] = {
    404: (Blame.UPSTREAM, "not_found"),
    408: (Blame.CALLEE, "no_answer"),
    410: (Blame.UPSTREAM, "not_found"),
    415: (Blame.UPSTREAM, "not_acceptable"),
    480: (Blame.CALLEE, "no_answer"),
    484: (Blame.UPSTREAM, "not_found"),
    486: (Blame.CALLEE, "busy"),
    488: (Blame.UPSTREAM, "not_acceptable"),
    600: (Blame.CALLEE, "busy"),
    603: (Blame.CALLEE, "declined"),
    604: (Blame.UPSTREAM, "not_found"),
    606: (Blame.UPSTREAM, "not_acceptable"),
    607: (Blame.CALLEE, "declined"),
}
_TELLS_WHERE_TO_TURN: Final = frozenset((603, 607, 608))
MAX_REASONS: Final = 4
MAX_TEXT: Final = 512


class FinalResponse(msgspec.Struct, frozen=True):
    """A final non-2xx for the caller."""

    status: int
    headers: Headers = ()
    phrase: str | None = None


_NO_WAY: Final = {
    "": (404, Outcome(Blame.ENGINE, "not_routed")),
    "not_routed": (404, Outcome(Blame.ENGINE, "not_routed")),
    "unreachable": (503, Outcome(Blame.UPSTREAM, "unreachable")),
    "over_limit": (503, Outcome(Blame.ENGINE, "over_limit")),
}


def no_way(why: str, retry_after_s: int = 0) -> tuple[FinalResponse, Outcome]:
    """What a caller hears whose call no trunk takes, by `Decision.unrouted`."""
    status, outcome = _NO_WAY[why]
    headers = [("Retry-After", str(retry_after_s))] if retry_after_s else []
    return FinalResponse(status, headers), outcome


def outcome_of(status: int, no_response: str) -> Outcome:
    """Outcome of a final non-2xx from the callee; `no_response` is "timeout" or "transport" without one."""
    if no_response:
        return Outcome(Blame.UPSTREAM, "timeout" if no_response == "timeout" else "unreachable")
    blame, reason = _OUTCOMES.get(status, (Blame.UPSTREAM, "failed"))
    return Outcome(blame, reason)


def status_for_caller(status: int) -> int:
    """The callee's status, but for those that speak of our own leg.

    A redirection would lead the caller around screening; a challenge is for us to answer; 487 without a
    CANCEL of the caller's would confuse it; 503 would say that we are overloaded (RFC 3261 §16.7 step 6).
    """
    if status < 400 or status == 487:
        return 480
    return 500 if status in (401, 407, 503) else status


def final_for_caller(refusal: LegRefused) -> FinalResponse:
    """What the caller gets. A 603+ passes as it is, with its phrase (ATIS-1000099)."""
    status = status_for_caller(refusal.status)
    headers = list(reasons_for_other(refusal.reasons))
    if status in _TELLS_WHERE_TO_TURN and _passable(refusal.call_info):
        headers.append(("Call-Info", refusal.call_info))
    phrase = refusal.reason if refusal.network_blocked and _passable(refusal.reason) else None
    return FinalResponse(status, headers, phrase)


def reasons_for_other(reasons: tuple[str, ...]) -> Headers:
    """Reason headers that one leg brought, for the other (RFC 3326); few and short."""
    if not reasons:
        return ()
    return reason_headers(tuple(value for value in reasons if _passable(value))[:MAX_REASONS])


def _passable(text: str) -> bool:
    return 0 < len(text) <= MAX_TEXT and text.isprintable()
