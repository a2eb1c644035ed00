"""Every command that cannot be carried out is answered, and nothing leaks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import msgspec
import psutil
import pytest

from engine.media.port import MediaWorkerError, WorkerPort
from engine.model.ids import PlaybackId, RecordingId, SessionId
from engine.model.media import (
    AddEndpoint,
    AnyMediaCommand,
    CloseSession,
    Codec,
    MediaFailed,
    OpenSession,
    PlaybackFinished,
    RemoveEndpoint,
    SendDtmf,
    SessionClosed,
    SessionOpened,
    SetRemote,
    StopCapture,
    StopPlayback,
)
from tests.media.harness import (
    FIRST_PORT,
    HOST,
    PCMA,
    RECORDING,
    SESSION,
    Lab,
    MakeLab,
    play,
    record,
    sine,
    talk,
)

pytestmark = pytest.mark.wire


def remote(**values: object) -> SetRemote:
    settled = {"endpoint": "a", "host": HOST, "port": 4000, "codec": PCMA} | values
    return SetRemote(session=SESSION, **settled)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (OpenSession(session=SESSION, endpoints=("x",)), "session_exists"),
        (CloseSession(session=SessionId("other")), "unknown_session"),
        (AddEndpoint(session=SESSION, endpoint="a"), "endpoint_exists"),
        (RemoveEndpoint(session=SESSION, endpoint="x"), "unknown_endpoint"),
        (remote(endpoint="x"), "unknown_endpoint"),
        (remote(host="phone.example"), "bad_address"),
        (remote(host="::1"), "bad_address"),
        (remote(port=0), "bad_address"),
        (remote(codec=Codec("opus", 96, 48000)), "unsupported_codec"),
        (talk(("a", "x")), "unknown_endpoint"),
        (StopPlayback(session=SESSION, playback=PlaybackId("x")), "unknown_playback"),
        (SendDtmf(session=SESSION, endpoint="a", digits="1"), "no_telephone_event"),
        (StopCapture(session=SESSION, recording=RecordingId("x")), "unknown_recording"),
        (record(right="x"), "unknown_endpoint"),
    ],
)
async def test_refusals(lab: Lab, command: AnyMediaCommand, reason: str) -> None:
    await lab.call(a=lab.phone(), b=lab.phone())
    lab.send(remote())
    lab.send(command)
    failed = await lab.expect(MediaFailed)
    assert (failed.command, failed.reason) == (type(command).__name__, reason)
    lab.send(CloseSession(session=SESSION))
    await lab.expect(SessionClosed)


async def test_same_ids_twice(lab: Lab) -> None:
    lab.prompt("hello", sine(440, 1))
    await lab.call(a=lab.phone(), b=lab.phone())
    lab.send(play("hello", "a"), play("hello", "b"), record(), record())
    assert (await lab.expect(MediaFailed)).reason == "playback_exists"
    failed = await lab.expect(MediaFailed)
    assert (failed.reason, failed.recording) == ("recording_exists", RECORDING)


async def test_ports_run_out_and_come_back(make_lab: MakeLab) -> None:
    lab = await make_lab(first_port=FIRST_PORT + 1, last_port=FIRST_PORT + 8)  # three pairs
    lab.send(OpenSession(session=SessionId("one"), endpoints=("a", "b")))
    ports = (await lab.expect(SessionOpened)).ports
    assert ports == {"a": (HOST, FIRST_PORT + 2), "b": (HOST, FIRST_PORT + 4)}
    for _ in range(5):
        lab.send(OpenSession(session=SessionId("two"), endpoints=("a", "b")))
        failed = await lab.expect(MediaFailed)
        assert (failed.session, failed.command, failed.reason) == ("two", "OpenSession", "no_ports")
    lab.send(AddEndpoint(session=SessionId("one"), endpoint="c"))
    assert (await lab.expect(SessionOpened)).ports == {"c": (HOST, FIRST_PORT + 6)}
    lab.send(CloseSession(session=SessionId("one")))
    await lab.expect(SessionClosed)
    for round_ in range(3):  # all of them, each time
        name = SessionId(f"again {round_}")
        lab.send(OpenSession(session=name, endpoints=("a", "b", "c")))
        ports = (await lab.expect(SessionOpened)).ports
        assert {port for _, port in ports.values()} == {FIRST_PORT + 2, FIRST_PORT + 4, FIRST_PORT + 6}
        lab.send(OpenSession(session=SessionId("one too many"), endpoints=("a",)))
        assert (await lab.expect(MediaFailed)).reason == "no_ports"
        lab.send(CloseSession(session=name))
        await lab.expect(SessionClosed)


async def test_many_sessions_leave_nothing_behind(lab: Lab) -> None:
    pid = lab.port.pid
    assert pid is not None
    worker = psutil.Process(pid)

    async def recorded_call(number: int) -> None:
        session, recording = SessionId(f"s{number}"), RecordingId(f"r{number}")
        start = msgspec.structs.replace(record(), session=session, recording=recording)
        lab.send(OpenSession(session=session, endpoints=("a", "b")), start, CloseSession(session=session))
        await lab.expect(SessionClosed)

    await recorded_call(0)  # opens what stays open: the chain
    before = worker.num_fds()
    for number in range(1, 40):
        await recorded_call(number)
    assert worker.num_fds() == before


async def test_a_removed_endpoint_ends_what_it_heard(lab: Lab) -> None:
    lab.prompt("hello", sine(440, 1))
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(talk(("a", "b"), ("b", "a")), play("hello", "b"), RemoveEndpoint(session=SESSION, endpoint="b"))
    assert (await lab.expect(PlaybackFinished)).stopped
    lab.send(AddEndpoint(session=SESSION, endpoint="b"))
    assert set((await lab.expect(SessionOpened)).ports) == {"b"}
    await a.speak(sine(440, 0.1))  # to nobody
    lab.send(CloseSession(session=SESSION))
    assert (await lab.expect(SessionClosed)).statistics["a"].packets_received == 5


async def test_without_a_worker_commands_are_answered(lab: Lab) -> None:
    pid = lab.port.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await lab.until(lambda: lab.port.pid is None)
    lab.send(OpenSession(session=SESSION, endpoints=("a",)))
    assert lab.events == []  # never from inside send
    failed = await lab.expect(MediaFailed)
    assert (failed.command, failed.reason) == ("OpenSession", "no_worker")


async def test_a_worker_that_cannot_start_is_an_error(lab: Lab) -> None:
    settings = msgspec.structs.replace(lab.settings, host="192.0.2.1")
    with pytest.raises(MediaWorkerError, match="does not start"):
        await WorkerPort.start(settings, lab.on_event)


ENGINE = """
import asyncio, sys, msgspec
from engine.media.port import WorkerPort
from engine.media.settings import WorkerSettings

async def main():
    port = await WorkerPort.start(msgspec.json.decode(sys.argv[1], type=WorkerSettings), print)
    print(port.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_the_worker_does_not_outlive_its_engine(lab: Lab) -> None:
    settings = msgspec.structs.replace(lab.settings, name="test.other", first_port=30_100, last_port=30_120)
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENGINE, msgspec.json.encode(settings).decode(), stdout=asyncio.subprocess.PIPE
    )
    assert engine.stdout is not None
    worker = psutil.Process(int(await engine.stdout.readline()))
    engine.kill()
    await engine.wait()
    await asyncio.to_thread(worker.wait, 10)
    assert not worker.is_running()
