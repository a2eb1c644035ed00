"""WCAG AA: text on its ground in both themes, at least 4.5 to 1; marks and focus at least 3 to 1."""

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).resolve().parents[2] / "engine" / "console" / "css" / "tokens.css"
COLOUR = re.compile(r"--([\w-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\)")
PALETTE = {name: (light, dark) for name, light, dark in COLOUR.findall(TOKENS.read_text())}
GROUNDS = ("ground", "surface", "sunk")
TEXT = [(ink, ground) for ink in ("ink", "ink-2", "ink-3", "left", "right", "red") for ground in GROUNDS]
TEXT += [(tone, f"{tone}-ground") for tone in ("red", "amber", "green", "blue", "grey")]
TEXT += [("ink", f"{tone}-ground") for tone in ("red", "amber")] + [("ink-2", "red-ground")]
TEXT += [("ink-3", f"{tone}-ground") for tone in ("red", "amber")]
TEXT += [("ink-invert", "ink"), ("ink-invert", "ink-2"), ("ink", "raised")]
MARKS = [(f"{tone}-strong", "surface") for tone in ("red", "amber", "green", "blue", "grey")]
MARKS += [("focus", ground) for ground in GROUNDS] + [("line-strong", "surface"), ("line-strong", "ground")]


def luminance(colour: str) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16) / 255) for i in (0, 2, 4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), [(*p, 4.5) for p in TEXT] + [(*p, 3.0) for p in MARKS])
def test_contrast(ink: str, ground: str, least: float, theme: int) -> None:
    assert contrast(PALETTE[ink][theme], PALETTE[ground][theme]) >= least
