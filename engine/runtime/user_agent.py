"""A SIP user agent on the event loop: one socket around a `PhoneCore`."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from engine.call.phone import OnCall, OnMessage, PhoneCore
from engine.model.address import Address
from engine.runtime.udp import UdpSocket
from engine.sip.effects import Send
from engine.sip.flow import Flow
from engine.sip.ids import HashedIds

_log = logging.getLogger(__name__)


class UserAgent:
    """Listens at once; `core` is used through `act` and from listeners."""

    def __init__(self, listen: Address, on_call: OnCall, on_message: OnMessage | None = None) -> None:
        """Raises OSError where the address cannot be bound."""
        self._socket = UdpSocket(listen.host, listen.port, self._datagram)
        self.address = Address(*self._socket.address)
        self.core = PhoneCore(self.address, HashedIds(secrets.token_bytes(32)), on_call, on_message)
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._socket.start()

    def act(self, action: Callable[[], object]) -> None:
        """Command legs from outside a listener."""
        self._do(self.core.act(action, time.monotonic()))

    def _datagram(self, data: bytes, source: tuple[str, int]) -> None:
        flow = Flow("udp", self._socket.address, source)
        try:
            self._do(self.core.receive(data, flow, time.monotonic()))
        except Exception:  # one message must not stop the others
            _log.exception("a datagram from %s:%d could not be handled", *source)

    def _tick(self) -> None:
        self._timer = None
        self._do(self.core.timer(time.monotonic()))

    def _do(self, sends: list[Send]) -> None:
        for send in sends:
            try:
                self._socket.send(send.data, send.flow.remote)
            except OSError as error:
                self._do(self.core.send_failed(send.flow, send.branch, str(error), time.monotonic()))
        at = self.core.next_timer()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._tick)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()
