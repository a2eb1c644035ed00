"""Counters of recent calls: by caller, number range and route, in sliding windows, in fixed memory."""

from scoring.counters.counters import Counters, Sizes, Subject
from scoring.counters.names import NAMES, Field

__all__ = ["NAMES", "Counters", "Field", "Sizes", "Subject"]
