"""The bus as a process of ours comes to it."""

from __future__ import annotations

from engine.app.keys import Keys
from engine.bus.client import Bus, OnAlarm
from engine.model.config import Config


def bus_of(config: Config, keys: Keys, part: str, on_alarm: OnAlarm = lambda slug, detail: None) -> Bus:
    """Not yet connected. The key is for the embedded broker alone: no other one is to see it."""
    embedded = config.bus.url == f"mqtt://{config.bus.embedded}"
    key = keys.bus if embedded else b""
    return Bus(config.bus.url, f"{config.node.id}-{part}", key=key, on_alarm=on_alarm)
