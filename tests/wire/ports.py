"""Ports for the programs that a test starts."""

from __future__ import annotations

import os
import socket

XDIST = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
SHARE = 40
"""Ports of one test process; each kind of test has its own first port."""


def free_ports(first: int) -> tuple[int, int]:
    """Two that nobody listens on at the moment, from this process's share of those from `first` on."""
    found = []
    for port in range(first + SHARE * XDIST, first + SHARE * (XDIST + 1)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == 2:
            break
    return found[0], found[1]
