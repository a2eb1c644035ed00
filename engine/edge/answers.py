"""Which of several final answers goes back to the caller (RFC 3261 §16.7 items 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.sip.message import Response

# They tell the caller how to try again.
_HELPFUL: Final = (401, 407, 415, 420, 484)
# They say that nobody was there to decide.
_EMPTY: Final = (408, 430, 480, 487)
_CHALLENGES: Final = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}


@dataclass(frozen=True, slots=True)
class Answer:
    """How one branch ended; without `response` the status is our own word for silence or a broken flow."""

    status: int
    response: Response | None = None


def best(answers: Sequence[Answer], *, cancelled: bool = False) -> Answer:
    """The answer to pass on; of equally good ones the first. There must be one, and no 2xx among them."""
    return min(answers, key=lambda answer: _rank(answer.status, cancelled))


def _rank(status: int, cancelled: bool) -> tuple[int, int]:
    family = status // 100
    if family == 6:
        return 0, 0
    if cancelled and status == 487:
        return 1, 0
    if family == 4:
        return 4, 0 if status in _HELPFUL else 2 if status in _EMPTY else 1
    return family, 1 if status == 503 else 0


def challenges(answers: Sequence[Answer], chosen: Answer) -> list[tuple[str, str]]:
    """The challenges of the answers that were not chosen: the caller may have to satisfy all of them."""
    if chosen.status not in _CHALLENGES:
        return []
    return [
        (name, value)
        for answer in answers
        if answer is not chosen and answer.response is not None
        for name in (_CHALLENGES.get(answer.status),)
        if name is not None
        for value in answer.response.rows(name)
    ]
