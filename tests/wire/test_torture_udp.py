"""Each message of RFC 4475 and RFC 5118 in a datagram of its own gets the outcome that the table names."""

from __future__ import annotations

import re

import pytest

from tests.runtime.bench import Bench
from tests.runtime.net import Socket
from tests.sip.test_torture import CALL, DROPPED, MESSAGES, TABLE

pytestmark = pytest.mark.wire

_VIA_PORT = re.compile(
    rb"^(?:via|v)\s*:\s*SIP\s*/\s*2\.0\s*/\s*\S+\s+(?:\[[^]]*\]|[^\s:;,]+)\s*:\s*([0-9]+)",
    re.IGNORECASE | re.MULTILINE,
)


@pytest.mark.parametrize("name", MESSAGES)
async def test_by_udp(name: str) -> None:
    bench, data, expected = Bench(), MESSAGES[name].data, TABLE[name].engine
    port = _VIA_PORT.search(data)
    # the answer goes to the source's address, by the port that the Via names (RFC 3261 §18.2.2)
    peer = Socket(bench.carrier.address[0], int(port[1]) if port is not None else 5060)
    peer.send(data, bench.target)
    if expected == DROPPED:
        await bench.alive()
        assert peer.unread() == []
    else:
        status = 100 if expected == CALL else expected
        # what is wrong with a request may stand in its answer too: only the status line can be relied on
        assert (await peer.receive()).startswith(f"SIP/2.0 {status} ".encode())
    if expected == CALL:
        assert (await bench.phone.receive()).startswith(b"INVITE ")
    await bench.alive()
    peer.close()
    await bench.close()
