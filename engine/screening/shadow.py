"""What another policy would have done with the same call, for trying one out before it counts."""

from dataclasses import dataclass

from engine.model.screening import Facts, Verdict
from engine.screening.decide import decide
from engine.screening.policy import Policy


@dataclass(frozen=True, slots=True)
class Difference:
    """Two verdicts on one call that do not act alike."""

    verdict: Verdict
    shadow: Verdict


def compare(facts: Facts, verdict: Verdict, shadow: Policy) -> Difference | None:
    """The shadow policy's verdict where it would have acted otherwise, else None."""
    other = decide(facts, shadow)
    same = (other.action, other.popup, other.announcement, other.record) == (
        verdict.action,
        verdict.popup,
        verdict.announcement,
        verdict.record,
    )
    return None if same else Difference(verdict, other)
