"""The acoustic model: one splice over time and three hidden layers, trained with Adam in numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lab.speech.tiny_vosk.features import Features

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

OFFSETS = (-12, -9, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9)
"""Frames seen around the present one; the last is the model's latency, 90 ms."""
HIDDEN = 192
CLASSES = 2
"""Of a phone, as in Kaldi's chain topology: its first 30 ms, and the rest."""
_FIRST_FRAMES = 3
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Network:
    """`weights[k]` is (inputs, outputs), rectified between; `priors` are the classes' shares in training."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    priors: Floats


def targets(phones: Ints) -> Ints:
    """The class of every frame from its phone."""
    starts = np.r_[True, phones[1:] != phones[:-1]]
    began = np.maximum.accumulate(np.where(starts, np.arange(len(phones)), 0))
    return phones * CLASSES + (np.arange(len(phones)) - began >= _FIRST_FRAMES)


def train(mfcc: Sequence[Features], phones: Sequence[Ints], count: int, epochs: int, seed: int) -> Network:
    """Learn `count` phones' classes; an epoch is a third of all frames, since neighbours are alike."""
    rng = np.random.default_rng(seed)
    raw, rows = _laid_out(mfcc)
    mean: Floats = raw[rows].mean(axis=0)
    deviation: Floats = raw[rows].std(axis=0) + np.float32(1e-3)
    frames: Floats = (raw - mean) / deviation
    labels = np.concatenate([targets(p) for p in phones])
    adam = _Adam([len(OFFSETS) * frames.shape[1], HIDDEN, HIDDEN, HIDDEN, count * CLASSES], rng)
    size = len(rows) // 3
    steps = epochs * (size // _BATCH)
    for epoch in range(epochs):
        chosen = rng.permutation(len(rows))[:size]
        loss = 0.0
        for first in range(0, size - _BATCH + 1, _BATCH):
            batch = chosen[first : first + _BATCH]
            x = frames[rows[batch, None] + np.array(OFFSETS)].reshape(_BATCH, -1)
            loss += adam.step(x, labels[batch], steps)
        print(f"  epoch {epoch + 1:2} of {epochs}: loss {loss / (size // _BATCH):.3f}", flush=True)
    weights, biases = adam.parameters()
    # The decoder feeds raw cepstra: fold the normalisation into the first layer.
    biases[0] -= np.tile(mean / deviation, len(OFFSETS)) @ weights[0]
    weights[0] = (weights[0] / np.tile(deviation, len(OFFSETS))[:, None]).astype(np.float32)
    shares = np.bincount(labels, minlength=count * CLASSES) + 1.0
    return Network(tuple(weights), tuple(biases), (shares / shares.sum()).astype(np.float32))


def _laid_out(mfcc: Sequence[Features]) -> tuple[Floats, Ints]:
    """All utterances in one array, each with its edge frames repeated; and where its real frames lie."""
    before, after = -OFFSETS[0], OFFSETS[-1]
    padded, rows, position = [], [], 0
    for x in mfcc:
        padded.append(np.pad(x, ((before, after), (0, 0)), "edge"))
        rows.append(position + before + np.arange(len(x)))
        position += len(padded[-1])
    return np.concatenate(padded), np.concatenate(rows)


class _Adam:
    """The network in training: cross entropy, Adam, a cosine from the first rate to none."""

    RATE = 1.5e-3

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        self._layers = len(sizes) - 1
        self._parameters = [
            rng.normal(0, np.sqrt(2 / n), (n, m)).astype(np.float32) for n, m in pairwise(sizes)
        ] + [np.zeros(m, np.float32) for m in sizes[1:]]
        self._first = [np.zeros_like(p) for p in self._parameters]
        self._second = [np.zeros_like(p) for p in self._parameters]
        self._steps = 0

    def parameters(self) -> tuple[list[Floats], list[Floats]]:
        """Weights and biases."""
        return self._parameters[: self._layers], self._parameters[self._layers :]

    def step(self, x: Floats, labels: Ints, steps: int) -> float:
        """One batch; its mean loss before it."""
        weights, biases = self.parameters()
        outputs = [x]
        for k in range(self._layers - 1):
            outputs.append(np.maximum(outputs[-1] @ weights[k] + biases[k], 0))
        z = outputs[-1] @ weights[-1] + biases[-1]
        z -= z.max(axis=1, keepdims=True)
        share = np.exp(z)
        share /= share.sum(axis=1, keepdims=True)
        rows = np.arange(len(x))
        loss = float(-np.log(share[rows, labels] + 1e-9).mean())
        share[rows, labels] -= 1
        error = share / len(x)
        gradients: list[Floats] = [error] * (2 * self._layers)
        for k in range(self._layers - 1, -1, -1):
            gradients[k] = outputs[k].T @ error
            gradients[self._layers + k] = error.sum(axis=0)
            if k:
                error = (error @ weights[k].T) * (outputs[k] > 0)
        self._update(gradients, steps)
        return loss

    def _update(self, gradients: list[Floats], steps: int) -> None:
        rate = self.RATE * 0.5 * (1 + np.cos(np.pi * self._steps / steps))
        self._steps += 1
        rate *= np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        for parameter, gradient, first, second in zip(
            self._parameters, gradients, self._first, self._second, strict=True
        ):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            parameter -= (rate * first / (np.sqrt(second) + 1e-8)).astype(np.float32)
