"""Transcripts: who said what and when, each channel recognised by itself.

A transcript belongs to one (recording, model, version): recognising again with the same model replaces it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from recordings.capture import Capture
from recordings.errors import ModelMissing
from recordings.g711 import RATE_HZ, Pcm
from recordings.speech import speech_regions


class Word(msgspec.Struct, frozen=True):
    """One recognised word; times since the start of the recording, confidence from 0 to 1."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """What one channel (0 caller, 1 callee) said without a pause, in one language."""

    start_ms: int
    end_ms: int
    channel: int
    language: str
    text: str
    words: tuple[Word, ...]


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """All segments of a recording by time. Where two models were used, `+` joins their names."""

    recording_id: str
    model: str
    version: str
    languages: tuple[str, str]
    segments: tuple[Segment, ...]
    duration_ms: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.recording_id, self.model, self.version


class Recognizer(Protocol):
    """Turns speech into words. `name` is the engine's, `model` and `version` say exactly what heard it."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...

    def transcribe(self, pcm: Pcm, language: str) -> list[Segment]:
        """Segments of mono int16 at 8 kHz, times from its first sample, channel 0.

        ModelMissing, ModelUnusable.
        """
        ...


def transcribe_capture(
    capture: Capture, recognisers: Mapping[str, Recognizer], languages: Sequence[str]
) -> Transcript:
    """Transcribe a capture whose channels speak `languages` (caller, callee).

    ModelMissing when no recogniser speaks one of them, KeyRequired, ValueError (not two languages).
    """
    if len(languages) != 2:
        raise ValueError("one language for each of the two channels")
    segments: list[Segment] = []
    used: list[Recognizer] = []
    for channel, language in enumerate(languages):
        recogniser = recognisers.get(language)
        if recogniser is None:
            known = ", ".join(sorted(recognisers)) or "none"
            raise ModelMissing(f"no speech model is configured for language {language!r} (there is: {known})")
        used.append(recogniser)
        segments += _transcribe_channel(capture, channel, recogniser, language)
    segments.sort(key=lambda segment: (segment.start_ms, segment.channel))
    return Transcript(
        recording_id=capture.meta.recording_id,
        model="+".join(dict.fromkeys(f"{one.name}:{one.model}" for one in used)),
        version="+".join(dict.fromkeys(one.version for one in used)),
        languages=(languages[0], languages[1]),
        segments=tuple(segments),
        duration_ms=capture.length * 1000 // RATE_HZ,
    )


def _transcribe_channel(
    capture: Capture, channel: int, recogniser: Recognizer, language: str
) -> list[Segment]:
    pcm = capture.channel(channel)
    return [
        _moved(segment, channel, start * 1000 // RATE_HZ)
        for start, stop in speech_regions(pcm)
        for segment in recogniser.transcribe(pcm[start:stop], language)
    ]


def _moved(segment: Segment, channel: int, offset_ms: int) -> Segment:
    words = tuple(
        Word(word.text, word.start_ms + offset_ms, word.end_ms + offset_ms, word.confidence)
        for word in segment.words
    )
    return Segment(
        start_ms=segment.start_ms + offset_ms,
        end_ms=segment.end_ms + offset_ms,
        channel=channel,
        language=segment.language,
        text=segment.text,
        words=words,
    )
