"""The writer thread: what finds its queue full is lost, and told once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from engine.media.disk import Disk
from engine.model.ids import SessionId
from engine.model.media import AnyMediaEvent, CaptureClosed, CaptureStarted, MediaFailed
from engine.rtp.g711 import Law
from recordings.capture import Capture
from recordings.chain import ChainWriter
from tests.media.harness import record


def test_a_slow_disk_costs_sound_but_never_a_wait(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    events: list[AnyMediaEvent] = []
    ended: list[str] = []
    disk = Disk(
        folder,
        lambda: ChainWriter(folder, "test", heads=tmp_path / "heads", key=tmp_path / "key"),
        events.append,
        most_bytes=8000,
    )
    file = disk.capture(record(), datetime(2026, 1, 1, tzinfo=UTC), (Law.PCMA, Law.PCMA))
    for number in range(20):  # the thread does not run yet: a disk that answers nothing
        file.write([(0, 1000 * number, Law.PCMA, b"\x55" * 1000)])
    file.close("stopped", lambda: ended.append("now"))
    disk.start()
    assert disk.end(30)
    assert [type(event) for event in events] == [CaptureStarted, MediaFailed, CaptureClosed]
    started, failed, closed = events
    assert isinstance(started, CaptureStarted)
    assert isinstance(failed, MediaFailed)
    assert isinstance(closed, CaptureClosed)
    assert (failed.session, failed.reason, failed.detail) == (SessionId("s1"), "disk", "the disk is too slow")
    assert closed.interrupted
    assert ended == ["now"]
    with Capture.open(folder / started.path) as capture:
        assert capture.samples == (8000, 0)
