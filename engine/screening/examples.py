"""The example cases a policy carries: each is a call in a few keys and the verdict it must get."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.model.screening import (
    Action,
    Attestation,
    Direction,
    Facts,
    HotEntry,
    Level,
    Precedence,
    Verdict,
)
from engine.screening.decide import decide
from engine.screening.lines import nearest
from engine.screening.policy import Policy
from scoring.counters import NAMES
from scoring.numbers import Numbering

_AT: Final = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
"""When an example happens that does not say `at`: a Monday noon in Beijing."""

_TEXTS: Final = ("trunk", "display_name", "request_uri", "language")
_FLAGS: Final = (
    "trunk_authorised_public",
    "subscriber_allow",
    "subscriber_block",
    "emergency_callback",
    "kill_switch",
    "screening_failed",
)
_EXAMPLE: Final = (
    "name",
    "direction",
    "calling",
    "called",
    "asserted",
    "diversion",
    "attestation",
    "entry",
    "counters",
    "at",
    "expect",
    *_TEXTS,
    *_FLAGS,
)
_ENTRY: Final = ("level", "action", "reason", "expires", "wildcard", "confirmed", "standing")
_EXPECT: Final = (
    "action",
    "rule",
    "reason",
    "status",
    "label",
    "popup",
    "announcement",
    "record",
    "protected",
    "downgraded",
)


class ExampleError(ValueError):
    """An example is written wrongly, or does not come out; `key` is where."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def verify(policy: Policy, example: Mapping[str, Any], numbering: Numbering) -> None:
    """Decide the example's call and compare. Raises ExampleError naming the example and the difference."""
    name = example.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ExampleError("an example needs a 'name'")
    try:
        facts = _facts(example, numbering)
        expected = _expected(example)
    except ExampleError as error:
        raise ExampleError(f"example {name!r}: {error}", error.key) from None
    verdict = decide(facts, policy)
    wrong = [
        f"{key} is {_shown(verdict, key)!r}, expected {value!r}"
        for key, value in expected.items()
        if _shown(verdict, key) != value
    ]
    if wrong:
        raise ExampleError(
            f"example {name!r} does not come out: {'; '.join(wrong)} (decided by {verdict.rule})", "expect"
        )


def _shown(verdict: Verdict, key: str) -> object:
    """A field of the verdict as TOML writes it; what is absent is written "none"."""
    value = getattr(verdict, key)
    if isinstance(value, Action):
        return value.value
    return "none" if value is None else value


def _only(table: Mapping[str, Any], known: tuple[str, ...], key: str | None = None) -> None:
    for name in table:
        if name not in known:
            raise ExampleError(f"unknown key {name!r}{nearest(name, list(known))}", key or name)


def _one_of(table: Mapping[str, Any], name: str, choices: list[str], default: str, key: str | None) -> str:
    value = table.get(name, default)
    if value not in choices:
        raise ExampleError(f"{name!r} must be one of {', '.join(choices)}", key or name)
    return str(value)


def _typed(table: Mapping[str, Any], name: str, kind: type, default: Any, key: str | None = None) -> Any:
    value = table.get(name, default)
    if not isinstance(value, kind):
        raise ExampleError(f"{name!r} must be a {kind.__name__}", key or name)
    return value


def _moment(table: Mapping[str, Any], name: str, default: datetime | None) -> datetime | None:
    value = table.get(name, default)
    if value is not None and not (isinstance(value, datetime) and value.tzinfo is not None):
        raise ExampleError(
            f"{name!r} must be a date-time with offset, such as 2026-12-31T00:00:00+08:00", name
        )
    return value


def _expected(example: Mapping[str, Any]) -> Mapping[str, Any]:
    expected: Mapping[str, Any] = _typed(example, "expect", dict, {})
    _only(expected, _EXPECT, "expect")
    if "action" not in expected:
        raise ExampleError("'expect' must name an action", "expect")
    return expected


def _facts(example: Mapping[str, Any], numbering: Numbering) -> Facts:
    _only(example, _EXAMPLE)
    at = _moment(example, "at", _AT) or _AT
    asserted = example.get("asserted")
    counters = _typed(example, "counters", dict, {})
    for name in counters:
        if name not in NAMES:
            known = nearest(name, list(NAMES), shown=["counters such as caller_attempts_60s"])
            raise ExampleError(f"unknown counter {name!r}{known}", "counters")
    if not all(isinstance(count, int) and not isinstance(count, bool) for count in counters.values()):
        raise ExampleError("'counters' must be a table of whole numbers", "counters")
    diversion = _typed(example, "diversion", list, [])
    return Facts(
        tenant="example",
        direction=Direction(_one_of(example, "direction", [*Direction], "inbound", None)),
        calling=numbering.normalise(_typed(example, "calling", str, None)),
        called=numbering.normalise(_typed(example, "called", str, None)),
        at=at,
        attestation=Attestation(_one_of(example, "attestation", [*Attestation], "none", None)),
        asserted=None if asserted is None else numbering.normalise(_typed(example, "asserted", str, None)),
        diversion=tuple(numbering.normalise(str(each)) for each in diversion),
        entry=_entry(example, at),
        counters=counters,
        **{name: _typed(example, name, str, "") for name in _TEXTS if name in example},
        **{name: _typed(example, name, bool, False) for name in _FLAGS if name in example},
    )


def _entry(example: Mapping[str, Any], at: datetime) -> HotEntry | None:
    """`entry = { level = "red" }` stands for a number that a person put on the list for good."""
    if "entry" not in example:
        return None
    table = _typed(example, "entry", dict, None)
    _only(table, _ENTRY, "entry")
    expires = _moment(table, "expires", None)
    wildcard = _typed(table, "wildcard", bool, False, "entry")
    if wildcard:
        default = Precedence.WILDCARD
    elif table.get("level") == Level.GREEN:
        default = Precedence.OPERATOR_ALLOW
    else:
        default = Precedence.PERMANENT if expires is None else Precedence.TEMPORARY
    standings = [each.name.lower() for each in Precedence]
    standing = _one_of(table, "standing", standings, default.name.lower(), "entry")
    action = _one_of(table, "action", [*Action, "none"], "none", "entry")
    return HotEntry(
        level=Level(_one_of(table, "level", [*Level], "", "entry")),
        action=None if action == "none" else Action(action),
        expires=expires,
        reason=_typed(table, "reason", str, "suspected_fraud", "entry"),
        row=1,
        wildcard=wildcard,
        confirmed=_typed(table, "confirmed", bool, expires is None, "entry"),
        precedence=Precedence[standing.upper()],
    )
