"""The call-back windows after emergency calls, in memory and in a file that processes share (RFC 7090)."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.model.screening import Direction, Facts
from engine.runtime import callbacks
from engine.runtime.callbacks import SIZE, SLOTS, Callbacks
from scoring.numbers import Number, Numbering

KEY = b"k" * 32
WINDOW_S = 1800.0
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NUMBER = "+8613800138000"


def number(text: str = NUMBER) -> Number:
    return Numbering().of_user(text)


def call(at: datetime = START, calling: str = NUMBER) -> Facts:
    return Facts("t", Direction.OUTBOUND, number(calling), number("110"), at)


def opened(path: Path | None = None, tenant: str = "t") -> Callbacks:
    return Callbacks(KEY, tenant, WINDOW_S, path)


@pytest.mark.parametrize("kept", [False, True])
def test_a_window_opens_and_closes(tmp_path: Path, kept: bool) -> None:
    windows = opened(tmp_path / "callbacks" if kept else None)
    assert not windows.is_open(number(), START)
    windows.note(call())
    for after_s, expected in ((0, True), (WINDOW_S, True), (WINDOW_S + 1, False)):
        assert windows.is_open(number(), START + timedelta(seconds=after_s)) is expected
    assert not windows.is_open(number("+8613800138001"), START)


def test_it_is_quiet_from_the_end_of_the_last_window_to_the_next_call() -> None:
    windows = opened()
    assert windows.quiet(START)
    windows.note(call())
    assert not windows.quiet(START) and not windows.quiet(START + timedelta(seconds=WINDOW_S))
    assert windows.quiet(START + timedelta(seconds=WINDOW_S + 1))


def test_a_clock_that_leaps_for_a_moment_closes_no_window() -> None:
    windows = opened()
    windows.note(call())
    assert not windows.is_open(number(), START + timedelta(days=1))
    assert windows.is_open(number(), START) and not windows.quiet(START)


def test_a_second_call_prolongs_it() -> None:
    windows = opened()
    later = START + timedelta(seconds=WINDOW_S)
    windows.note(call())
    windows.note(call(later))
    assert windows.is_open(number(), later + timedelta(seconds=WINDOW_S))


def test_all_workers_see_it_at_once_and_the_next_start_does(tmp_path: Path) -> None:
    path = tmp_path / "callbacks"
    one, other = opened(path), opened(path)
    one.note(call())
    assert other.is_open(number(), START)
    one.close()
    other.close()
    assert opened(path).is_open(number(), START)


def test_a_killed_worker_takes_nothing_with_it(tmp_path: Path) -> None:
    path = tmp_path / "callbacks"
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.runtime.test_callbacks import call, opened\n"
        "opened(Path(sys.argv[1])).note(call())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False, cwd=Path.cwd())
    assert ended.returncode == -9
    assert opened(path).is_open(number(), START)


def test_no_number_is_on_the_disk_and_the_key_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "callbacks"
    opened(path).note(call())
    data = path.read_bytes()
    assert b"3800138000" not in data and (13800138000).to_bytes(8, "little") not in data
    assert path.stat().st_mode & 0o077 == 0
    assert not Callbacks(b"x" * 32, "t", WINDOW_S, path).is_open(number(), START)
    assert not opened(path, "other tenant").is_open(number(), START)


def test_the_size_is_bounded_and_the_oldest_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "BUCKETS", 1)
    path = tmp_path / "callbacks"
    windows = opened(path)
    numbers = [f"+86138001380{at:02}" for at in range(SLOTS + 1)]
    for at, calling in enumerate(numbers):
        windows.note(call(START + timedelta(seconds=at), calling))
    end = START + timedelta(seconds=SLOTS)
    assert [windows.is_open(number(each), end) for each in numbers] == [False] + [True] * SLOTS
    assert path.stat().st_size == SIZE


@pytest.mark.parametrize("at", range(16, 32))
def test_half_a_record_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    monkeypatch.setattr(callbacks, "BUCKETS", 1)
    path = tmp_path / "callbacks"
    opened(path).note(call())
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    damaged = opened(path)
    assert not damaged.is_open(number(), START)
    damaged.note(call())
    assert damaged.is_open(number(), START)


def test_a_clock_that_is_set_back_neither_closes_nor_holds_it_open() -> None:
    windows = opened()
    windows.note(call())
    assert windows.is_open(number(), START - timedelta(seconds=60))
    assert not windows.is_open(number(), START - timedelta(seconds=WINDOW_S + 1))


def test_a_file_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        opened(tmp_path / "nowhere" / "callbacks")
