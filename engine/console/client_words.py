"""The texts that the TypeScript modules need, handed over in each page under short names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.console.i18n import N_, Translator

_WORDS: Final[Mapping[str, str]] = {
    "stream.open": N_("Live"),
    "stream.lost": N_("Connection lost, trying again…"),
    "calls.new.one": N_("1 new call"),
    "calls.new.many": N_("%(n)s new calls"),
    "player.play": N_("Play"),
    "player.pause": N_("Pause"),
    "player.failed": N_(
        "The sound could not be loaded. Reload the page; if it stays so, the recording is damaged."
    ),
    "wave.failed": N_("The waveform could not be loaded."),
    "transcript.silent": N_("No words were recognised."),
}


def client_words(t: Translator) -> dict[str, str]:
    return {name: t(text) for name, text in _WORDS.items()}


NAMES: Final = frozenset(_WORDS)
