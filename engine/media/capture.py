"""Two-channel recording of two endpoints in RTP time: what they say, and if asked what was played to them."""

from __future__ import annotations

import sys
from typing import TypeVar

import numpy as np

from engine.media.disk import CaptureFile, Piece
from engine.rtp import g711
from engine.rtp.alignment import CaptureClock
from engine.rtp.g711 import Law, Samples

HOLD_SAMPLES = 1600
"""How long speech waits for the prompt that goes into the same channel: packets later than that lose it."""


Sound = TypeVar("Sound", bytes, Samples)


class Channel:
    """One channel of a recording."""

    __slots__ = ("_law", "_number", "_played", "_prompts", "_speech", "_spoken", "_with_prompts")

    def __init__(self, number: int, start: float, law: Law, *, with_prompts: bool) -> None:
        """`law` holds until the endpoint is first heard; its first packet settles it."""
        self._number = number
        self._law = law
        self._spoken, self._played = CaptureClock(start), CaptureClock(start)
        self._with_prompts = with_prompts
        self._speech: list[tuple[int, bytes]] = []
        self._prompts: list[tuple[int, Samples]] = []

    def hear(self, ssrc: int, timestamp: int, payload: bytes, law: Law, now: float) -> None:
        """A packet of the endpoint."""
        if law is not self._law:
            if self._spoken.anchored:
                payload = g711.transcode(payload, law, self._law)
            else:
                self._law = law
        at = self._spoken.place(ssrc, timestamp, len(payload), now)
        self._speech.append((at, payload) if at >= 0 else (0, payload[-at:]))

    def play(self, timestamp: int, samples: Samples, now: float) -> None:
        """A frame that is leaving towards the endpoint, under this timestamp of its stream."""
        if self._with_prompts:
            at = self._played.place(0, timestamp, len(samples), now)
            self._prompts.append((at, samples) if at >= 0 else (0, samples[-at:]))

    def take(self, now: float, *, last: bool = False) -> list[Piece]:
        """What can be stored by now; everything when it is the `last` time."""
        if not self._with_prompts:
            speech, self._speech = self._speech, []
            return [(self._number, at, self._law, payload) for at, payload in speech]
        horizon = sys.maxsize if last else self._spoken.now(now) - HOLD_SAMPLES
        speech, self._speech = _split(self._speech, horizon)
        prompts, self._prompts = _split(self._prompts, horizon)
        if prompts:
            parts = prompts + [(at, g711.decode(payload, self._law)) for at, payload in speech]
            speech = [(at, g711.encode(samples, self._law)) for at, samples in overlay(parts)]
        return [(self._number, at, self._law, payload) for at, payload in speech]


class Capture:
    """A running recording."""

    __slots__ = ("channels", "file")

    def __init__(
        self,
        file: CaptureFile,
        endpoints: tuple[str, str],
        laws: tuple[Law, Law],
        start: float,
        prompts: bool,
    ) -> None:
        """`start` is the monotonic time of sample 0 in seconds."""
        self.file = file
        self.channels = {
            name: Channel(number, start, law, with_prompts=prompts)
            for number, (name, law) in enumerate(zip(endpoints, laws, strict=True))
        }

    def flush(self, now: float, *, last: bool = False) -> None:
        pieces = [piece for channel in self.channels.values() for piece in channel.take(now, last=last)]
        if pieces:
            self.file.write(pieces)


def overlay(parts: list[tuple[int, Samples]]) -> list[tuple[int, Samples]]:
    """The saturated sum of pieces of sound, as unbroken runs in order; gaps stay gaps."""
    start = min(at for at, _ in parts)
    stop = max(at + len(samples) for at, samples in parts)
    total = np.zeros(stop - start, np.int32)
    covered = np.zeros(stop - start + 2, np.int8)
    for at, samples in parts:
        low = at - start
        total[low : low + len(samples)] += samples
        covered[low + 1 : low + 1 + len(samples)] = 1
    edges = np.flatnonzero(np.diff(covered))
    sound = np.clip(total, -32_768, 32_767).astype(np.int16)
    return [(start + int(low), sound[low:high]) for low, high in zip(edges[::2], edges[1::2], strict=True)]


def _split(
    pieces: list[tuple[int, Sound]], horizon: int
) -> tuple[list[tuple[int, Sound]], list[tuple[int, Sound]]]:
    """The pieces cut at a position: what lies before it, what lies after."""
    before, after = [], []
    for at, sound in pieces:
        cut = min(max(0, horizon - at), len(sound))
        if cut:
            before.append((at, sound[:cut]))
        if cut < len(sound):
            after.append((at + cut, sound[cut:]))
    return before, after
