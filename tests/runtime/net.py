"""Loopback addresses of this test process's own, and peers on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from engine.call.leg_events import LegAnswered, LegEvent
from engine.call.legs import Leg, OutgoingLeg
from engine.model.address import Address
from engine.model.media import Codec
from engine.rtp.g711 import Samples
from engine.runtime.rtp_stream import RtpStream
from engine.runtime.user_agent import UserAgent
from engine.sdp import Direction, audio_target, build_offer, choose_codec, parse
from engine.sip.uri import NameAddr, Uri

XDIST = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PATIENCE_S = 20.0
PCMA = Codec("PCMA", 8)
_hosts = itertools.cycle(range(1, 250))

E = TypeVar("E", bound=LegEvent)


def host() -> str:
    """An address that no other test uses at the moment, even where the same tests run twice at once."""
    return f"127.{150 + XDIST}.{os.getpid() % 250}.{next(_hosts)}"


def tone(seconds: float) -> Samples:
    time = np.arange(round(seconds * 8000)) / 8000
    return (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)


def prompt(path: Path, seconds: float = 0.06) -> Path:
    soundfile.write(path, tone(seconds), 8000, subtype="PCM_16")
    return path


class Caller:
    """A user agent that makes one call, and what it is told about it."""

    def __init__(self, address: str | None = None) -> None:
        self.user_agent = UserAgent(Address(address or host(), 0), lambda leg: None)
        self.rtp = RtpStream(self.user_agent.address.host)
        self.leg: OutgoingLeg | None = None
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()

    def call(self, to: Address, headers: list[tuple[str, str]], body: bytes | None = None) -> None:
        def begin() -> None:
            me = NameAddr(None, Uri("sip", "engine", self.user_agent.address.host))
            description = body if body is not None else self.offer
            self.leg = self.user_agent.core.call(to, "agent", me, description, self._heard, headers=headers)

        self.user_agent.act(begin)

    def offer(self, leg: Leg, direction: Direction = Direction.SENDRECV) -> bytes:
        address = self.rtp.address
        return build_offer(address.host, address.port, (PCMA,), leg.next_origin(), direction=direction)

    def _heard(self, leg: Leg, event: LegEvent) -> None:
        if isinstance(event, LegAnswered):
            leg.acknowledge()
            target = audio_target(parse(event.body))
            assert target is not None
            codec = choose_codec(target)
            assert codec is not None
            self.rtp.start(target.host, target.port, codec, target.telephone_event)
        self._events.put_nowait(event)

    async def told(self, kind: type[E]) -> E:
        """The next event of that kind; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event = await self._events.get()
                if isinstance(event, kind):
                    return event

    def hang_up(self) -> None:
        leg = self.leg
        assert leg is not None
        self.user_agent.act(leg.hang_up)

    def close(self) -> None:
        self.rtp.close()
        self.user_agent.close()


class Socket:
    """A bare UDP socket for what a peer writes by hand."""

    def __init__(self, address: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._socket.setblocking(False)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        self._socket.sendto(data, to)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.get_running_loop().sock_recv(self._socket, 65_535)

    def unread(self) -> list[bytes]:
        """What has arrived and nobody has read."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(65_535))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()
