"""Telephone numbers, the risk table's rows, and the memory-mapped hot table."""

from scoring.numbers.number import Number, NumberKind, canonical_id, mask, number_id
from scoring.numbers.numbering import Numbering, is_emergency_uri
from scoring.numbers.rows import BLOCKING, Action, HotEntry, Level, Precedence, RiskRow, Source, strongest

__all__ = [
    "BLOCKING",
    "Action",
    "HotEntry",
    "Level",
    "Number",
    "NumberKind",
    "Numbering",
    "Precedence",
    "RiskRow",
    "Source",
    "canonical_id",
    "is_emergency_uri",
    "mask",
    "number_id",
    "strongest",
]
