"""Where the project's own data lies: policies, scripts, prompts."""

from __future__ import annotations

from pathlib import Path


def dialplans_folder() -> Path:
    """`dialplans/` of a checkout, or its copy inside an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    beside = package.parent / "dialplans"
    return beside if beside.is_dir() else package / "_dialplans"
