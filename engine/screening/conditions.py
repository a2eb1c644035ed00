"""The conditions a rule may name, one table row each: key, how its value is read, what it asks of a call."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta, timezone
from operator import attrgetter
from typing import Final

from engine.model.screening import Action, Attestation, Direction, Facts, Level, Number, Precedence
from engine.screening.lines import nearest
from engine.screening.policy import Condition
from scoring.counters import NAMES
from scoring.numbers import NumberKind

NONE: Final = "none"
_SHOWN: Final = 4
"""Numbers of a list that explanations name."""

_NUMBER: Final = re.compile(r"\+?[0-9]{1,15}\*?|\+?\*", re.ASCII)
_HOURS: Final = re.compile(
    r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})([+-])([0-9]{2}):([0-9]{2})", re.ASCII
)
_LIMITS: Final = {"at_least": "≥", "below": "<"}
_SLUG: Final = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)

Builder = Callable[[str, object], Condition]


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) for item in values):
        raise ValueError("expected a text or a list of texts")
    return [str(item) for item in values]


def _one_of(choices: Iterable[str], found: Callable[[Facts], str]) -> Builder:
    """A closed set; `needs_entry` where every wanted value but none comes from the hot table."""
    allowed = list(choices)

    def build(name: str, value: object) -> Condition:
        wanted = _texts(value)
        for item in wanted:
            if item not in allowed:
                raise ValueError(f"{item!r} is not one of {', '.join(allowed)}")
        chosen = frozenset(wanted)
        return Condition(
            name,
            " or ".join(wanted),
            lambda facts: found(facts) in chosen,
            found,
            needs_entry=NONE in allowed and name in _OF_ENTRY and NONE not in chosen,
        )

    return build


def _any_slug(found: Callable[[Facts], str], needs_entry: bool = False) -> Builder:
    """An open set of names."""

    def build(name: str, value: object) -> Condition:
        wanted = _texts(value)
        for item in wanted:
            if not _SLUG.fullmatch(item):
                raise ValueError(f"{item!r} is not a name (a-z, 0-9, . _ -)")
        chosen = frozenset(wanted)
        return Condition(
            name,
            " or ".join(wanted),
            lambda facts: found(facts) in chosen,
            found,
            needs_entry=needs_entry and NONE not in chosen,
        )

    return build


def _flag(holds: Callable[[Facts], bool], needs_entry: bool = False) -> Builder:
    def build(name: str, value: object) -> Condition:
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return Condition(
            name,
            str(value).lower(),
            holds if value else lambda facts: not holds(facts),
            lambda facts: str(holds(facts)).lower(),
            needs_entry=needs_entry and value,
        )

    return build


def _number(numbers: Callable[[Facts], tuple[Number, ...]]) -> Builder:
    """Numbers in canonical form (`+8613800138000`, `10086`) or prefixes of them (`+8617*`)."""

    def build(name: str, value: object) -> Condition:
        wanted = _texts(value)
        for item in wanted:
            if not _NUMBER.fullmatch(item):
                raise ValueError(
                    f"{item!r} is neither a number such as +8613800138000 nor a prefix such as +8617*"
                )
        exact = frozenset(item for item in wanted if not item.endswith("*"))
        prefixes = frozenset(item[:-1] for item in wanted if item.endswith("*"))
        lengths = sorted({len(prefix) for prefix in prefixes})

        def holds(facts: Facts) -> bool:
            for number in numbers(facts):
                text = number.display
                if text in exact:
                    return True
                # By length, since a province has hundreds of prefixes; a slice may be shorter than it asks.
                if number.digits and any(text[:length] in prefixes for length in lengths):
                    return True
            return False

        def found(facts: Facts) -> str:
            return " and ".join(number.display for number in numbers(facts)) or NONE

        shown = wanted[:_SHOWN] + ([f"{len(wanted) - _SHOWN} more"] if len(wanted) > _SHOWN else [])
        return Condition(name, " or ".join(shown), holds, found)

    return build


def _counter(name: str, value: object) -> Condition:
    """`{ at_least = 30 }`, `{ below = 5 }` or both: how often it happened before this call."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("expected a table such as { at_least = 30 }")
    for key, limit in value.items():
        if key not in _LIMITS:
            raise ValueError(f"unknown key {key!r}{nearest(str(key), list(_LIMITS))}")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ValueError(f"{key!r} must be a whole number of at least 1")
    least, below = value.get("at_least", 0), value.get("below")

    def holds(facts: Facts) -> bool:
        count = facts.counters.get(name, 0)
        return count >= least and (below is None or count < below)

    return Condition(
        name,
        " and ".join(f"{_LIMITS[key]} {limit}" for key, limit in value.items()),
        holds,
        lambda facts: str(facts.counters.get(name, 0)),
        counter=True,
        at_least=least > 0,
    )


def _hours(name: str, value: object) -> Condition:
    """`"22:00-07:00+08:00"`: from one time of day to another, over midnight too, and the offset from UTC."""
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('expected from-to and the offset from UTC, such as "22:00-07:00+08:00"')
    start, end, offset = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3, 6))
    if start >= 1440 or end > 1440 or offset > 840 or start == end or int(match[7]) > 59:
        raise ValueError("times run from 00:00 to 24:00, offsets to 14:00, and the span must not be empty")
    zone = timezone(timedelta(minutes=offset if match[5] == "+" else -offset))

    def minute(facts: Facts) -> int:
        local = facts.at.astimezone(zone)
        return local.hour * 60 + local.minute

    def holds(facts: Facts) -> bool:
        now = minute(facts)
        return start <= now < end if start < end else now >= start or now < end

    return Condition(name, str(value), holds, lambda facts: f"{facts.at.astimezone(zone):%H:%M}")


def _level(facts: Facts) -> str:
    return facts.entry.level._value_ if facts.entry is not None else NONE


def _entry_action(facts: Facts) -> str:
    return facts.entry.action._value_ if facts.entry is not None and facts.entry.action is not None else NONE


def _standing(facts: Facts) -> str:
    return facts.entry.precedence.name.lower() if facts.entry is not None else NONE


def _asserted(facts: Facts) -> tuple[Number, ...]:
    return () if facts.asserted is None else (facts.asserted,)


NUMBERS: Final = frozenset({"calling", "called", "asserted", "diverting"})
"""Conditions on numbers; their values may name the policy's own lists."""
_OF_ENTRY: Final = frozenset({"level", "entry_action", "standing"})

# Of enumerations `_value_` is read: the property `value` costs two calls, here for each rule of each call.
CONDITIONS: Final[Mapping[str, Builder]] = {
    # the call
    "direction": _one_of(Direction, attrgetter("direction._value_")),
    "trunk": _any_slug(attrgetter("trunk")),
    "attestation": _one_of(Attestation, attrgetter("attestation._value_")),
    "diverted": _flag(lambda facts: bool(facts.diversion)),
    "hours": _hours,
    # its numbers
    "calling": _number(lambda facts: (facts.calling,)),
    "called": _number(lambda facts: (facts.called,)),
    "asserted": _number(_asserted),
    "diverting": _number(attrgetter("diversion")),
    "calling_kind": _one_of(NumberKind, attrgetter("calling.kind._value_")),
    "called_kind": _one_of(NumberKind, attrgetter("called.kind._value_")),
    "calling_protected": _flag(attrgetter("calling.protected")),
    "asserted_differs": _flag(lambda facts: facts.asserted is not None and facts.asserted != facts.calling),
    # what the hot table says of the other party
    "level": _one_of([*Level, NONE], _level),
    "entry_action": _one_of([*Action, NONE], _entry_action),
    "entry_reason": _any_slug(
        lambda facts: facts.entry.reason if facts.entry is not None else NONE, needs_entry=True
    ),
    "standing": _one_of([*(each.name.lower() for each in Precedence), NONE], _standing),
    "wildcard": _flag(lambda facts: facts.entry is not None and facts.entry.wildcard, needs_entry=True),
    # what its caller, the caller's number range and its trunk did of late
    **dict.fromkeys(NAMES, _counter),
}


def suggestion(name: str) -> str:
    """For a condition that does not exist: the one that is meant, or those there are."""
    known = [each for each in CONDITIONS if each not in NAMES]
    return nearest(name, list(CONDITIONS), shown=[*known, "the counters, such as caller_attempts_60s"])
