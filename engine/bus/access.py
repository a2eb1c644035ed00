"""Who may use the embedded broker: this deployment's own processes, which know its key.

Loopback keeps other hosts out, not other users of this one; popups hold clear numbers.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import cast

from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from engine.bus.client import USER


class KeyPlugin(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is not typed
    """Lets `USER` in with the key; named in the broker's configuration by its path."""

    @dataclass
    class Config:
        key: str = field(default="", repr=False)

    async def authenticate(self, *, session: Session) -> bool:
        key = cast(KeyPlugin.Config, self.config).key
        given = (session.username or "", session.password or "")
        known = hmac.compare_digest(given[1].encode(), key.encode())
        return bool(key) and known and given[0] == USER
