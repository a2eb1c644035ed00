"""A real media worker and phones made of bare sockets, on loopback addresses of this test process's own."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from engine.media.port import WorkerPort
from engine.media.settings import WorkerSettings
from engine.model.ids import PlaybackId, RecordingId, SessionId, TenantId
from engine.model.media import (
    AnyMediaCommand,
    AnyMediaEvent,
    Codec,
    MediaFailed,
    OpenSession,
    Play,
    Route,
    SessionOpened,
    SetRemote,
    SetRoutes,
    StartCapture,
    StopPlayback,
)
from engine.rtp import g711, packet
from engine.rtp.events import EventSender
from engine.rtp.g711 import Law
from engine.rtp.packet import Packet

XDIST = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_NET = f"127.{100 + XDIST}.{os.getpid() % 250}"
"""Of this test process alone, even where the same tests run twice at once."""
HOST = f"{_NET}.1"
STRANGER = f"{_NET}.2"
FIRST_PORT, LAST_PORT = 30_000, 30_039

PCMA, PCMU = Codec("PCMA", 8), Codec("PCMU", 0)
EVENT = 101
SESSION = SessionId("s1")
RECORDING = RecordingId("r1")
TENANT = TenantId("default")

E = TypeVar("E", bound=AnyMediaEvent)
_ssrcs = itertools.count(1000)
_hosts = itertools.cycle(range(10, 250))


def sine(frequency_hz: float, duration_s: float, peak: int = 8000) -> g711.Samples:
    time = np.arange(round(duration_s * 8000)) / 8000
    return (peak * np.sin(2 * np.pi * frequency_hz * time)).astype(np.int16)


def loudest_hz(samples: g711.Samples) -> float:
    """Frequency of the strongest tone."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * 8000 / len(samples))


@dataclass
class Phone:
    """A socket that speaks frames of a tone every 20 ms and keeps what it hears."""

    codec: Codec
    socket: socket.socket
    engine: tuple[str, int] = ("", 0)
    heard: list[Packet] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """Payloads."""
    ssrc: int = field(default_factory=lambda: next(_ssrcs))
    sequence: int = 100
    timestamp: int = 160_000

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()
        return host, port

    def send(self, payload: bytes, *, payload_type: int | None = None, samples: int = 160) -> None:
        kind = self.codec.payload_type if payload_type is None else payload_type
        data = packet.build(Packet(kind, False, self.sequence, self.timestamp, self.ssrc, payload))
        self.socket.sendto(data, self.engine)
        self.sent.append(payload)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + samples) & 0xFFFF_FFFF

    async def speak(self, samples: g711.Samples) -> None:
        """In real time."""
        payload = g711.encode(samples, Law.of(self.codec.name))
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number, at in enumerate(range(0, len(payload), 160)):
            await asyncio.sleep(max(0.0, start + number * 0.02 - loop.time()))
            self.send(payload[at : at + 160])

    async def press(self, digit: str, duration_ms: int = 100) -> None:
        """As RFC 4733 has it: one timestamp, three end packets."""
        sender = EventSender()
        sender.press(digit, duration_ms, pause_ms=0)
        while sender:
            event = sender.next()
            assert event is not None
            self.send(event.payload, payload_type=EVENT, samples=0)
            await asyncio.sleep(0.02)
        self.timestamp += duration_ms * 8

    def audio(self, since: int = 0) -> g711.Samples:
        """Everything heard, end to end."""
        law = Law.of(self.codec.name)
        speech = [p.payload for p in self.heard[since:] if p.payload_type == self.codec.payload_type]
        return g711.decode(b"".join(speech), law)

    def _readable(self) -> None:
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                return
            heard = packet.parse(data)
            assert heard is not None
            self.heard.append(heard)


class Lab:
    """One media worker, driven as the call logic drives it."""

    def __init__(self, folder: Path, settings: WorkerSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.recordings = Path(settings.recordings_folder)
        self.events: list[AnyMediaEvent] = []
        self.history: list[type[AnyMediaEvent]] = []
        self.alarms: list[tuple[str, str]] = []
        self.port: WorkerPort
        self._news = asyncio.Event()
        self._phones: list[Phone] = []

    def on_event(self, event: AnyMediaEvent) -> None:
        self.events.append(event)
        self.history.append(type(event))
        self._news.set()

    def on_alarm(self, slug: str, detail: str) -> None:
        self.alarms.append((slug, detail))
        self._news.set()

    def send(self, *commands: AnyMediaCommand) -> None:
        for command in commands:
            self.port.send(command)

    async def expect(self, kind: type[E], timeout_s: float = 10.0) -> E:
        """The next event of this kind, taken out of the list."""
        async with asyncio.timeout(timeout_s):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        self.events.remove(event)
                        return event
                self._news.clear()
                await self._news.wait()

    async def settle(self) -> None:
        """Wait until the commands sent so far are carried out."""
        self.send(StopPlayback(session=SESSION, playback=PlaybackId("no such")))
        await self.expect(MediaFailed)

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait for packets: they come without an event of the worker."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 (packets come by a reader, not by a task)
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.03)  # one too many would show now

    def phone(self, codec: Codec = PCMA, host: str | None = None) -> Phone:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((host or f"{_NET}.{next(_hosts)}", 0))
        opened.setblocking(False)
        phone = Phone(codec, opened)
        self._phones.append(phone)
        asyncio.get_running_loop().add_reader(opened, phone._readable)
        return phone

    async def call(self, **phones: Phone) -> dict[str, tuple[str, int]]:
        """Open a session with these endpoints and tell the worker of the phones."""
        self.send(OpenSession(session=SESSION, endpoints=tuple(phones)))
        ports = (await self.expect(SessionOpened)).ports
        for name, phone in phones.items():
            phone.engine = ports[name]
            self.send(self.remote(name, phone))
        return ports

    def remote(self, name: str, phone: Phone, **changes: object) -> SetRemote:
        host, port = phone.address
        values = {"host": host, "port": port, "codec": phone.codec, "telephone_event": EVENT} | changes
        return SetRemote(session=SESSION, endpoint=name, **values)  # type: ignore[arg-type]

    def prompt(self, slug: str, samples: g711.Samples, language: str = "en") -> None:
        """Render a prompt before it is first played."""
        path = Path(self.settings.prompts_folder) / language / f"{slug}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 8000, format="FLAC", subtype="PCM_16")

    async def close(self) -> None:
        await self.port.close()
        for phone in self._phones:
            asyncio.get_running_loop().remove_reader(phone.socket)
            phone.socket.close()
        self._phones.clear()


def talk(*pairs: tuple[str, str]) -> SetRoutes:
    """Each source heard by its destination."""
    return SetRoutes(
        session=SESSION, routes=tuple(Route(source, destination) for source, destination in pairs)
    )


BOTH_WAYS = talk(("a", "b"), ("b", "a"))


def play(slug: str, endpoint: str, **values: object) -> Play:
    settled = {"playback": PlaybackId("p1"), "language": "en", "prompts": (slug,)} | values
    return Play(session=SESSION, endpoint=endpoint, **settled)  # type: ignore[arg-type]


def record(**values: object) -> StartCapture:
    settled = {
        "recording": RECORDING,
        "tenant": TENANT,
        "call_id": "call-1",
        "left": "a",
        "right": "b",
    } | values
    return StartCapture(session=SESSION, **settled)  # type: ignore[arg-type]


MakeLab = Callable[..., Awaitable[Lab]]
