"""An edge in virtual time, and a phone at it."""

from __future__ import annotations

import pytest

from tests.edge.kit import Lab, Phone


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def bob(lab: Lab) -> Phone:
    """Registered by UDP."""
    phone = lab.phone("bob", "192.0.2.20")
    phone.register()
    lab.ladder()
    return phone
