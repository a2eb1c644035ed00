"""Flat-start alignment: which frames belong to which phone, from text alone.

Three states a phone, diagonal Gaussians (one, then two), Viterbi training. It only has to be good enough for
a neural network to average out what it gets wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.speech.tiny_vosk.corpus import Spoken
from lab.speech.tiny_vosk.features import Features
from lab.speech.tiny_vosk.lexicon import SILENCE, Lexicon

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STATES = 3  # of a phone
_CEPSTRA = 13
_NEVER = -1e30


@dataclass(frozen=True, slots=True)
class _Chain:
    """The states an utterance passes through: their emission, predecessors (−1: none), and possible ends."""

    emission: Ints
    before: Ints
    ends: tuple[int, ...]
    spoken: tuple[int, ...]


def align(
    corpus: Sequence[Spoken], lexicon: Lexicon, phones: Sequence[str], iterations: int = 14
) -> list[Ints]:
    """The phone index of every frame of every utterance.

    The first iterations, which only have to find the words, use an eighth of the corpus.
    """
    index = {phone: i for i, phone in enumerate(phones)}
    observations = [_observations(item.mfcc) for item in corpus]
    chains = [_chain(item.words, lexicon, index) for item in corpus]
    count = max(len(corpus) // 8, min(len(corpus), 300))
    states = [_uniform(item.mfcc, chain) for item, chain in zip(corpus[:count], chains[:count], strict=True)]
    for iteration in range(iterations):
        mixture = _Mixture.fit(observations[:count], states, len(phones) * STATES, 1 if iteration < 6 else 2)
        count = len(corpus) if iteration >= iterations - 4 else count
        states = [
            _viterbi(mixture.log_likelihood(x), chain)
            for x, chain in zip(observations[:count], chains[:count], strict=True)
        ]
    return [path // STATES for path in states]


def _observations(mfcc: Features) -> Floats:
    """Cepstra normalised by utterance, with their slopes."""
    x = mfcc[:, :_CEPSTRA].astype(np.float64)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)
    p = np.pad(x, ((2, 2), (0, 0)), "edge")
    slopes = (2 * (p[4:] - p[:-4]) + (p[3:-1] - p[1:-3])) / 10
    return np.hstack([x, 3 * slopes])


def _chain(words: Sequence[str], lexicon: Lexicon, index: dict[str, int]) -> _Chain:
    """Silence, then words with an optional silence after each."""
    emission: list[int] = []
    before: list[list[int]] = []
    spoken: list[int] = []

    def add(phone: str, entries: list[int]) -> int:
        for k in range(STATES):
            state = len(emission)
            emission.append(index[phone] * STATES + k)
            before.append([state, *(entries if k == 0 else [state - 1])])
            if phone != SILENCE:
                spoken.append(state)
        return len(emission) - 1

    ends = [add(SILENCE, [])]
    for word in words:
        for phone in lexicon[word]:
            ends = [add(phone, ends)]
        ends.append(add(SILENCE, ends))
    table = np.full((len(before), max(map(len, before))), -1)
    for state, entries in enumerate(before):
        table[state, : len(entries)] = entries
    return _Chain(np.array(emission), table, tuple(ends), tuple(spoken))


def _uniform(mfcc: Features, chain: _Chain) -> Ints:
    """The start: silence where it is quiet at both ends, all phones equally long between."""
    loudness = mfcc[:, 0]
    threshold = (np.percentile(loudness, 10) + np.percentile(loudness, 90)) / 2
    loud = np.flatnonzero(loudness > threshold)
    first, last = int(loud[0]), int(loud[-1]) + 1
    path = np.full(len(mfcc), chain.emission[1])
    states = chain.emission[np.array(chain.spoken)]
    path[first:last] = states[np.arange(last - first) * len(states) // (last - first)]
    return path


def _viterbi(log_likelihood: Floats, chain: _Chain) -> Ints:
    """The best path; speech may start at once, without the silence before it."""
    frames, count = len(log_likelihood), len(chain.emission)
    emitted = log_likelihood[:, chain.emission]
    entries, barred = np.maximum(chain.before, 0), chain.before < 0
    score = np.full(count, _NEVER)
    score[[0, STATES]] = emitted[0, [0, STATES]]
    back = np.zeros((frames, count), np.int32)
    rows = np.arange(count)
    for frame in range(1, frames):
        candidates = score[entries]
        candidates[barred] = _NEVER
        best = candidates.argmax(axis=1)
        back[frame] = entries[rows, best]
        score = candidates[rows, best] + emitted[frame]
    state = max(chain.ends, key=lambda end: score[end])
    path = np.empty(frames, np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state = back[frame, state]
    return chain.emission[path]


@dataclass(frozen=True, slots=True)
class _Mixture:
    """Diagonal Gaussian mixtures by state: `mean` and `variance` (state, component, dimension), `weight`."""

    mean: Floats
    variance: Floats
    weight: Floats

    @classmethod
    def fit(cls, observations: list[Floats], states: list[Ints], count: int, components: int) -> "_Mixture":
        """Fit every state to its frames, by two rounds of expectation and maximisation where it has two."""
        x, labels = np.concatenate(observations), np.concatenate(states)
        overall, floor = x.mean(axis=0), 0.05 * x.var(axis=0)
        mean = np.tile(overall, (count, components, 1))
        variance = np.tile(x.var(axis=0), (count, components, 1))
        weight = np.full((count, components), 1 / components)
        for state in range(count):
            z = x[labels == state]
            if len(z) < 10 * components:
                continue
            offsets = (np.arange(components) - (components - 1) / 2)[:, None]
            mean[state] = z.mean(axis=0) + 0.4 * offsets * z.std(axis=0)
            variance[state] = np.maximum(z.var(axis=0), floor)
            for _ in range(2 if components > 1 else 0):
                distance = (z[:, None] - mean[state]) ** 2 / variance[state] + np.log(variance[state])
                log_share = np.log(weight[state]) - distance.sum(axis=2) / 2
                share = np.exp(log_share - log_share.max(axis=1, keepdims=True))
                share /= share.sum(axis=1, keepdims=True)
                total = share.sum(axis=0) + 1e-3
                mean[state] = (share.T @ z) / total[:, None]
                spread = (share.T @ z**2) / total[:, None] - mean[state] ** 2
                variance[state] = np.maximum(spread, floor)
                weight[state] = total / total.sum()
        return cls(mean, variance, weight)

    def log_likelihood(self, x: Floats) -> Floats:
        """By frame and state, without the constant of the normal density."""
        count, components, dimension = self.mean.shape
        precision = (1 / self.variance).reshape(-1, dimension)
        mean = self.mean.reshape(-1, dimension)
        constant = np.log(self.weight).ravel() - 0.5 * (mean**2 * precision - np.log(precision)).sum(axis=1)
        each = x @ (mean * precision).T - 0.5 * (x**2 @ precision.T) + constant
        return np.asarray(np.logaddexp.reduce(each.reshape(len(x), count, components), axis=2))
