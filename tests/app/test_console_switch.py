"""The kill switch as the console shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.app.centre import FileSwitches
from engine.console.live import LiveFeed


def test_damage_does_not_make_a_switch_that_is_on_look_off(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    switches = FileSwitches(path, LiveFeed("boot"))
    assert not switches.state().on
    switches.turn_on("li.na", "false positives", datetime.now(UTC) + timedelta(hours=1))
    assert switches.state().on
    path.write_text("{")
    assert (switches.state().on, switches.state().by) == (True, "li.na")
    switches.turn_off("li.na", "mended")
    assert not switches.state().on
