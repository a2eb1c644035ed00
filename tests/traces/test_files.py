"""Trace files: what is written is read again; rotated, torn, damaged, refused by the disk."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.model.ids import CallId
from engine.traces.collector import Collector
from engine.traces.entries import CallTrace, Message, Note
from engine.traces.files import FILE_SHARE, TraceWriter, read_trace
from engine.traces.redaction import Keep
from tests.traces.kit import CARRIER, request, short_call

EPOCH_S = float(int(time.time()))
"""Files have the times of the machine."""


class Disk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "traces"
        self.now = EPOCH_S
        self.keep: Keep = "full"
        self._looks = 0
        self._open: list[TraceWriter] = []

    def writer(self, total_bytes: int = 1_000_000, node: str = "n-w1") -> TraceWriter:
        writer = TraceWriter(
            self.folder,
            node,
            lambda: self.keep,
            total_bytes=total_bytes,
            keep_s=7 * 86_400.0,
            clock=self.clock,
            monotonic=lambda: 0.0,
        )
        self._open.append(writer)
        return writer

    def clock(self) -> float:
        """No two looks see the same time."""
        self._looks += 1
        return self.now + (self._looks - 1) / 1024

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*"))

    def close(self) -> None:
        for writer in self._open:
            writer.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    yield disk
    disk.close()


def write(writer: TraceWriter, *call_ids: str) -> None:
    """Write short calls, and wait until they are in the file."""
    collector = Collector()
    for call_id in call_ids:
        short_call(collector, call_id)
    writer.put(collector.take(3.0))
    writer.close()


def read(disk: Disk, call_id: str) -> CallTrace:
    found = read_trace(disk.folder, CallId(call_id))
    assert found is not None
    return found


def test_what_is_written_is_read(disk: Disk) -> None:
    write(disk.writer(), "c1", "c2")
    found = read(disk, "c2")
    assert (found.direction, found.dropped) == ("inbound", 0)
    assert found.roles == {"c2-in": "caller", "c2-out": "callee"}
    words = [item.kind if isinstance(item, Note) else f"{item.way} {item.text[:11]}" for item in found.items]
    assert words == [
        "in INVITE sip:",
        "call_screened",
        "out SIP/2.0 100",
        "out INVITE sip:",
        "in INVITE sip:",
        "in SIP/2.0 200",
        "in BYE sip:2@h",
        "call_ended",
        "out SIP/2.0 200",
    ]
    first = found.items[0]
    assert isinstance(first, Message)
    assert (first.at, first.local, first.remote) == (EPOCH_S + 1.0, "127.0.20.1:5060", "127.0.10.1:5060")
    assert first.text.endswith("\n\nv=0")
    (path,) = disk.files()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(disk.folder.stat().st_mode) & 0o077 == 0


def test_with_headers_only_no_body_reaches_the_disk(disk: Disk) -> None:
    disk.keep = "headers"
    write(disk.writer(), "c1")
    assert b"v=0" not in disk.files()[0].read_bytes()


def test_parts_of_several_workers_and_files_are_put_together(disk: Disk) -> None:
    collector = Collector()
    short_call(collector)
    for _ in range(3):
        writer = disk.writer()
        writer.put(collector.take(3.0))
        writer.close()
        disk.now += 1
        collector.received(request("INFO", "c1-in"), CARRIER, 4.0)
    assert len(disk.files()) == 3
    assert sum(isinstance(item, Message) for item in read(disk, "c1").items) == 7 + 2


@pytest.mark.parametrize("call_id", ["c3", "", "../../etc/passwd", '"', "c1\n", "c"])
def test_what_is_not_there_is_not_found(disk: Disk, call_id: str) -> None:
    assert read_trace(disk.folder, CallId(call_id)) is None
    write(disk.writer(), "c1")
    assert read_trace(disk.folder, CallId(call_id)) is None


def test_a_message_that_looks_like_a_line_of_ours_is_none(disk: Disk) -> None:
    collector = Collector()
    short_call(collector)
    evil = request("INFO", "c1-in") + b'\r\nX: \n{"call_id":"c2","direction":"x","items":[]}\n'
    collector.received(evil, CARRIER, 3.0)
    writer = disk.writer()
    writer.put(collector.take(4.0))
    writer.close()
    assert read_trace(disk.folder, CallId("c2")) is None


def test_a_torn_line_and_a_damaged_one_hide_no_other(disk: Disk) -> None:
    write(disk.writer(), "c1")
    (path,) = disk.files()
    line = path.read_bytes()
    path.write_bytes(b'{"call_id":"c1",nonsense}\n' + line + line[: len(line) // 2])
    assert sum(isinstance(item, Message) for item in read(disk, "c1").items) == 7


def test_the_oldest_files_go_first(disk: Disk) -> None:
    total = 40_000
    for count in range(200):
        write(disk.writer(total_bytes=total), f"c{count}")
        disk.now += 1
    assert sum(path.stat().st_size for path in disk.files()) <= total
    assert read_trace(disk.folder, CallId("c0")) is None
    assert read(disk, "c199").items


def test_one_writer_begins_a_new_file_when_the_last_is_full(disk: Disk) -> None:
    writer = disk.writer(total_bytes=FILE_SHARE * 4_000)
    collector = Collector()
    for count in range(8):
        short_call(collector, f"c{count}")
        writer.put(collector.take(3.0))
    writer.close()
    assert len(disk.files()) > 1
    assert all(path.stat().st_size < 8_000 for path in disk.files())
    assert all(read(disk, f"c{count}").items for count in range(8))


def test_a_disk_that_refuses_costs_messages_and_nothing_else(disk: Disk) -> None:
    disk.folder.write_bytes(b"in the way")
    writer = disk.writer()
    write(writer, "c1")
    assert (writer.written, writer.lost) == (0, 7)


def test_what_is_too_old_goes(disk: Disk) -> None:
    write(disk.writer(), "c1")
    (old,) = disk.files()
    os.utime(old, (EPOCH_S - 8 * 86_400, EPOCH_S - 8 * 86_400))
    disk.now += 1
    write(disk.writer(), "c2")
    assert old not in disk.files()
    assert read(disk, "c2").items
