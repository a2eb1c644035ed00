"""Reads a screening policy (`dialplans/screening/*.toml`) and runs the examples it carries.

A policy is taken whole or not at all: a key that is not known, a verdict that cannot be carried out yet, a
block for which nobody answers, or an example that does not come out as written is a `PolicyError` with file
and line. The format is described in `dialplans/screening/README.md`.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from itertools import product
from types import MappingProxyType
from typing import Any, Final

from engine.model.screening import Action, Direction
from engine.screening.conditions import CONDITIONS, NUMBERS, suggestion
from engine.screening.decide import RESERVED
from engine.screening.examples import ExampleError, verify
from engine.screening.lines import line_of, nearest
from engine.screening.policy import (
    AVAILABLE,
    LANGUAGES,
    Condition,
    Failure,
    Policy,
    Presentation,
    Presentations,
    Rule,
    Text,
)
from scoring.numbers import Numbering

ENTRY: Final = "entry"
"""A rule's action that means: what the table entry names."""

_TOP: Final = (
    "name",
    "about",
    "on_failure",
    "numbers",
    "label",
    "inbound",
    "outbound",
    "rule",
    "example",
)
_PRESENTATION: Final = ("label", "popup", "announcement", "record")
_RULE: Final = (
    "id",
    "about",
    "when",
    "unless",
    "action",
    "reason",
    "expires",
    "expires_in_s",
    "confirmed_by",
    *_PRESENTATION,
)
_ID: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_LIST: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
MAX_CHARACTERS: Final = 1_000_000
"""Of a policy file."""
_LABEL_MAX: Final = 40
_UNFIT: Final = f"a label has at most {_LABEL_MAX} printable characters"
_NO_LABELS: Final[Mapping[str, Text]] = MappingProxyType({})
_EXPIRY_MAX_S: Final = 86400


class PolicyError(ValueError):
    """The policy cannot be used; the message names the file, the line or key, and what is wrong."""


def policy_version(text: str) -> str:
    """Twelve hex digits that change with every edit of the file."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class PolicyReader:
    """Turns TOML into a `Policy`; holds file name and text, for messages.

    `catalogue` has the labels that the policy may name without wording them itself.
    """

    def __init__(self, text: str, source: str, catalogue: Mapping[str, Text]) -> None:
        self.text = text
        self.source = source
        self.catalogue = catalogue
        self.tables: dict[str, Any] = {}
        self.lists: dict[str, list[str]] = {}

    def error(
        self, message: str, table: str = "", occurrence: int = 0, key: str | None = None
    ) -> PolicyError:
        line = line_of(self.text, table, occurrence, key)
        return PolicyError(f"{self.source}{f':{line}' if line is not None else ''}: {message}")

    def read(self) -> Policy:
        if len(self.text) > MAX_CHARACTERS:
            raise PolicyError(f"{self.source}: longer than {MAX_CHARACTERS} characters")
        try:
            self.tables = tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:  # not all of its errors are TOML's own
            place = re.search(r"\(at line ([0-9]+), column ([0-9]+)\)", str(error))
            last = self.text.rstrip("\n").count("\n") + 1  # the error has no place at the end of the document
            where = f":{place[1]}:{place[2]}" if place is not None else f":{last}"
            raise PolicyError(f"{self.source}{where}: not valid TOML: {error}") from None
        self._only(self.tables, _TOP, "")
        name = self._text(self.tables, "name", "", required=True)
        self.lists = self._number_lists()
        labels = {**self.catalogue, **self._labels()}
        presentation = self._presentations(labels)
        return Policy(
            name=name or "",
            version=policy_version(self.text),
            rules=self._rules(labels, presentation),
            presentation=presentation,
            failure=self._failure(),
        )

    def examples(self) -> list[Mapping[str, Any]]:
        return self._list("example")

    def _only(self, table: Mapping[str, Any], known: Sequence[str], where: str, occurrence: int = 0) -> None:
        for key in table:
            if key not in known:
                message = f"unknown key {key!r}{nearest(key, list(known))}"
                raise self.error(message, where, occurrence, key)

    def _list(self, name: str) -> list[Mapping[str, Any]]:
        found = self.tables.get(name, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise self.error(f"{name!r} must be written as [[{name}]]", "", 0, name)
        return found

    def _table(self, name: str) -> Mapping[str, Any]:
        found = self.tables.get(name, {})
        if not isinstance(found, dict):
            raise self.error(f"{name!r} must be a table, written as [{name}]", "", 0, name)
        return found

    def _text(
        self,
        table: Mapping[str, Any],
        key: str,
        where: str,
        occurrence: int = 0,
        *,
        form: re.Pattern[str] | None = None,
        required: bool = False,
    ) -> str | None:
        value = table.get(key)
        if value is None:
            if required:
                raise self.error(f"{key!r} is missing", where, occurrence)
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key!r} must be a text that is not empty", where, occurrence, key)
        if form is not None and not form.fullmatch(value):
            raise self.error(f"{key!r}: {value!r} is not a name (a-z, 0-9, _ -)", where, occurrence, key)
        return value

    def _number_lists(self) -> dict[str, list[str]]:
        """`[numbers]`: lists of numbers and prefixes that conditions name."""
        found: dict[str, list[str]] = {}
        for name, items in self._table("numbers").items():
            if not _LIST.fullmatch(name):
                message = f"{name!r} is not a name for a list of numbers (a-z, 0-9, _)"
                raise self.error(message, "numbers", 0, name)
            try:
                CONDITIONS["calling"](name, items)
            except ValueError as error:
                raise self.error(f"{name!r}: {error}", "numbers", 0, name) from None
            found[name] = items if isinstance(items, list) else [items]
        return found

    def _listed(self, value: object) -> object:
        """The value of a condition on numbers, its lists' names replaced by what is in them."""
        values = value if isinstance(value, list) else [value]
        expanded: list[object] = []
        for item in values:
            if isinstance(item, str) and _LIST.fullmatch(item):
                if item not in self.lists:
                    hint = nearest(item, list(self.lists)) if self.lists else ""
                    raise ValueError(
                        f"{item!r} is neither a number such as +8613800138000, nor a prefix such as +8617*, "
                        f"nor a list of [numbers]{hint}"
                    )
                expanded += self.lists[item]
            else:
                expanded.append(item)
        return expanded

    def _labels(self) -> dict[str, Text]:
        labels: dict[str, Text] = {}
        for slug, texts in self._table("label").items():
            where = f"label.{slug}"
            if not _SLUG.fullmatch(slug) or not isinstance(texts, dict):
                raise self.error(f"a label is a table such as [label.suspected_fraud], not {slug!r}", where)
            self._only(texts, LANGUAGES, where)
            words = [self._text(texts, language, where, required=True) or "" for language in LANGUAGES]
            for language, text in zip(LANGUAGES, words, strict=True):
                if not _fits(text):
                    raise self.error(_UNFIT, where, 0, language)
            labels[slug] = Text(*words)
        return labels

    def _presentations(self, labels: Mapping[str, Text]) -> Presentations:
        """For each direction and action that can be carried out; what the file does not name stays empty."""
        found = dict.fromkeys(product(Direction, AVAILABLE), Presentation())
        for direction in Direction:
            for name, table in self._table(direction.value).items():
                where = f"{direction.value}.{name}"
                action = self._action(name, direction.value, 0, name)
                if action is Action.ALLOW:
                    raise self.error("an allowed call has no label, popup or recording of its own", where)
                if not isinstance(table, dict):
                    raise self.error(
                        f"{name!r} must be a table, written as [{where}]", direction.value, 0, name
                    )
                self._only(table, _PRESENTATION, where)
                found[direction, action] = self._present(Presentation(), table, labels, where)
        return found

    def _present(
        self,
        base: Presentation,
        table: Mapping[str, Any],
        labels: Mapping[str, Text],
        where: str,
        occurrence: int = 0,
    ) -> Presentation:
        """`base` with what the table names; `popup = "none"` and the like take something away."""
        changes: dict[str, Any] = {}
        for key in ("popup", "announcement"):
            slug = self._text(table, key, where, occurrence, form=_SLUG)
            if slug is not None:
                changes[key] = None if slug == "none" else slug
        slug = self._text(table, "label", where, occurrence, form=_SLUG)
        if slug is not None:
            if slug != "none" and slug not in labels:
                message = f"no label {slug!r} in this file or the catalogue{nearest(slug, list(labels))}"
                raise self.error(message, where, occurrence, "label")
            label = labels.get(slug)
            if label is not None and not (_fits(label.en) and _fits(label.zh)):
                raise self.error(_UNFIT, where, occurrence, "label")
            changes["label"] = label
        if "record" in table:
            if not isinstance(table["record"], bool):
                raise self.error("'record' must be true or false", where, occurrence, "record")
            changes["record"] = table["record"]
        return replace(base, **changes)

    def _action(self, value: object, where: str, occurrence: int, key: str) -> Action:
        names = [action.value for action in AVAILABLE]
        if not isinstance(value, str) or value not in [action.value for action in Action]:
            suggestion = nearest(str(value), names)
            raise self.error(f"no such action as {value!r}{suggestion}", where, occurrence, key)
        action = Action(value)
        if action not in AVAILABLE:
            message = f"{value!r} is not available yet in this version; use one of {', '.join(names)}"
            raise self.error(message, where, occurrence, key)
        return action

    def _failure(self) -> Failure:
        table = self._table("on_failure")
        self._only(table, ("action", "confirmed_by"), "on_failure")
        action = self._action(table.get("action", Action.ALLOW), "on_failure", 0, "action")
        person = self._text(table, "confirmed_by", "on_failure")
        if action.blocks and person is None:
            message = "blocking when screening fails needs 'confirmed_by', the person who answers for it"
            raise self.error(message, "on_failure", 0, "action")
        return Failure(action, person)

    def _rules(self, labels: Mapping[str, Text], presentation: Presentations) -> tuple[Rule, ...]:
        rules: list[Rule] = []
        for position, table in enumerate(self._list("rule")):
            rule = self._rule(table, position, labels, presentation)
            if any(rule.id == other.id for other in rules):
                raise self.error(f"a rule {rule.id!r} stands above already", "rule", position, "id")
            rules.append(rule)
        return tuple(rules)

    def _rule(
        self,
        table: Mapping[str, Any],
        position: int,
        labels: Mapping[str, Text],
        presentation: Presentations,
    ) -> Rule:
        self._only(table, _RULE, "rule", position)
        rule_id = self._text(table, "id", "rule", position, form=_ID, required=True) or ""
        if rule_id in RESERVED:
            raise self.error(f"{rule_id!r} is the name of a built-in rule", "rule", position, "id")
        named = self._text(table, "action", "rule", position, required=True)
        action = None if named == ENTRY else self._action(named, "rule", position, "action")
        when = self._conditions(table, "when", position)
        rule = Rule(
            id=rule_id,
            action=action,
            when=when,
            unless=self._conditions(table, "unless", position),
            presentation={
                place: self._present(base, table, labels, "rule", position)
                for place, base in presentation.items()
            },
            reason=self._text(table, "reason", "rule", position, form=_SLUG),
            expires=self._moment(table, position),
            expires_in_s=self._span(table, position, when),
            confirmed_by=self._text(table, "confirmed_by", "rule", position),
            from_entry=action is None or any(condition.needs_entry for condition in when),
        )
        answered = (
            rule.from_entry
            or rule.expires is not None
            or rule.expires_in_s is not None
            or rule.confirmed_by is not None
        )
        if action is not None and action.blocks and not answered:
            message = (
                f"rule {rule_id!r} blocks without a table entry: it needs 'expires' (a date), "
                "'expires_in_s' (where it counts calls) or 'confirmed_by' (the person who answers for it)"
            )
            raise self.error(message, "rule", position, "action")
        return rule

    def _conditions(self, table: Mapping[str, Any], key: str, position: int) -> tuple[Condition, ...]:
        wanted = table.get(key, {})
        if not isinstance(wanted, dict):
            raise self.error(f'{key!r} must be a table such as {{ level = "red" }}', "rule", position, key)
        conditions: list[Condition] = []
        for name, value in wanted.items():
            build = CONDITIONS.get(name)
            if build is None:
                message = f"unknown condition {name!r}{suggestion(name)}"
                raise self.error(message, "rule", position, key)
            try:
                conditions.append(build(name, self._listed(value) if name in NUMBERS else value))
            except ValueError as error:
                raise self.error(f"{name!r}: {error}", "rule", position, key) from None
        return tuple(conditions)

    def _span(self, table: Mapping[str, Any], position: int, when: Sequence[Condition]) -> int | None:
        """`expires_in_s`: from the call; for rules that end by themselves, since what they count passes."""
        value = table.get("expires_in_s")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _EXPIRY_MAX_S:
            message = f"'expires_in_s' must be a whole number from 1 to {_EXPIRY_MAX_S}"
            raise self.error(message, "rule", position, "expires_in_s")
        if "expires" in table:
            message = "a rule has 'expires' or 'expires_in_s', not both"
            raise self.error(message, "rule", position, "expires_in_s")
        if not any(condition.counter and condition.at_least for condition in when):
            message = "'expires_in_s' needs a counter with 'at_least' in 'when': what it counts passes"
            raise self.error(message, "rule", position, "expires_in_s")
        return value

    def _moment(self, table: Mapping[str, Any], position: int) -> datetime | None:
        """`expires`: a TOML date-time with offset, or a date (its first moment in UTC)."""
        value = table.get("expires")
        if value is None:
            return None
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC)
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime.combine(value, time(), UTC)
        message = "'expires' must be a date or a date-time with offset, such as 2026-12-31T00:00:00+08:00"
        raise self.error(message, "rule", position, "expires")


def _fits(label: str) -> bool:
    return len(label) <= _LABEL_MAX and label.isprintable()


def load_policy(
    text: str,
    source: str = "policy",
    numbering: Numbering | None = None,
    labels: Mapping[str, Text] = _NO_LABELS,
) -> Policy:
    """The policy in a text, its examples verified. Raises PolicyError, which begins with `source`.

    `numbering` reads the numbers in the examples; the default knows mainland China's. `labels` is the
    catalogue's: the policy may name them, and word others itself.
    """
    reader = PolicyReader(text, source, labels)
    policy = reader.read()
    for position, example in enumerate(reader.examples()):
        try:
            verify(policy, example, numbering or Numbering())
        except ExampleError as error:
            raise reader.error(str(error), "example", position, error.key) from None
    return policy
