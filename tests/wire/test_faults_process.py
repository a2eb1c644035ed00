"""An engine that is told to stop, and one that is killed, with calls up and recordings open."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.app.closing import GRACE, Closing
from engine.app.config import load_config
from engine.app.shipping import Shipping
from engine.call.leg_events import LegAnswered, LegEvent
from engine.call.legs import IncomingLeg, Leg, Listener, OutgoingLeg
from engine.model.address import Address
from engine.model.events import CallEnded, PolicyLoaded, Record, RecordingStarted
from engine.model.ids import NumberId, RecordingId, TenantId
from engine.runtime.rtp_stream import RtpStream
from engine.runtime.user_agent import UserAgent
from engine.sdp import audio_target, build_answer, build_offer, choose_codec, parse
from engine.sip.message import Response
from engine.sip.uri import NameAddr, Uri
from engine.store.entries import LeadRule, RecordingEntry
from engine.store.store import Store
from lab.peers.ringward import Site
from lab.soak.system import System
from lab.soak.traffic import PCMA, Traffic
from recordings.archive import Archive
from recordings.capture import Capture
from tests.wire.ports import XDIST, free_ports

pytestmark = pytest.mark.wire

SITE = Site(f"127.{70 + XDIST}")
ENGINE = Address(SITE.engine, 5060)
PATIENCE_S = 30.0
LAB = TenantId("lab")
WARNED = "+8617000000003"
"""In lab/numbers.csv: the callee is warned, and the call is recorded."""


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(SITE, tmp_path, free_ports(25_000))
    yield system
    await system.stop()


@pytest.fixture
async def traffic() -> AsyncIterator[Traffic]:
    traffic = Traffic(SITE.carrier, SITE.access, ENGINE, hold_s=2.0)
    yield traffic
    traffic.close()


async def until(said: str, holds: Callable[[], bool]) -> None:
    """Wait until `holds()` is true."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if holds():
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(said) from None


# --- SIGTERM ---


async def test_calls_that_are_up_go_on_until_they_end(system: System, traffic: Traffic) -> None:
    await system.start_engine_alone(sip__drain_s="30")
    traffic.place()
    await until("the call was not answered", lambda: traffic.statuses[200] == 1)
    os.kill(system.engine.pid, signal.SIGTERM)
    await asyncio.sleep(0.3)
    traffic.place()
    await until("the late call was not refused", lambda: sum(traffic.statuses.values()) == 2)
    traffic.place("110")
    await until("the emergency call was not taken", lambda: sum(traffic.statuses.values()) == 3)
    assert traffic.statuses == {200: 2, 503: 1}
    await traffic.finish()
    assert traffic.cut == 0
    assert await system.engine.ended(PATIENCE_S) == 0
    outcomes = [str(r.event.outcome) for r in system.journal() if isinstance(r.event, CallEnded)]
    assert sorted(outcomes) == ["caller/hung_up", "caller/hung_up", "engine/shutdown"]


@pytest.mark.parametrize("signals", [1, 2], ids=["at the limit", "at the second signal"])
async def test_then_they_are_told_goodbye(system: System, signals: int) -> None:
    await system.start_engine_alone(sip__drain_s="1" if signals == 1 else "600")
    traffic = Traffic(SITE.carrier, SITE.access, ENGINE, hold_s=600.0)
    try:
        traffic.place()
        await until("the call was not answered", lambda: traffic.statuses[200] == 1)
        for _ in range(signals):
            os.kill(system.engine.pid, signal.SIGTERM)
            await asyncio.sleep(0.2)
        await traffic.finish()
        assert traffic.cut == 1
        assert await system.engine.ended(PATIENCE_S) == 0
    finally:
        traffic.close()
    (ended,) = [record.event for record in system.journal() if isinstance(record.event, CallEnded)]
    assert str(ended.outcome) == "engine/shutdown"


# --- silence, and kill -9 ---


class RecordedCall:
    """A warned call: the callee presses 1, and both sides speak from then on."""

    def __init__(self) -> None:
        self.caller: OutgoingLeg | None = None
        self._carrier = UserAgent(Address(SITE.carrier, 5060), lambda leg: None)
        self._access = UserAgent(Address(SITE.access, 5060), self._answer)
        self._said = RtpStream(SITE.carrier)
        self._heard = RtpStream(SITE.access)
        self.answered = asyncio.Event()

    def place(self) -> None:
        def begin() -> None:
            me = NameAddr(None, Uri("sip", WARNED, SITE.carrier))
            self.caller = self._carrier.core.call(ENGINE, "13900000002", me, self._offer, self._told)

        self._carrier.act(begin)

    async def recorded(self, system: System) -> None:
        """Place it, until its recording has begun."""
        self.place()
        async with asyncio.timeout(PATIENCE_S):
            await self.answered.wait()
        await until(
            "no recording began",
            lambda: any(isinstance(record.event, RecordingStarted) for record in system.journal()),
        )

    def _offer(self, leg: OutgoingLeg) -> bytes:
        return build_offer(SITE.carrier, self._said.address.port, (PCMA,), leg.next_origin())

    def _told(self, leg: Leg, event: LegEvent) -> None:
        if isinstance(event, LegAnswered):
            leg.acknowledge()
            _speak(self._said, event.body)
            self.answered.set()

    def _answer(self, leg: IncomingLeg) -> Listener:
        def answer() -> None:
            offer = parse(leg.request.body)
            port = self._heard.address.port
            leg.answer(build_answer(offer, SITE.access, port, PCMA, leg.next_origin(), telephone_event=101))
            _speak(self._heard, leg.heard_body)
            self._heard.press("1")

        asyncio.get_running_loop().call_soon(lambda: self._access.act(answer))
        return lambda leg, event: None

    def fall_silent(self) -> None:
        """The caller's packets stop, and nothing says why."""
        self._said.be_quiet()
        self._said.close()

    async def ask(self) -> int:
        """The status of a request inside the caller's dialog."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        leg = self.caller
        assert leg is not None

        def heard(response: Response | None, failure: str) -> None:
            if response is not None and response.status >= 200 and not answer.done():
                answer.set_result(response.status)

        self._carrier.act(lambda: leg.send("OPTIONS", heard))
        return await asyncio.wait_for(answer, PATIENCE_S)

    def close(self) -> None:
        for part in (self._said, self._heard, self._carrier, self._access):
            part.close()


def _speak(stream: RtpStream, body: bytes) -> None:
    target = audio_target(parse(body))
    assert target is not None
    codec = choose_codec(target)
    assert codec is not None
    stream.start(target.host, target.port, codec, target.telephone_event)


async def test_a_side_that_falls_silent_ends_the_call(system: System) -> None:
    await system.start_engine_alone(media__rtp_timeout_s="2")
    call = RecordedCall()
    try:
        await call.recorded(system)
        call.fall_silent()
        ends: list[str] = []

        def over() -> bool:
            ends[:] = [str(r.event.outcome) for r in system.journal() if isinstance(r.event, CallEnded)]
            return bool(ends)

        await until("the call did not end", over)
    finally:
        call.close()
    assert ends == ["upstream/rtp_timeout"]


@pytest.mark.parametrize("worker_too", [False, True], ids=["engine", "engine and media worker"])
async def test_a_killed_engine_comes_back_and_knows_what_it_lost(system: System, worker_too: bool) -> None:
    await system.start_engine_alone()
    call = RecordedCall()
    try:
        await call.recorded(system)
        await asyncio.sleep(2.5)  # of speech: chunks of a second are on the disk
        assert await call.ask() == 200
        worker = system.media_worker()
        os.kill(system.engine.pid, signal.SIGKILL)
        if worker_too:
            os.kill(worker, signal.SIGKILL)
        await system.engine.ended(PATIENCE_S)
        await system.start_engine()
        assert await call.ask() == 481
    finally:
        call.close()
    rule = LeadRule()
    async with await Store.open(system.store_url, file_number=number_id, lead_rule=rule) as store:
        await ship_everything(system, store)
        assert [(ended, outcome) for _, ended, outcome in await system.stored_calls()] == [(True, "internal")]
        found, sound_s = await close_recording(system, store)
    assert found.interrupted
    assert found.duration_ms > 0
    assert sound_s > 0


def number_id(tenant: TenantId, number: str) -> NumberId:
    return NumberId(number)


async def ship_everything(system: System, store: Store) -> None:
    """Until the store knows of the engine's second boot."""
    second = asyncio.Event()

    def shipped(new: Sequence[Record]) -> None:
        if any(isinstance(record.event, PolicyLoaded) and booted(record) > 1 for record in new):
            second.set()

    boots: list[int] = []

    def booted(record: Record) -> int:
        if record.id.boot not in boots:
            boots.append(record.id.boot)
        return len(boots)

    shipping = Shipping(system.data / "journal", store, LAB, shipped)
    running = asyncio.create_task(shipping.run())
    try:
        await asyncio.wait_for(second.wait(), PATIENCE_S)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        shipping.close()


async def close_recording(system: System, store: Store) -> tuple[RecordingEntry, float]:
    """As the centre does half a minute later: the recording, and how many seconds of sound it has."""
    config = load_config(overrides=[f"data.folder={system.data}", "tenant=lab"], environment={})
    archive, done = Archive(config.recordings_folder), list[str]()
    later = datetime.now(UTC) + 2 * GRACE
    closing = Closing(config, store.recordings, archive, lambda: later, done.append)
    async with asyncio.timeout(PATIENCE_S):
        while not done:
            await closing.look()
            await asyncio.sleep(0.1)
    found = await store.recordings.get_recording(LAB, RecordingId(done[0]))
    assert found is not None
    with Capture.open(archive.locate(found.path)) as capture:
        sound, rate_hz = capture.pcm()
    return found, len(sound) / rate_hz
