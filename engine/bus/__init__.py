"""The bus: MQTT notices of what happened, and commands to workers. README.md here has the topics."""

from engine.bus.client import Bus, BusStatus, PublishResult

__all__ = ["Bus", "BusStatus", "PublishResult"]
