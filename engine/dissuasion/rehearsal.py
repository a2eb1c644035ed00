"""Plays a script's inline examples without audio, for the tests and for checking a script that was edited."""

from engine.dissuasion.dialogue import (
    Dialogue,
    Digit,
    Effect,
    End,
    HungUp,
    Input,
    Phase,
    PromptFinished,
    Silence,
    Started,
    begin,
    step,
)
from engine.dissuasion.script import CaseOutcome, Example, Script


class Rehearsal:
    """One dialogue driven by hand; `effects` is everything it has asked for so far."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.dialogue: Dialogue = begin(script)
        self.effects: list[Effect] = []
        self.feed(Started())

    def feed(self, event: Input) -> None:
        """One step."""
        self.dialogue, effects = step(self.dialogue, event, self._script)
        self.effects += effects

    def listen_out(self) -> None:
        """Let speech finish until the dialogue listens or has ended."""
        while self.dialogue.phase is Phase.SPEAKING:
            self.feed(PromptFinished(self.dialogue.turn))

    @property
    def outcome(self) -> CaseOutcome | None:
        """The outcome, once there is one."""
        last = self.effects[-1] if self.effects else None
        return last.outcome if isinstance(last, End) else None


def rehearse(script: Script, example: Example) -> CaseOutcome | None:
    """Run one example to its end; None when the inputs run out while the dialogue still listens."""
    rehearsal = Rehearsal(script)
    for item in example.inputs:
        word = item.removeprefix("early ")
        if word == item:
            rehearsal.listen_out()
        match word:
            case "silence":
                rehearsal.feed(Silence(rehearsal.dialogue.turn))
            case "hang_up":
                rehearsal.feed(HungUp())
            case key:
                rehearsal.feed(Digit(key))
    rehearsal.listen_out()
    return rehearsal.outcome
