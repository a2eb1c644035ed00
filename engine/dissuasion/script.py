"""Dissuasion scripts: `dialplans/dissuasion/*.toml` loaded into checked values.

A script is a graph of states; the file's own comments say what the keys mean. Everything that could go wrong
in a call is refused here: unknown prompts and targets, unreachable states, speech that never ends.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

KEYS: Final = frozenset("0123456789*#")
MAX_LISTEN_S: Final = 30.0
MAX_REPEATS: Final = 5
_STATE_KEYS: Final = frozenset(
    {"say", "barge_in", "next", "choices", "listen_s", "repeats", "silence", "outcome", "hung_up"}
)
_QUESTION_KEYS: Final = frozenset({"choices", "listen_s", "repeats", "silence"})


class CaseOutcome(StrEnum):
    """How a dissuasion call ended; a closed list. `busy`: reached, but not free to talk."""

    NOT_REACHED = "not_reached"
    BUSY = "busy"
    MACHINE = "machine"
    SCREENED = "screened"
    ALREADY_SAFE = "already_safe"
    DISSUADED = "dissuaded"
    STILL_AT_RISK = "still_at_risk"
    REFUSED = "refused"
    TRANSFERRED = "transferred"
    WRONG_PERSON = "wrong_person"


class ScriptError(ValueError):
    """The script is unusable; the message names file, table and key."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a state listens for: key → state, and where silence or wrong keys lead after `repeats`."""

    choices: Mapping[str, str]
    listen_s: float
    repeats: int
    silence: str


@dataclass(frozen=True, slots=True)
class State:
    """Speech, and then exactly one of: a next state, a question, the call's outcome."""

    name: str
    say: tuple[str, ...]
    barge_in: bool
    next: str | None
    question: Question | None
    outcome: CaseOutcome | None
    hung_up: CaseOutcome

    def targets(self) -> frozenset[str]:
        """The states that can follow this one."""
        if self.question is not None:
            return frozenset({*self.question.choices.values(), self.question.silence})
        return frozenset() if self.next is None else frozenset({self.next})


@dataclass(frozen=True, slots=True)
class Example:
    """An inline case: inputs as written in the file, and the outcome that must come."""

    inputs: tuple[str, ...]
    outcome: CaseOutcome


@dataclass(frozen=True, slots=True)
class Script:
    """A checked script: every state can be reached, and silence ends every run.

    `anytime` keys lead to their state from anywhere, except where speech must not be cut short.
    """

    name: str
    start: str
    anytime: Mapping[str, str]
    states: Mapping[str, State]
    examples: tuple[Example, ...]


def load(path: Path, announcements: Collection[str]) -> Script:
    """Read and check one script; `announcements` are the slugs it may say. Raises ScriptError."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ScriptError(f"{path}: {error}") from error
    return _Reader(path, announcements).script(data)


class _Reader:
    """Turns parsed TOML into a Script; knows the file, for messages."""

    def __init__(self, path: Path, announcements: Collection[str]) -> None:
        self._path = path
        self._announcements = announcements

    def script(self, data: dict[str, object]) -> Script:
        self._only(data, frozenset({"name", "start", "anytime", "state", "example"}), "top level")
        tables = self._table(data.get("state"), "state")
        states = {name: self._state(name, table) for name, table in tables.items()}
        start = self._text(data, "start", "top level")
        anytime = self._keys(data.get("anytime", {}), "anytime")
        self._check_graph(start, anytime, states)
        raw = data.get("example", [])
        if not isinstance(raw, list):
            raise self._error("example", "must be a list of tables: write [[example]]")
        examples = tuple(self._example(index + 1, item) for index, item in enumerate(raw))
        return Script(self._text(data, "name", "top level"), start, anytime, states, examples)

    def _state(self, name: str, value: object) -> State:
        where = f"state.{name}"
        table = self._table(value, where)
        self._only(table, _STATE_KEYS, where)
        if sum(key in table for key in ("next", "choices", "outcome")) != 1:
            raise self._error(where, "needs exactly one of next, choices, outcome")
        if "choices" not in table and (extra := _QUESTION_KEYS & table.keys()):
            raise self._error(where, f"{', '.join(sorted(extra))} only with choices")
        outcome = self._outcome(table, "outcome", where) if "outcome" in table else None
        if outcome is not None and "hung_up" in table:
            raise self._error(f"{where}.hung_up", "an ending state keeps its own outcome")
        return State(
            name=name,
            say=self._say(table, where),
            barge_in=self._flag(table, "barge_in", where),
            next=self._text(table, "next", where) if "next" in table else None,
            question=self._question(table, where) if "choices" in table else None,
            outcome=outcome,
            hung_up=self._outcome(table, "hung_up", where) if outcome is None else outcome,
        )

    def _say(self, table: dict[str, object], where: str) -> tuple[str, ...]:
        say = self._strings(table.get("say"), f"{where}.say")
        for slug in say:
            if slug not in self._announcements:
                raise self._error(f"{where}.say", f"no announcement {slug!r}")
        return say

    def _question(self, table: dict[str, object], where: str) -> Question:
        listen_s, repeats = table.get("listen_s"), table.get("repeats")
        if (
            not isinstance(listen_s, int | float)
            or isinstance(listen_s, bool)
            or not 0 < listen_s <= MAX_LISTEN_S
        ):
            raise self._error(f"{where}.listen_s", f"must be above 0 and at most {MAX_LISTEN_S:g} seconds")
        if not isinstance(repeats, int) or isinstance(repeats, bool) or not 0 <= repeats <= MAX_REPEATS:
            raise self._error(f"{where}.repeats", f"must be 0 to {MAX_REPEATS}")
        choices = self._keys(table["choices"], f"{where}.choices")
        return Question(choices, float(listen_s), repeats, self._text(table, "silence", where))

    def _keys(self, value: object, where: str) -> dict[str, str]:
        table = self._table(value, where)
        for key in table:
            if key not in KEYS:
                raise self._error(where, f"{key!r} is not a key of a telephone")
        return {key: self._text(table, key, where) for key in table}

    def _check_graph(self, start: str, anytime: Mapping[str, str], states: Mapping[str, State]) -> None:
        if start not in states:
            raise self._error("start", f"no state {start!r}")
        for key, target in anytime.items():
            if target not in states:
                raise self._error("anytime", f"{key} leads to {target!r}, which is no state")
        for state in states.values():
            for target in sorted(state.targets() - states.keys()):
                raise self._error(f"state.{state.name}", f"leads to {target!r}, which is no state")
        reached = {start, *anytime.values()}
        todo = sorted(reached)
        while todo:
            fresh = states[todo.pop()].targets() - reached
            reached |= fresh
            todo += fresh
        for name in sorted(states.keys() - reached):
            raise self._error(f"state.{name}", "cannot be reached")
        self._check_ends(states)

    def _check_ends(self, states: Mapping[str, State]) -> None:
        """Refuse a circle that silence would never leave: `next` and `silence` must lead to an end."""
        for first in states.values():
            seen, state = {first.name}, first
            while (onward := state.question.silence if state.question else state.next) is not None:
                if onward in seen:
                    raise self._error(f"state.{first.name}", f"silence never ends the call (see {onward!r})")
                seen.add(onward)
                state = states[onward]

    def _example(self, number: int, value: object) -> Example:
        where = f"example {number}"
        table = self._table(value, where)
        self._only(table, frozenset({"inputs", "outcome"}), where)
        inputs = self._strings(table.get("inputs"), f"{where}.inputs")
        for item in inputs:
            word = item.removeprefix("early ")
            if word not in KEYS and word not in {"silence", "hang_up"}:
                raise self._error(f"{where}.inputs", f"{item!r} is not a key, silence or hang_up")
        return Example(inputs, self._outcome(table, "outcome", where))

    def _outcome(self, table: Mapping[str, object], key: str, where: str) -> CaseOutcome:
        text = self._text(table, key, where)
        try:
            return CaseOutcome(text)
        except ValueError:
            known = ", ".join(CaseOutcome)
            raise self._error(f"{where}.{key}", f"no outcome {text!r}; known: {known}") from None

    def _strings(self, value: object, where: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self._error(where, "must be a list of texts, not empty")
        return tuple(cast("list[str]", value))

    def _flag(self, table: Mapping[str, object], key: str, where: str) -> bool:
        value = table.get(key, True)
        if not isinstance(value, bool):
            raise self._error(f"{where}.{key}", "must be true or false")
        return value

    def _text(self, table: Mapping[str, object], key: str, where: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self._error(f"{where}.{key}", "missing or not a text")
        return value

    def _table(self, value: object, where: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self._error(where, "missing or not a table")
        return cast("dict[str, object]", value)

    def _only(self, table: Mapping[str, object], allowed: frozenset[str], where: str) -> None:
        for key in table:
            if key not in allowed:
                raise self._error(where, f"unknown key {key!r}; known: {', '.join(sorted(allowed))}")

    def _error(self, where: str, message: str) -> ScriptError:
        return ScriptError(f"{self._path}: {where}: {message}")
