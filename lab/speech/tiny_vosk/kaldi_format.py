"""Writers for Kaldi's binary files: transition model, nnet3 network, and OpenFst's vector automata.

Layouts after Kaldi's `hmm/transition-model.cc`, `hmm/hmm-topology.cc`, `nnet3/nnet-nnet.cc` and OpenFst's
`fst.cc` (header version 2); all numbers are little-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lab.speech.tiny_vosk.features import DIMENSION
from lab.speech.tiny_vosk.lexicon import SILENCE
from lab.speech.tiny_vosk.tdnn import OFFSETS, Network

STAY = 0.6
"""Probability of remaining in a phone for another 30 ms."""
_POSITIONS = {"B": "begin", "I": "internal", "E": "end", "S": "singleton"}


class Phones:
    """Kaldi's phones, numbered from 1: silence, and each sound by its position in the word.

    Positions give Vosk the words' times; the sound alone decides the acoustic class. A phone has one state,
    whose transition ids are 2n − 1 (stay) and 2n (enter).
    """

    def __init__(self, sounds: Sequence[str]) -> None:
        """`sounds` as from `lexicon.phones_of`: silence first."""
        assert sounds[0] == SILENCE
        self.names = [SILENCE, *(f"{sound}_{p}" for sound in sounds[1:] for p in _POSITIONS)]
        self._number = {name: i + 1 for i, name in enumerate(self.names)}
        self.silence = 1

    def number(self, sound: str, position: str) -> int:
        """The phone of a sound at B(egin), I(nternal), E(nd) or S(ingleton)."""
        return self._number[f"{sound}_{position}"]

    @staticmethod
    def enter(phone: int) -> int:
        """Transition id of the first 30 ms."""
        return 2 * phone

    @staticmethod
    def stay(phone: int) -> int:
        """Transition id of each further 30 ms."""
        return 2 * phone - 1

    def sound_index(self, phone: int) -> int:
        """The sound's place in the list given: its pair of acoustic classes."""
        return 0 if phone == self.silence else 1 + (phone - 2) // len(_POSITIONS)

    def word_boundaries(self) -> str:
        """The text of `word_boundary.int`."""
        lines = [f"{self.silence} nonword"]
        lines += [f"{i + 1} {_POSITIONS[name[-1]]}" for i, name in enumerate(self.names) if i]
        return "\n".join(lines) + "\n"


def model(phones: Phones, network: Network) -> bytes:
    """The content of `final.mdl`."""
    return b"\0B" + _transition_model(phones) + _nnet3(network)


def _transition_model(phones: Phones) -> bytes:
    count = len(phones.names)
    numbers = range(1, count + 1)
    out = _token("<TransitionModel>") + _token("<Topology>")
    out += _int_vector(numbers) + _int_vector([-1] + [0] * count)
    out += _int(-1)  # not an HMM topology: states tell the class of entering from that of staying
    out += _int(1) + _int(2)  # one entry, of two states
    out += _int(0) + _int(1) + _int(2) + _int(0) + _float(STAY) + _int(1) + _float(1 - STAY)
    out += _int(-1) + _int(-1) + _int(0)  # the end
    out += _token("</Topology>") + _token("<Tuples>") + _int(count)
    for number in numbers:
        first = 2 * phones.sound_index(number)
        out += _int(number) + _int(0) + _int(first) + _int(first + 1)
    log_probabilities = [0.0, *([np.log(STAY), np.log(1 - STAY)] * count)]
    out += _token("</Tuples>") + _token("<LogProbs>") + _vector(log_probabilities)
    return out + _token("</LogProbs>") + _token("</TransitionModel>")


def _nnet3(network: Network) -> bytes:
    terms = ", ".join("input" if offset == 0 else f"Offset(input, {offset})" for offset in OFFSETS)
    config = [f"input-node name=input dim={DIMENSION}"]
    components, source = b"", f"Append({terms})"
    last = len(network.weights) - 1
    for k, (weights, biases) in enumerate(zip(network.weights, network.biases, strict=True)):
        config.append(f"component-node name=affine{k} component=affine{k} input={source}")
        components += _component(f"affine{k}", "FixedAffineComponent", _affine(weights, biases))
        kind = "RectifiedLinearComponent" if k < last else "LogSoftmaxComponent"
        config.append(f"component-node name=output{k} component=output{k} input=affine{k}")
        components += _component(f"output{k}", kind, _nonlinear(len(biases)))
        source = f"output{k}"
    config.append(f"output-node name=output input={source} objective=linear")
    out = _token("<Nnet3>") + b"\n" + "\n".join(config).encode() + b"\n\n"
    out += _token("<NumComponents>") + _int(2 * len(network.weights)) + components + _token("</Nnet3>")
    out += _token("<LeftContext>") + _int(-OFFSETS[0]) + _token("<RightContext>") + _int(OFFSETS[-1])
    return out + _token("<Priors>") + _vector(network.priors)


def _component(name: str, kind: str, content: bytes) -> bytes:
    return _token("<ComponentName>") + _token(name) + _token(f"<{kind}>") + content + _token(f"</{kind}>")


def _affine(weights: ArrayLike, biases: ArrayLike) -> bytes:
    matrix = np.ascontiguousarray(np.asarray(weights).T, "<f4")
    rows, columns = matrix.shape
    linear = b"FM " + _int(rows) + _int(columns) + matrix.tobytes()
    return _token("<LinearParams>") + linear + _token("<BiasParams>") + _vector(biases)


def _nonlinear(dimension: int) -> bytes:
    """A layer without parameters; the statistics Kaldi keeps in training are empty."""
    nothing = b"\x08" + struct.pack("<d", 0.0)
    out = _token("<Dim>") + _int(dimension)
    out += (
        _token("<ValueAvg>") + _vector([]) + _token("<DerivAvg>") + _vector([]) + _token("<Count>") + nothing
    )
    out += _token("<OderivRms>") + _vector([]) + _token("<OderivCount>") + nothing
    return out + _token("<NumDimsSelfRepaired>") + nothing + _token("<NumDimsProcessed>") + nothing


def _token(text: str) -> bytes:
    return text.encode() + b" "


def _int(value: int) -> bytes:
    return b"\x04" + struct.pack("<i", value)


def _float(value: float) -> bytes:
    return b"\x04" + struct.pack("<f", value)


def _vector(values: ArrayLike) -> bytes:
    array = np.asarray(values, "<f4")
    return b"FV " + _int(len(array)) + array.tobytes()


def _int_vector(values: Sequence[int]) -> bytes:
    return b"\x04" + struct.pack("<i", len(values)) + np.asarray(values, "<i4").tobytes()


@dataclass(slots=True)
class Fst:
    """A weighted automaton under construction; state 0 is the start, weights are costs (−log p)."""

    arcs: list[list[tuple[int, int, float, int]]] = field(default_factory=list)
    final: dict[int, float] = field(default_factory=dict)

    def state(self) -> int:
        """A new state."""
        self.arcs.append([])
        return len(self.arcs) - 1

    def arc(self, source: int, target: int, cost: float, *, transition: int = 0, word: int = 0) -> None:
        """An arc; 0 stands for nothing read, or nothing written."""
        self.arcs[source].append((transition, word, cost, target))

    def write(self, path: Path) -> None:
        """Write as OpenFst's mutable `vector` over the standard arc."""
        out = bytearray(struct.pack("<i", 2125659606))  # OpenFst's magic number
        for text in (b"vector", b"standard"):
            out += struct.pack("<i", len(text)) + text
        properties = 3  # expanded and mutable
        out += struct.pack("<iiQqqq", 2, 0, properties, 0, len(self.arcs), sum(map(len, self.arcs)))
        for state, arcs in enumerate(self.arcs):
            out += struct.pack("<fq", self.final.get(state, float("inf")), len(arcs))
            for transition, word, cost, target in arcs:
                out += struct.pack("<iifi", transition, word, cost, target)
        path.write_bytes(out)
