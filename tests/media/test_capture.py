"""Recordings of real packets by a real worker."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import pairwise

import numpy as np
import psutil
import pytest

from engine.model.media import (
    CaptureClosed,
    CaptureStarted,
    CloseSession,
    MediaFailed,
    SessionClosed,
    StopCapture,
    WorkerLost,
)
from engine.rtp import g711
from recordings.capture import Capture
from recordings.manifest import decode_manifest, manifest_path
from recordings.verify import verify
from tests.media.harness import (
    BOTH_WAYS,
    PCMU,
    RECORDING,
    SESSION,
    STRANGER,
    Lab,
    MakeLab,
    loudest_hz,
    play,
    record,
    sine,
)

pytestmark = pytest.mark.wire


def sound(lab: Lab, path: str) -> tuple[g711.Samples, g711.Samples]:
    """Both channels of a recording."""
    with Capture.open(lab.recordings / path) as capture:
        pcm, rate_hz = capture.pcm()
    assert rate_hz == 8000
    return pcm[:, 0], pcm[:, 1]


def runs(channel: g711.Samples) -> list[tuple[float, float]]:
    """Start and end in seconds of what is not silence, in steps of 20 ms."""
    frames = channel[: len(channel) // 160 * 160].reshape(-1, 160).astype(int)
    loud = np.concatenate(([0], np.max(np.abs(frames), axis=1) > 200, [0])).astype(int)
    edges = np.flatnonzero(np.diff(loud)) * 0.02
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


async def test_each_side_in_its_channel_at_its_time(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone(PCMU)
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record())
    started = await lab.expect(CaptureStarted)
    assert (started.recording, started.path[:8]) == (RECORDING, "default/")
    stranger = lab.phone(host=STRANGER)
    stranger.engine = a.engine
    await asyncio.sleep(0.05)  # the first packet holds what was spoken before it came
    await asyncio.gather(a.speak(sine(440, 1.0)), stranger.speak(sine(2000, 0.5)))
    await asyncio.sleep(0.3)
    await b.speak(sine(1000, 0.5))
    lab.send(StopCapture(session=SESSION, recording=RECORDING))
    closed = await lab.expect(CaptureClosed)
    left, right = sound(lab, closed.path)
    ((left_from, left_to),) = runs(left)
    ((right_from, right_to),) = runs(right)
    assert left_to - left_from == pytest.approx(1.0, abs=0.03)
    assert right_to - right_from == pytest.approx(0.5, abs=0.03)
    assert right_from - left_to == pytest.approx(0.3, abs=0.1)
    spoken = left[round(left_from * 8000) : round(left_to * 8000)]
    assert loudest_hz(spoken) == pytest.approx(440, abs=2)
    assert loudest_hz(right[round(right_from * 8000) : round(right_to * 8000)]) == pytest.approx(1000, abs=3)
    # Jitter leaves no trace: what was sent is found sample for sample, without the stranger.
    sent = g711.decode(b"".join(a.sent), g711.Law.PCMA)
    first = int(np.flatnonzero(left)[0]) - int(np.flatnonzero(sent)[0])
    assert np.array_equal(left[first : first + len(sent)], sent)
    assert closed.duration_ms == pytest.approx(len(left) / 8, abs=1)
    assert not closed.interrupted
    manifest = decode_manifest(manifest_path(lab.recordings / closed.path).read_bytes())
    assert (manifest.sha256, manifest.bytes) == (closed.digest, closed.size_bytes)


async def test_the_chain_vouches_for_the_recording(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record())
    await a.speak(sine(440, 0.1))
    lab.send(CloseSession(session=SESSION))
    closed = await lab.expect(CaptureClosed)
    await lab.expect(SessionClosed)
    assert lab.history[-3:] == [CaptureStarted, CaptureClosed, SessionClosed]
    await lab.close()
    report = verify(lab.recordings)
    assert report.ok, report
    path = lab.recordings / closed.path
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert not verify(lab.recordings).ok


async def test_prompts_are_recorded_only_where_asked(lab: Lab) -> None:
    lab.prompt("notice", sine(700, 0.6))
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record(with_prompts=True), record(recording="plain"))
    await lab.settle()
    lab.send(play("notice", "b"))
    await asyncio.gather(a.speak(sine(440, 1.0)), b.speak(sine(1500, 1.0)))
    lab.send(CloseSession(session=SESSION))
    closed = {event.recording: event for event in [await lab.expect(CaptureClosed) for _ in range(2)]}
    left, right = sound(lab, closed[RECORDING].path)
    _, plain_right = sound(lab, closed["plain"].path)

    def share(wave: g711.Samples, frequency_hz: float) -> float:
        piece = wave[1600:4000].astype(float)
        time = np.arange(len(piece)) / 8000
        return float(abs(np.dot(piece, np.exp(-2j * np.pi * frequency_hz * time))) / len(piece) * 2)

    assert share(right, 700) == pytest.approx(8000, rel=0.05)
    assert share(right, 1500) == pytest.approx(8000, rel=0.05)
    assert share(plain_right, 700) < 200
    assert share(left, 700) < 200
    assert share(left, 440) == pytest.approx(8000, rel=0.05)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
async def test_a_lost_worker_leaves_a_playable_recording(lab: Lab, how: signal.Signals) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record())
    path = (await lab.expect(CaptureStarted)).path
    await a.speak(sine(440, 2.5))
    first = lab.port.pid
    assert first is not None
    os.kill(first, how)
    assert (await lab.expect(WorkerLost)).session == SESSION
    left, _ = sound(lab, path)
    assert len(left) >= 2 * 8000 - 3200
    assert loudest_hz(left[-8000:]) == pytest.approx(440, abs=2)
    # The next worker repairs it, tells of it, and works.
    closed = await lab.expect(CaptureClosed)
    assert (closed.session, closed.recording, closed.path, closed.interrupted) == (
        SESSION,
        RECORDING,
        path,
        True,
    )
    lab.send(CloseSession(session=SESSION))
    assert (await lab.expect(MediaFailed)).reason in ("no_worker", "unknown_session")
    await lab.until(lambda: lab.port.pid is not None)
    assert lab.port.pid != first
    why = "died" if how is signal.SIGKILL else "did not answer for 3 s and was killed"
    await lab.until(lambda: len(lab.alarms) == 2)
    assert lab.alarms == [
        ("media_failed", f"the media worker {first} {why}; 1 sessions ended"),
        ("media_recovered", f"the media worker {lab.port.pid} works"),
    ]
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS)
    await lab.settle()
    b.heard.clear()
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 5)


async def test_an_unusable_disk_does_not_stop_the_call(lab: Lab) -> None:
    lab.recordings.parent.mkdir(exist_ok=True)
    lab.recordings.mkdir(exist_ok=True)
    (lab.recordings / "default").write_text("a file where a folder should be")
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record())
    failed = await lab.expect(MediaFailed)
    assert (failed.command, failed.reason, failed.recording) == ("StartCapture", "disk", RECORDING)
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 5)
    lab.send(CloseSession(session=SESSION))
    await lab.expect(SessionClosed)


async def test_a_disk_that_fills_up_is_told_once_and_keeps_what_it_has(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record())
    path = (await lab.expect(CaptureStarted)).path
    assert lab.port.pid is not None
    psutil.Process(lab.port.pid).rlimit(psutil.RLIMIT_FSIZE, (12_000, 12_000))
    await a.speak(sine(440, 3.2))
    failed = await lab.expect(MediaFailed)
    assert (failed.reason, failed.recording) == ("disk", RECORDING)
    await lab.until(lambda: len(b.heard) == 160)
    assert not [event for event in lab.events if isinstance(event, MediaFailed)]
    left, _ = sound(lab, path)
    assert len(left) >= 4000
    assert loudest_hz(left[-4000:]) == pytest.approx(440, abs=3)
    lab.send(CloseSession(session=SESSION))
    await lab.expect(SessionClosed)


async def test_names_from_outside_do_not_become_paths(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(record(tenant="../.."))
    assert (await lab.expect(MediaFailed)).reason == "bad_name"
    lab.send(record(recording="r2", number_ids=("13800138000", "")))
    assert (await lab.expect(MediaFailed)).reason == "bad_name"


async def test_a_recording_goes_on_when_a_leg_is_replaced(lab: Lab) -> None:
    a, b, c = lab.phone(), lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record())
    await b.speak(sine(1000, 0.3))
    lab.send(lab.remote("b", c))  # the same endpoint, another phone
    await lab.settle()
    c.engine = b.engine
    await asyncio.sleep(0.2)
    await c.speak(sine(1600, 0.3))
    lab.send(CloseSession(session=SESSION))
    _, right = sound(lab, (await lab.expect(CaptureClosed)).path)
    pieces = runs(right)
    assert len(pieces) == 2
    (_, first_end), (second_start, _) = pieces
    assert second_start - first_end == pytest.approx(0.2, abs=0.1)
    pitches = [loudest_hz(right[round(start * 8000) : round(end * 8000)]) for start, end in pieces]
    assert pitches == [pytest.approx(1000, abs=5), pytest.approx(1600, abs=5)]
    assert all(before[1] <= after[0] for before, after in pairwise(pieces))


async def test_closing_the_port_closes_recordings(make_lab: MakeLab) -> None:
    lab = await make_lab()
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, record())
    await a.speak(sine(440, 0.3))
    await lab.until(lambda: len(b.heard) == 15)
    await lab.close()
    closed = await lab.expect(CaptureClosed)
    assert not closed.interrupted
    left, _ = sound(lab, closed.path)
    assert len(left) >= 2400 - 160  # spoken from the first moment on
