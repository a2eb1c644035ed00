"""What a callee's refusal means: the call's outcome, and the status that the caller sees."""

from __future__ import annotations

from typing import Final

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


def outcome_of(status: int, no_response: str) -> Outcome:
    """Outcome of a final non-2xx from the callee; `no_response` is "timeout" or "transport" without one."""
    if no_response:
        return Outcome(Blame.UPSTREAM, "timeout" if no_response == "timeout" else "unreachable")
    blame, reason = _OUTCOMES.get(status, (Blame.UPSTREAM, "failed"))
    return Outcome(blame, reason)


def status_for_caller(status: int) -> int:
    """The callee's status, but for those that speak of our own leg.

    A redirection would lead the caller around screening; a challenge is for us to answer; 487 without a
    CANCEL of the caller's would confuse it.
    """
    if status < 400 or status == 487:
        return 480
    if status in (401, 407):
        return 503
    return status
