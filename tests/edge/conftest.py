"""An edge in virtual time, and a phone at it."""

from __future__ import annotations

import pytest

from tests.edge.kit import Lab, Phone, registered


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def newcomer(lab: Lab) -> Phone:
    """Bob's, which has not registered yet."""
    return lab.phone("bob", "192.0.2.20")


@pytest.fixture
def bob(lab: Lab, newcomer: Phone) -> Phone:
    """Registered by UDP."""
    return registered(lab, newcomer)
