"""A screening policy, once loaded: rules in order, and what each action looks and sounds like."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from engine.model.screening import Action, Direction, Facts

AVAILABLE: Final = (Action.ALLOW, Action.LABEL, Action.WARN, Action.REJECT)
"""The verdicts that this version carries out; a policy that names another one is refused."""

LANGUAGES: Final = ("en", "zh-CN")


@dataclass(frozen=True, slots=True)
class Text:
    """Words for a person, in every language of `LANGUAGES`."""

    en: str
    zh: str

    def in_language(self, language: str) -> str:
        return self.zh if language.partition("-")[0].lower() == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Presentation:
    """What goes with an action: display name, popup kind, prompt slug, and whether recording is wanted."""

    label: Text | None = None
    popup: str | None = None
    announcement: str | None = None
    record: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing a rule asks for: `name` is the key in the policy file, `wanted` its value in words."""

    name: str
    wanted: str
    holds: Callable[[Facts], bool]
    found: Callable[[Facts], str]
    needs_entry: bool = False
    """It can hold only for a number that is in the hot table."""
    counter: bool = False
    """Its name is a counter's."""
    at_least: bool = False
    """It holds only as long as the counter has not fallen again."""

    def why(self, facts: Facts) -> str:
        return f"{self.name} is {self.found(facts)}, rule wants {self.wanted}"


Presentations = Mapping[tuple[Direction, Action], Presentation]


@dataclass(frozen=True, slots=True)
class Rule:
    """Matches when all of `when` hold, and not all of `unless` (where there are any).

    `action` None does what the table entry names, and does not match where it names nothing.
    A block needs a reason to end or a person who answers for it: `expires` and `confirmed_by` are the rule's
    own, `expires_in_s` counts from the call, `from_entry` says that the entry's count too.
    """

    id: str
    action: Action | None
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    presentation: Presentations
    reason: str | None = None
    expires: datetime | None = None
    expires_in_s: int | None = None
    confirmed_by: str | None = None
    from_entry: bool = False

    @property
    def needs_entry(self) -> bool:
        """It can match only where the hot table has an entry."""
        return self.action is None or any(condition.needs_entry for condition in self.when)

    def ends(self, at: datetime) -> datetime | None:
        """When a block of this rule ends that begins `at` this moment."""
        return self.expires if self.expires_in_s is None else at + timedelta(seconds=self.expires_in_s)

    def chosen(self, facts: Facts) -> Action | None:
        """The rule's action for these facts, or None where it does not match."""
        for condition in self.when:
            if not condition.holds(facts):
                return None
        if self.unless and all(condition.holds(facts) for condition in self.unless):
            return None
        if self.action is not None:
            return self.action
        named = facts.entry.action if facts.entry is not None else None
        return named if named in AVAILABLE else None

    def why(self, facts: Facts) -> str:
        """Why it matches or does not, in one line."""
        missed = [condition.why(facts) for condition in self.when if not condition.holds(facts)]
        if missed:
            return "; ".join(missed)
        if self.unless and all(condition.holds(facts) for condition in self.unless):
            return "excepted: " + " and ".join(f"{each.name} is {each.found(facts)}" for each in self.unless)
        if self.action is None and self.chosen(facts) is None:
            return "the table entry names no action that can be carried out"
        held = [f"{each.name} is {each.found(facts)}" for each in self.when]
        if self.action is None and facts.entry is not None:
            held.append(f"the table entry says {facts.entry.action}")
        return "; ".join(held) or "always matches"


@dataclass(frozen=True, slots=True)
class Failure:
    """What happens when screening could not find out in time."""

    action: Action = Action.ALLOW
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """`version` is the start of the SHA-256 of the file, so it changes with every edit."""

    name: str
    version: str
    rules: tuple[Rule, ...]
    presentation: Presentations
    failure: Failure = Failure()
    counters: tuple[str, ...] = field(init=False)
    """Those that its rules ask for, in their order."""
    unlisted: tuple[Rule, ...] = field(init=False)
    """The rules that may match a call whose other party is not in the hot table, in their order."""

    def __post_init__(self) -> None:
        unlisted = (rule for rule in self.rules if not rule.needs_entry)
        object.__setattr__(self, "unlisted", tuple(unlisted))
        asked = (each.name for rule in self.rules for each in (*rule.when, *rule.unless) if each.counter)
        object.__setattr__(self, "counters", tuple(dict.fromkeys(asked)))
