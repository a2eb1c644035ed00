"""A link that loses or doubles datagrams by rule, between a SIP peer and its neighbour.

The peer stands at an inner address; the link shows it to the neighbour at an outer one of the same length and
port, and writes the one for the other in what passes (Via, Contact and session description alike), as an ALG
does. A message's fate depends only on how often it was seen, by first line, Call-ID and CSeq (the branch of
an ACK may differ from one to the next), so each run is the same.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Fate = Callable[[int], int]
"""From how often a message was seen in this direction, this time included, to how many copies go on."""

Address = tuple[str, int]


def lost_once(seen: int) -> int:
    """The first copy of every message vanishes: each must be repeated by its sender."""
    return 0 if seen == 1 else 1


def doubled(_seen: int) -> int:
    """Every message arrives twice."""
    return 2


def _identity(data: bytes) -> bytes:
    first, *headers = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return first + b"".join(line for line in headers if line.startswith((b"Call-ID:", b"CSeq:")))


class _End(asyncio.DatagramProtocol):
    """One side of the link: what it receives leaves through the other side."""

    def __init__(self, fate: Fate, old: str, new: str, to: Address) -> None:
        self._fate = fate
        self._old, self._new = old.encode(), new.encode()
        self._to = to
        self._seen: Counter[bytes] = Counter()
        self.onward: asyncio.DatagramTransport | None = None
        self.closed = asyncio.Event()

    def datagram_received(self, data: bytes, _address: Address) -> None:
        assert self.onward is not None
        message = _identity(data)
        self._seen[message] += 1
        for _ in range(self._fate(self._seen[message])):
            self.onward.sendto(data.replace(self._old, self._new), self._to)

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set()


@asynccontextmanager
async def link(inner: Address, outer: Address, neighbour: Address, fate: Fate) -> AsyncIterator[Address]:
    """A link between the peer at `inner`, shown at `outer`, and `neighbour`, while the block lasts.

    Yields where the peer must send its messages. Raises ValueError where replacing one address by the other
    would change a message's length.
    """
    if len(inner[0]) != len(outer[0]) or inner[1] != outer[1]:
        raise ValueError(f"{inner} and {outer} differ in length or port")
    loop = asyncio.get_running_loop()
    outward, inward = _End(fate, inner[0], outer[0], neighbour), _End(fate, outer[0], inner[0], inner)
    near = (inner[0], inner[1] + 1)
    inward.onward, _ = await loop.create_datagram_endpoint(lambda: outward, local_addr=near)
    try:
        outward.onward, _ = await loop.create_datagram_endpoint(lambda: inward, local_addr=outer)
        try:
            yield near
        finally:
            outward.onward.close()
            await inward.closed.wait()
    finally:
        inward.onward.close()
        await outward.closed.wait()
