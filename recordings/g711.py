"""G.711 as stored in captures: one byte per sample, 8 kHz (ITU-T G.711, RFC 3551 §4.5.14)."""

import enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 8000

Pcm = NDArray[np.int16]


class Codec(enum.IntEnum):
    """The wire codecs a capture stores, numbered by their static RTP payload types (RFC 3551 §6)."""

    PCMU = 0
    PCMA = 8


def _mu_law() -> Pcm:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law() -> Pcm:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code & 0x70) >> 4
    mantissa = (code & 0x0F) << 4
    magnitude = np.where(segment == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


LINEAR: Final = {Codec.PCMU: _mu_law(), Codec.PCMA: _a_law()}
"""The 16-bit sample of each of the 256 codes (G.711 tables 1 and 2)."""


def decode(codec: Codec, payload: bytes) -> Pcm:
    """Linear 16-bit samples of a payload, one for each byte."""
    return LINEAR[codec][np.frombuffer(payload, dtype=np.uint8)]
