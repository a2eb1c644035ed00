"""The dialogue step: pure, over a checked script.

The driver feeds inputs and carries out effects. Every effect that will be answered carries a turn number, and
the answer carries it back, so that a prompt which ends just as a key arrives cannot be taken for a later one.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

from engine.dissuasion.script import CaseOutcome, Question, Script, State


class Phase(Enum):
    """What a dialogue waits for: its start, the end of speech, an answer, nothing more."""

    NEW = auto()
    SPEAKING = auto()
    LISTENING = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Where a call stands. `turn` counts prompts, `asked` how often the present question was put."""

    at: str
    phase: Phase = Phase.NEW
    turn: int = 0
    asked: int = 0


# --- inputs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The person has answered and media flows."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was pressed: one of 0–9, * and #."""

    key: str


@dataclass(frozen=True, slots=True)
class PromptFinished:
    """The last sample of that turn's prompts was played."""

    turn: int


@dataclass(frozen=True, slots=True)
class Silence:
    """That turn's listening time passed without an answer."""

    turn: int


@dataclass(frozen=True, slots=True)
class HungUp:
    """The person hung up."""


Input = Started | Digit | PromptFinished | Silence | HungUp


# --- effects ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlayPrompt:
    """Play these announcements in order, in place of anything still playing; answer with PromptFinished."""

    turn: int
    slugs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait for a key; answer with Silence when none came in time."""

    turn: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class End:
    """The dialogue is over. Hang up, or for `transferred` hand the person on."""

    outcome: CaseOutcome


Effect = PlayPrompt | Listen | End


def begin(script: Script) -> Dialogue:
    """A dialogue that waits for Started."""
    return Dialogue(at=script.start)


def step(dialogue: Dialogue, event: Input, script: Script) -> tuple[Dialogue, tuple[Effect, ...]]:
    """The next dialogue and what to do. Stale and meaningless inputs change nothing."""
    state = script.states[dialogue.at]
    match dialogue.phase, event:
        case Phase.ENDED, _:
            return dialogue, ()
        case Phase.NEW, HungUp():
            return _end(dialogue, CaseOutcome.NOT_REACHED)
        case _, HungUp():
            return _end(dialogue, state.hung_up)
        case Phase.NEW, Started():
            return _enter(dialogue, state)
        case Phase.SPEAKING, PromptFinished(turn) if turn == dialogue.turn:
            return _spoken(dialogue, state, script)
        case Phase.SPEAKING | Phase.LISTENING, Digit(key):
            return _key(dialogue, state, key, script)
        case Phase.LISTENING, Silence(turn) if turn == dialogue.turn and state.question is not None:
            return _again(dialogue, state, state.question, script)
        case _:
            return dialogue, ()


def _enter(dialogue: Dialogue, state: State) -> tuple[Dialogue, tuple[Effect, ...]]:
    asked = dialogue.asked + 1 if dialogue.at == state.name else 1
    speaking = Dialogue(state.name, Phase.SPEAKING, dialogue.turn + 1, asked)
    return speaking, (PlayPrompt(speaking.turn, state.say),)


def _spoken(dialogue: Dialogue, state: State, script: Script) -> tuple[Dialogue, tuple[Effect, ...]]:
    if state.question is not None:
        return replace(dialogue, phase=Phase.LISTENING), (Listen(dialogue.turn, state.question.listen_s),)
    if state.next is not None:
        return _enter(dialogue, script.states[state.next])
    return _end(dialogue, state.hung_up)


def _key(dialogue: Dialogue, state: State, key: str, script: Script) -> tuple[Dialogue, tuple[Effect, ...]]:
    """A key that means something here counts at once; another one only while listening, as a wrong answer."""
    if not state.barge_in and dialogue.phase is Phase.SPEAKING:
        return dialogue, ()
    target = state.question.choices.get(key) if state.question is not None else None
    if target is None:
        target = script.anytime.get(key)
    if target is not None and target != state.name:
        return _enter(dialogue, script.states[target])
    if state.question is not None and dialogue.phase is Phase.LISTENING:
        return _again(dialogue, state, state.question, script)
    return dialogue, ()


def _again(
    dialogue: Dialogue, state: State, question: Question, script: Script
) -> tuple[Dialogue, tuple[Effect, ...]]:
    again = dialogue.asked <= question.repeats
    return _enter(dialogue, state if again else script.states[question.silence])


def _end(dialogue: Dialogue, outcome: CaseOutcome) -> tuple[Dialogue, tuple[Effect, ...]]:
    return replace(dialogue, phase=Phase.ENDED), (End(outcome),)
