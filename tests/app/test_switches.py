"""The kill switch on disk: who, why, until when; seen at the next poll, and never lost by damage."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.app.switches import (
    KillSwitch,
    SwitchError,
    SwitchView,
    read_switch,
    turn_off,
    turn_on,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "switches.json"


def test_off_until_somebody_turns_it(path: Path) -> None:
    view = SwitchView(path)
    assert not view.poll(AT)
    assert read_switch(path) == KillSwitch()


def test_on_is_seen_at_the_next_poll_and_ends_by_itself(path: Path) -> None:
    view = SwitchView(path)
    turn_on(path, "li.na", "false positives", AT, AT + HOUR)
    assert view.poll(AT)
    assert (view.switch.by, view.switch.reason) == ("li.na", "false positives")
    assert view.poll(AT + HOUR - timedelta(seconds=1))
    assert not view.poll(AT + HOUR)


def test_off_again(path: Path) -> None:
    view = SwitchView(path)
    turn_on(path, "li.na", "false positives", AT, AT + HOUR)
    assert view.poll(AT)
    turn_off(path, "wang.wei", "mended", AT)
    assert not view.poll(AT)
    assert view.switch.by == "wang.wei"


@pytest.mark.parametrize(
    ("by", "reason", "length"), [("", "why", HOUR), ("li.na", " ", HOUR), ("li.na", "why", timedelta(0))]
)
def test_nobody_turns_it_on_without_name_reason_and_end(
    path: Path, by: str, reason: str, length: timedelta
) -> None:
    with pytest.raises(SwitchError):
        turn_on(path, by, reason, AT, AT + length)
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"kill_switch": {"on": "yes"}}',
        b'{"kill_switch": {"on": true, "expires": "2026-03-02T00:00:00"}}',
    ],
)
def test_a_damaged_file_changes_nothing_and_is_told_once(path: Path, content: bytes) -> None:
    view = SwitchView(path)
    turn_on(path, "li.na", "false positives", AT, AT + HOUR)
    assert view.poll(AT)
    path.write_bytes(content)
    with pytest.raises(SwitchError, match=r"switches\.json"):
        view.poll(AT)
    assert view.poll(AT)


def test_a_file_that_cannot_be_looked_at_changes_nothing(path: Path) -> None:
    view = SwitchView(path)
    turn_on(path, "li.na", "false positives", AT, AT + HOUR)
    assert view.poll(AT)
    path.unlink()
    path.symlink_to(path)
    for _ in range(2):
        with pytest.raises(SwitchError, match=r"switches\.json"):
            view.poll(AT)
    assert view.switch.active(AT)
    path.unlink()
    turn_off(path, "wang.wei", "mended", AT)
    assert not view.poll(AT)
