"""G.711 against the ITU's reference code (G.191), transcribed, and against libsndfile's tables."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from engine.rtp import g711
from engine.rtp.g711 import Law

EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)
EVERY_CODE = bytes(range(256))


def itu_alaw(sample: int) -> int:
    """G.191 alaw_compress."""
    magnitude = (~sample if sample < 0 else sample) >> 4
    exponent = 0
    if magnitude > 15:
        exponent = 1
        while magnitude > 31:
            magnitude >>= 1
            exponent += 1
        magnitude -= 16
    magnitude += exponent << 4
    if sample >= 0:
        magnitude |= 0x80
    return magnitude ^ 0x55


def itu_ulaw(sample: int) -> int:
    """G.191 ulaw_compress."""
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment, rest = 1, magnitude >> 6
    while rest:
        segment += 1
        rest >>= 1
    code = (8 - segment) << 4 | 0x0F - (magnitude >> segment & 0x0F)
    return code | 0x80 if sample >= 0 else code


@pytest.mark.parametrize(("law", "reference"), [(Law.PCMA, itu_alaw), (Law.PCMU, itu_ulaw)])
def test_encodes_every_sample_as_the_itu_does(law: Law, reference: object) -> None:
    assert callable(reference)
    assert g711.encode(EVERY_SAMPLE, law) == bytes(reference(int(sample)) for sample in EVERY_SAMPLE)


@pytest.mark.parametrize(("law", "subtype"), [(Law.PCMA, "ALAW"), (Law.PCMU, "ULAW")])
def test_decodes_every_code_as_libsndfile_does(law: Law, subtype: str) -> None:
    expected, _ = soundfile.read(
        io.BytesIO(EVERY_CODE), samplerate=8000, channels=1, format="RAW", subtype=subtype, dtype="int16"
    )
    assert np.array_equal(g711.decode(EVERY_CODE, law), expected)


@pytest.mark.parametrize("law", Law)
def test_a_decoded_code_encodes_to_itself(law: Law) -> None:
    again = g711.encode(g711.decode(EVERY_CODE, law), law)
    assert again.replace(b"\x7f", b"\xff") == EVERY_CODE.replace(b"\x7f", b"\xff") or law is Law.PCMA
    if law is Law.PCMA:
        assert again == EVERY_CODE


@pytest.mark.parametrize("law", Law)
def test_silence_is_a_zero_sample(law: Law) -> None:
    assert g711.encode(np.zeros(1, np.int16), law) == g711.SILENCE[law]


@pytest.mark.parametrize(("source", "target"), [(Law.PCMA, Law.PCMU), (Law.PCMU, Law.PCMA)])
def test_transcoding_is_decoding_and_encoding(source: Law, target: Law) -> None:
    expected = g711.encode(g711.decode(EVERY_CODE, source), target)
    assert g711.transcode(EVERY_CODE, source, target) == expected
    assert g711.transcode(EVERY_CODE, source, source) is EVERY_CODE


def test_laws_by_name() -> None:
    assert (Law.of("pcma"), Law.of("PCMU")) == (Law.PCMA, Law.PCMU)
    with pytest.raises(KeyError):
        Law.of("G722")


samples = st.lists(st.integers(-32_768, 32_767), min_size=4, max_size=4).map(lambda s: np.array(s, np.int16))


@given(st.lists(samples, min_size=1, max_size=4))
def test_mix_saturates(parts: list[g711.Samples]) -> None:
    exact = np.sum([part.astype(np.int64) for part in parts], axis=0)
    assert np.array_equal(g711.mix(parts), np.clip(exact, -32_768, 32_767))


@given(samples, st.floats(-60, 30))
def test_gain_saturates(part: g711.Samples, gain_db: float) -> None:
    exact = np.clip(part * 10 ** (gain_db / 20), -32_768, 32_767)
    assert np.max(np.abs(g711.gain(part, gain_db) - exact)) <= 0.5


def test_no_gain_is_no_work() -> None:
    assert g711.gain(EVERY_SAMPLE, 0.0) is EVERY_SAMPLE
