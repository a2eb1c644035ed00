"""Every ladder ends with the proof that nothing is left of its calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.call.kit import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.settle()
