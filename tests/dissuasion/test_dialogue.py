"""The dialogue step as ladders: input by input, effect by effect; and what holds for any inputs."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.dissuasion.dialogue import (
    Digit,
    Effect,
    End,
    HungUp,
    Input,
    Listen,
    Phase,
    PlayPrompt,
    PromptFinished,
    Silence,
    Started,
    begin,
    step,
)
from engine.dissuasion.rehearsal import Rehearsal
from engine.dissuasion.script import CaseOutcome, load
from engine.warning import announcements

DIALPLANS = Path(__file__).parents[2] / "dialplans"
SLUGS = announcements.load(DIALPLANS / "announcements.toml").announcements.keys()
SCRIPT = load(DIALPLANS / "dissuasion" / "general.toml", SLUGS)


def ladder(*inputs: Input) -> list[tuple[Effect, ...]]:
    dialogue, steps = begin(SCRIPT), []
    for event in inputs:
        dialogue, effects = step(dialogue, event, SCRIPT)
        steps.append(effects)
    return steps


def test_from_answer_to_dissuaded() -> None:
    assert ladder(
        Started(),
        PromptFinished(1),
        PromptFinished(2),
        Digit("1"),
        PromptFinished(3),
        Digit("1"),
        PromptFinished(4),
        PromptFinished(5),
        Digit("1"),
        PromptFinished(6),
    ) == [
        (PlayPrompt(1, ("dissuasion_greeting",)),),
        (PlayPrompt(2, ("dissuasion_talk_now",)),),
        (Listen(2, 6.0),),
        (PlayPrompt(3, ("dissuasion_question",)),),
        (Listen(3, 8.0),),
        (PlayPrompt(4, ("dissuasion_advice",)),),
        (PlayPrompt(5, ("dissuasion_promise",)),),
        (Listen(5, 8.0),),
        (PlayPrompt(6, ("dissuasion_thanks", "goodbye")),),
        (End(CaseOutcome.DISSUADED),),
    ]


def test_the_first_sentence_cannot_be_interrupted() -> None:
    assert ladder(Started(), Digit("0"), Digit("1"))[1:] == [(), ()]


def test_a_key_cuts_a_question_short() -> None:
    assert ladder(Started(), PromptFinished(1), Digit("1"))[-1] == (PlayPrompt(3, ("dissuasion_question",)),)


def test_silence_asks_again_and_then_gives_up() -> None:
    steps = ladder(
        Started(),
        PromptFinished(1),
        PromptFinished(2),
        Silence(2),
        PromptFinished(3),
        Silence(3),
        PromptFinished(4),
    )
    assert steps[3:] == [
        (PlayPrompt(3, ("dissuasion_talk_now",)),),
        (Listen(3, 6.0),),
        (PlayPrompt(4, ("goodbye",)),),
        (End(CaseOutcome.NOT_REACHED),),
    ]


def test_wrong_keys_count_like_silence() -> None:
    steps = ladder(Started(), PromptFinished(1), PromptFinished(2), Digit("9"), PromptFinished(3), Digit("9"))
    assert steps[3] == (PlayPrompt(3, ("dissuasion_talk_now",)),)
    assert steps[5] == (PlayPrompt(4, ("goodbye",)),)


def test_asking_for_a_person_twice_does_not_start_the_answer_again() -> None:
    assert ladder(Started(), PromptFinished(1), Digit("0"), Digit("0"), PromptFinished(3))[2:] == [
        (PlayPrompt(3, ("dissuasion_person",)),),
        (),
        (End(CaseOutcome.TRANSFERRED),),
    ]


def test_stale_answers_change_nothing() -> None:
    # The key arrives as the prompt ends, and the timer of the question before it runs out late.
    assert ladder(Started(), PromptFinished(1), Digit("1"), PromptFinished(2), Silence(2))[3:] == [(), ()]


def test_hanging_up_before_the_start_is_not_reached() -> None:
    assert ladder(HungUp()) == [(End(CaseOutcome.NOT_REACHED),)]


def test_nothing_follows_the_end() -> None:
    assert ladder(Started(), HungUp(), HungUp(), PromptFinished(1), Digit("1"))[2:] == [(), (), ()]


turns = st.integers(0, 12)
inputs = st.one_of(
    st.just(Started()),
    st.just(HungUp()),
    st.sampled_from("0123456789*#").map(Digit),
    turns.map(PromptFinished),
    turns.map(Silence),
)


@given(st.lists(inputs, max_size=40))
def test_any_inputs_end_at_most_once_and_the_greeting_is_never_cut(events: list[Input]) -> None:
    dialogue, ended, turn = begin(SCRIPT), 0, 0
    for event in events:
        before = dialogue
        dialogue, effects = step(dialogue, event, SCRIPT)
        assert not (ended and effects)
        ended += sum(isinstance(effect, End) for effect in effects)
        plays = [effect for effect in effects if isinstance(effect, PlayPrompt)]
        if plays:
            assert plays[0].turn == dialogue.turn == turn + 1
            turn = dialogue.turn
        if before.phase is Phase.SPEAKING and before.at == SCRIPT.start and dialogue != before:
            assert event in (PromptFinished(before.turn), HungUp())
    assert ended <= 1
    assert (dialogue.phase is Phase.ENDED) == bool(ended)


@given(st.lists(st.sampled_from("0123456789*#"), max_size=30))
def test_a_person_who_falls_silent_is_let_go(keys: list[str]) -> None:
    rehearsal = Rehearsal(SCRIPT)
    for key in keys:
        rehearsal.listen_out()
        rehearsal.feed(Digit(key))
    for _ in range(50):
        rehearsal.listen_out()
        rehearsal.feed(Silence(rehearsal.dialogue.turn))
    assert rehearsal.outcome is not None
