"""Two user agents and a stranger on a network in virtual time."""

from __future__ import annotations

import pytest

from tests.sip.kit import ALICE, BOB, PEER, Host, Net


@pytest.fixture
def net() -> Net:
    net = Net()
    net.stranger("P", PEER)
    return net


@pytest.fixture
def alice(net: Net) -> Host:
    return net.host("A", ALICE)


@pytest.fixture
def bob(net: Net) -> Host:
    return net.host("B", BOB)
