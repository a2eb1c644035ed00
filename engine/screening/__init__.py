"""Screening: from the facts of a call to a verdict. Pure; looking things up is the runtime's part."""

from engine.screening.decide import decide, is_emergency, with_entry
from engine.screening.explain import Explanation, explain
from engine.screening.load import PolicyError, load_policy
from engine.screening.policy import Policy
from engine.screening.shadow import Difference, compare

__all__ = [
    "Difference",
    "Explanation",
    "Policy",
    "PolicyError",
    "compare",
    "decide",
    "explain",
    "is_emergency",
    "load_policy",
    "with_entry",
]
