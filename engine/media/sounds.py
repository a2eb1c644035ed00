"""What can be played: rendered prompts, silence between them, tones; decoded once, encoded once per law."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from engine.media.failures import MISSING_PROMPT, UNKNOWN_TONE, CommandError
from engine.rtp import g711, tones
from engine.rtp.g711 import FRAME_SAMPLES, RATE_HZ, Law, Samples

log = logging.getLogger("ringward.media")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", re.ASCII)


class Sound:
    """Speech or a tone in whole frames of 20 ms."""

    __slots__ = ("_coded", "_samples", "frames")

    def __init__(self, samples: Samples) -> None:
        padding = -len(samples) % FRAME_SAMPLES
        self._samples = np.concatenate((samples, np.zeros(padding, np.int16))) if padding else samples
        self.frames = len(self._samples) // FRAME_SAMPLES
        self._coded: list[bytes | None] = [None] * len(Law)

    def samples(self, frame: int) -> Samples:
        return self._samples[frame * FRAME_SAMPLES : (frame + 1) * FRAME_SAMPLES]

    def coded(self, frame: int, law: Law) -> bytes:
        whole = self._coded[law]
        if whole is None:
            whole = self._coded[law] = g711.encode(self._samples, law)
        return whole[frame * FRAME_SAMPLES : (frame + 1) * FRAME_SAMPLES]


class SoundLibrary:
    """Prompts of one folder (`LANGUAGE/SLUG.flac`, 8 kHz mono) and the supervisory tones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prompts: dict[tuple[str, str], Sound] = {}
        self._tones = {name: Sound(tones.cycle(name)) for name in tones.TONES}

    def preload(self) -> int:
        """Decode every prompt there is, so that no call waits for the disk; how many there are."""
        for path in self._folder.glob("*/*.flac"):
            try:
                self.prompt(path.stem, path.parent.name)
            except CommandError as error:
                log.warning("a prompt is not usable: %s", error.detail)
        return len(self._prompts)

    def prompt(self, slug: str, language: str) -> Sound:
        """Raises `CommandError` for a prompt that is missing or not 8 kHz mono."""
        sound = self._prompts.get((language, slug))
        if sound is None:
            sound = self._prompts[language, slug] = self._read(slug, language)
        return sound

    def tone(self, name: str) -> Sound:
        """One period. Raises `CommandError` for an unknown name."""
        try:
            return self._tones[name]
        except KeyError:
            raise CommandError(UNKNOWN_TONE, name) from None

    def _read(self, slug: str, language: str) -> Sound:
        name = f"{language}/{slug}.flac"
        if not (_NAME.match(slug) and _NAME.match(language)):
            raise CommandError(MISSING_PROMPT, name)
        try:
            samples, rate_hz = soundfile.read(self._folder / name, dtype="int16")
        except (OSError, soundfile.SoundFileError) as error:
            raise CommandError(MISSING_PROMPT, f"{name}: {error}") from error
        if rate_hz != RATE_HZ or samples.ndim != 1:
            raise CommandError(MISSING_PROMPT, f"{name}: {rate_hz} Hz, not mono at {RATE_HZ} Hz")
        return Sound(samples)


class Playback:
    """A run of sounds towards one endpoint, frame by frame."""

    __slots__ = ("_frame", "_loop", "_part", "_parts")

    def __init__(self, parts: Sequence[Sound], *, loop: bool = False) -> None:
        self._parts = [part for part in parts if part.frames]
        self._loop = loop
        self._part = self._frame = 0

    @classmethod
    def of_prompts(cls, prompts: Sequence[Sound], repeat: int, gap_ms: int) -> Playback:
        """The prompts one after the other, `repeat` times, with silence between any two."""
        gap = Sound(np.zeros(gap_ms * RATE_HZ // 1000, np.int16))
        parts = [part for prompt in list(prompts) * repeat for part in (prompt, gap)]
        return cls(parts[:-1])

    def take(self) -> tuple[Sound, int] | None:
        """The next frame as sound and frame number; None after the last."""
        if self._part == len(self._parts):
            return None
        sound, frame = self._parts[self._part], self._frame
        self._frame += 1
        if self._frame == sound.frames:
            self._frame = 0
            self._part += 1
            if self._loop:
                self._part %= len(self._parts)
        return sound, frame

    @property
    def finished(self) -> bool:
        return self._part == len(self._parts)
