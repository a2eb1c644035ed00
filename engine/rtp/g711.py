"""G.711 both laws (ITU-T G.711), as tables; samples are int16 numpy arrays at 8 kHz."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from recordings.g711 import LINEAR, Codec
from recordings.g711 import RATE_HZ as RATE_HZ

Samples = NDArray[np.int16]

FRAME_MS = 20
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000


class Law(IntEnum):
    PCMU = 0
    PCMA = 1

    @classmethod
    def of(cls, name: str) -> Law:
        """The law of an SDP encoding name; KeyError for another codec."""
        return cls[name.upper()]


def _codes(law: Law) -> NDArray[np.uint8]:
    """The code of each sample, indexed by the sample as uint16.

    A sample takes the code whose interval holds it; negative ones are measured by their one's complement, as
    the ITU's reference code does (G.191).
    """
    byte = np.arange(256)
    exponent = (byte ^ (0x55 if law is Law.PCMA else 0xFF)) >> 4 & 0x07
    step = 16 << np.maximum(exponent - 1, 0) if law is Law.PCMA else 8 << exponent
    positive = byte & 0x80 != 0
    edges = np.abs(_LEVELS[law].astype(np.int32)) - step // 2

    samples = np.arange(65_536).astype(np.uint16).view(np.int16)
    codes = np.empty(65_536, np.uint8)
    for codes_of_sign, mine in ((byte[positive], samples >= 0), (byte[~positive], samples < 0)):
        rising = codes_of_sign[np.argsort(edges[codes_of_sign])]
        distance = np.where(samples < 0, ~samples, samples)[mine]
        codes[mine] = rising[np.searchsorted(edges[rising], distance, side="right") - 1]
    return codes


_LEVELS = tuple(LINEAR[Codec[law.name]] for law in Law)
_CODES = tuple(_codes(law) for law in Law)

TRANSCODE: tuple[tuple[bytes | None, ...], ...] = tuple(
    tuple(
        None if source is target else _CODES[target].take(_LEVELS[source].view(np.uint16)).tobytes()
        for target in Law
    )
    for source in Law
)
"""`payload.translate(TRANSCODE[from][to])`; None where nothing is to be done."""
SILENCE = (b"\xff", b"\xd5")
"""The code of a zero sample, by law."""


def decode(payload: bytes | bytearray | memoryview, law: Law) -> Samples:
    return _LEVELS[law].take(np.frombuffer(payload, np.uint8))


def encode(samples: Samples, law: Law) -> bytes:
    return _CODES[law].take(samples.view(np.uint16)).tobytes()


def transcode(payload: bytes, source: Law, target: Law) -> bytes:
    table = TRANSCODE[source][target]
    return payload if table is None else payload.translate(table)


def gain(samples: Samples, gain_db: float) -> Samples:
    """Louder or softer by `gain_db`, saturating."""
    if gain_db == 0.0:
        return samples
    return _saturate(np.rint(samples * 10.0 ** (gain_db / 20.0)))


def mix(parts: Sequence[Samples]) -> Samples:
    """The sum of arrays of one length, saturating."""
    if len(parts) == 1:
        return parts[0]
    total = parts[0].astype(np.int32)
    for part in parts[1:]:
        total += part
    return _saturate(total)


def _saturate(samples: NDArray[np.floating] | NDArray[np.int32]) -> Samples:
    return np.clip(samples, -32_768, 32_767).astype(np.int16)
