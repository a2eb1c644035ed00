"""The decoding graph: a bigram language model over words, each word's phones laid out once.

The history of a bigram is one word, so a word's chain of phones can be shared by all histories that lead to
it: history → (word, cost) → phones → optional silence → history. That keeps the graph below 100 kB.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from math import log

from lab.speech.tiny_vosk.kaldi_format import STAY, Fst, Phones
from lab.speech.tiny_vosk.lexicon import UNKNOWN, Lexicon

_START, _END, _ANY = "<s>", "</s>", "<any>"
_BACKOFF = 0.03  # share of a history's probability for words never seen after it
_UNSEEN = 0.2  # count of a word that is in no sentence
_UNKNOWN_WEIGHT = 20.0  # that of [unk], which is in none either; more would let it eat pauses


def word_table(lexicon: Lexicon) -> dict[str, int]:
    """Word numbers as in `words.txt`."""
    names = ["<eps>", *sorted(lexicon), "#0", _START, _END]
    return {name: number for number, name in enumerate(names)}


def build(sentences: Sequence[Sequence[str]], lexicon: Lexicon, phones: Phones) -> Fst:
    """The whole of `HCLG.fst`."""
    return _Builder(lexicon, phones).build(sentences)


class _Builder:
    def __init__(self, lexicon: Lexicon, phones: Phones) -> None:
        self._lexicon = lexicon
        self._phones = phones
        self._numbers = word_table(lexicon)
        self._fst = Fst()
        self._fst.state()
        self._histories: dict[str, int] = {}
        self._entries: dict[str, int] = {}

    def build(self, sentences: Sequence[Sequence[str]]) -> Fst:
        pairs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        single: Counter[str] = Counter()
        for sentence in sentences:
            marked = [_START, *sentence, _END]
            single.update(marked[1:])
            for before, after in pairwise(marked):
                pairs[before][after] += 1
        weights = {word: float(single[word]) or _UNSEEN for word in (*self._lexicon, _END)}
        weights[UNKNOWN] = _UNKNOWN_WEIGHT
        for word in sorted(self._lexicon):
            self._lay_out(word)
        self._leave(0, _START)
        for before in (_START, *sorted(self._lexicon)):
            followers = pairs[before]
            total = followers.total()
            backoff = _BACKOFF if total else 1.0
            for after, count in sorted(followers.items()):
                self._follow(before, after, -log((1 - backoff) * count / total))
            self._fst.arc(self._history(before), self._history(_ANY), -log(backoff))
        total_weight = sum(weights.values())
        for word, weight in sorted(weights.items()):
            self._follow(_ANY, word, -log(weight / total_weight))
        return self._fst

    def _history(self, word: str) -> int:
        if word not in self._histories:
            self._histories[word] = self._fst.state()
        return self._histories[word]

    def _follow(self, before: str, after: str, cost: float) -> None:
        if after == _END:
            self._fst.final[self._history(before)] = cost
        else:
            entry = self._entries[after]
            self._fst.arc(self._history(before), entry, cost, word=self._numbers[after])

    def _lay_out(self, word: str) -> None:
        """A word's phones, once."""
        state = self._entries[word] = self._fst.state()
        sounds = self._lexicon[word]
        for k, sound in enumerate(sounds):
            if len(sounds) == 1:
                position = "S"
            else:
                position = "B" if k == 0 else "E" if k == len(sounds) - 1 else "I"
            state = self._phone(state, self._phones.number(sound, position))
        self._leave(state, word)

    def _phone(self, source: int, phone: int, cost: float = 0.0) -> int:
        """One phone after `source`: enter it, stay any time; the state it leads to."""
        target = self._fst.state()
        self._fst.arc(source, target, cost - log(1 - STAY), transition=self._phones.enter(phone))
        self._fst.arc(target, target, -log(STAY), transition=self._phones.stay(phone))
        return target

    def _leave(self, state: int, word: str) -> None:
        """From a word's end to its history, through silence or not."""
        half = log(2)
        self._fst.arc(state, self._history(word), half)
        silence = self._phone(state, self._phones.silence, half)
        self._fst.arc(silence, self._history(word), 0.0)
