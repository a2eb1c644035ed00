"""Where the project's own data lies: policies, scripts, prompts."""

from __future__ import annotations

from pathlib import Path


def dialplans_folder() -> Path:
    """`dialplans/`, which lies beside the packages both in a checkout and in an installed wheel."""
    return Path(__file__).resolve().parents[2] / "dialplans"
