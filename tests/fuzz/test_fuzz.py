"""Every input path under damaged input: the same inputs on each run.

`FUZZ_SECONDS` in all: 40, so that with the start of it all the stage keeps to its 60.
"""

from __future__ import annotations

import os

import pytest

from tests.fuzz.kit import run
from tests.fuzz.targets import TARGETS

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("FUZZ_SECONDS", "40")) / len(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_input_path(name: str) -> None:
    assert run(TARGETS[name], SECONDS) > 0


@pytest.mark.parametrize("name", TARGETS)
def test_samples_are_taken(name: str) -> None:
    for sample in TARGETS[name].seeds:
        TARGETS[name].check(sample)
