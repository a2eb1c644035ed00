"""The bus from one process: a connection that comes back by itself, a bounded queue before it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import aiomqtt

USER: Final = "ringward"
"""As whom our own processes come to the embedded broker."""
QUEUE_MESSAGES: Final = 1_000
IN_FLIGHT: Final = 100
INCOMING_MESSAGES: Final = 1_000
ACKNOWLEDGEMENT_S: Final = 10.0
"""A broker that acknowledges nothing for so long is taken for lost, and connected to anew."""
RETRY_MIN_S: Final = 0.2
RETRY_MAX_S: Final = 5.0

_log = logging.getLogger(__name__)

OnAlarm = Callable[[str, str], None]
"""Slug and detail, on the event loop."""
Handler = Callable[[str, bytes], Awaitable[None]]
"""Takes topic and payload. Handlers run one after the other: a slow one hands over to a task of its own."""


class BusStatus(StrEnum):
    OFF = "off"
    """There is no bus: no URL."""
    CONNECTING = "connecting"
    CONNECTED = "connected"


class PublishResult(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    """The broker has it (PUBACK)."""
    OFF = "off"
    DROPPED = "dropped"
    """The queue was full and newer messages came, the bus was closed, or it is no MQTT message."""


@dataclass(slots=True, eq=False)
class _Message:
    topic: str
    payload: bytes
    qos: int
    result: asyncio.Future[PublishResult] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Server:
    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None


class Bus:
    """`async with Bus(url, node) as bus:`; all calls from its event loop.

    `url` is mqtt://[user:password@]host[:port] or mqtts://…; empty: everything works and reports "off".
    With `key` it is the embedded broker, which only its own deployment's processes may use. `on_alarm` is
    told `bus_down` once when there is no broker, and `bus_up` when there is one again.

    Drop rule: QUEUE_MESSAGES wait for a connection, and when one more comes the oldest is dropped. A message
    whose future was cancelled (the caller's deadline passed) before it went out is not sent any more. What
    was sent and not acknowledged when a connection broke is sent again on the next one, first.
    """

    def __init__(
        self,
        url: str,
        node: str,
        *,
        key: bytes = b"",
        queue_messages: int = QUEUE_MESSAGES,
        on_alarm: OnAlarm = lambda slug, detail: None,
    ) -> None:
        self._server = _server(url, key) if url else None
        self._node = node
        self._on_alarm = on_alarm
        self._queue: deque[_Message] = deque()
        self._queue_messages = queue_messages
        self._queued = asyncio.Event()
        self._in_flight: dict[_Message, None] = {}
        self.dropped = 0
        """Messages that made room for newer ones."""
        self._handlers: list[tuple[str, Handler]] = []
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> BusStatus:
        if self._server is None:
            return BusStatus.OFF
        return BusStatus.CONNECTED if self._connected.is_set() else BusStatus.CONNECTING

    @property
    def waiting(self) -> int:
        """Messages that the broker has not acknowledged yet, sent or not."""
        return len(self._queue) + len(self._in_flight)

    async def connected(self) -> None:
        """Wait until the bus is connected and subscribed; for ever when it is off."""
        await self._connected.wait()

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> asyncio.Future[PublishResult]:
        """Queue a message; the future completes at the broker's PUBACK (QoS 0: when it was written).

        It never fails. The caller sets its own deadline: `await asyncio.wait_for(bus.publish(…), 0.3)`.
        """
        result: asyncio.Future[PublishResult] = asyncio.get_running_loop().create_future()
        if self._server is None:
            result.set_result(PublishResult.OFF)
            return result
        while len(self._queue) >= self._queue_messages:
            _settle(self._queue.popleft(), PublishResult.DROPPED)
            self.dropped += 1
        self._queue.append(_Message(topic, payload, qos, result))
        self._queued.set()
        return result

    async def subscribe(self, filter: str, handler: Handler) -> None:
        """Have `handler` called for each message of the filter, over reconnects too, with QoS 1.

        Returns when the broker has confirmed, or at once while there is no connection. INCOMING_MESSAGES wait
        for handlers, the newest beyond that are dropped. An exception of a handler is logged.
        """
        self._handlers.append((filter, handler))
        if self._client is not None:
            with suppress(aiomqtt.MqttError):  # the next connection subscribes to it
                await self._client.subscribe(filter, qos=1)

    async def __aenter__(self) -> Self:
        if self._server is not None:
            self._task = asyncio.create_task(self._run(self._server), name=f"bus-{self._node}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for message in (*self._in_flight, *self._queue):
            _settle(message, PublishResult.DROPPED)
        self._in_flight.clear()
        self._queue.clear()

    async def _run(self, server: _Server) -> None:
        retry_s = RETRY_MIN_S
        told = False
        while True:
            try:
                async with self._connect(server) as client:
                    for filter, _ in self._handlers:
                        await client.subscribe(filter, qos=1)
                    _log.log(logging.WARNING if told else logging.INFO, "bus connected to %s", server.host)
                    if told:
                        self._on_alarm("bus_up", f"connected to {server.host}:{server.port}")
                    retry_s, told = RETRY_MIN_S, False
                    self._client = client
                    self._connected.set()
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._receive(client))
                        tasks.create_task(self._send(client, tasks))
            except* (aiomqtt.MqttError, OSError) as errors:
                if not told:
                    what = f"no bus at {server.host}:{server.port}: {errors.exceptions[0]}"
                    _log.warning("%s", what)
                    self._on_alarm("bus_down", what)
                    told = True
            finally:
                self._connected.clear()
                self._client = None
                self._queue.extendleft(reversed(self._in_flight))
                self._in_flight.clear()
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, RETRY_MAX_S)

    def _connect(self, server: _Server) -> aiomqtt.Client:
        client = aiomqtt.Client(
            server.host,
            server.port,
            username=server.username,
            password=server.password,
            tls_context=server.tls,
            identifier=f"{self._node}-{os.getpid()}-{secrets.token_hex(4)}",
            timeout=ACKNOWLEDGEMENT_S,
            max_queued_incoming_messages=INCOMING_MESSAGES,
            max_inflight_messages=IN_FLIGHT,
        )
        client.pending_calls_threshold = IN_FLIGHT + 1
        return client

    async def _send(self, client: aiomqtt.Client, tasks: asyncio.TaskGroup) -> None:
        slots = asyncio.Semaphore(IN_FLIGHT)
        while True:
            await slots.acquire()
            while not self._queue:
                self._queued.clear()
                await self._queued.wait()
            message = self._queue.popleft()
            if message.result.cancelled():
                slots.release()
                continue
            self._in_flight[message] = None
            tasks.create_task(self._deliver(client, message, slots))

    async def _deliver(self, client: aiomqtt.Client, message: _Message, slots: asyncio.Semaphore) -> None:
        result = PublishResult.ACKNOWLEDGED
        try:
            await client.publish(message.topic, message.payload, message.qos)
        except ValueError as error:  # a wildcard in the topic, or a payload beyond 256 MB
            _log.error("no message can be published on %s: %s", message.topic, error)
            result = PublishResult.DROPPED
        del self._in_flight[message]
        _settle(message, result)
        slots.release()

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload
            assert isinstance(payload, bytes)
            for filter, handler in self._handlers:
                if message.topic.matches(filter):
                    try:
                        await handler(message.topic.value, payload)
                    except Exception:
                        _log.exception("handler of %s failed", filter)


def _settle(message: _Message, result: PublishResult) -> None:
    if not message.result.done():
        message.result.set_result(result)


def _server(url: str, key: bytes) -> _Server:
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError(f"bus.url = {url!r}: expected mqtt://host:port or mqtts://host:port")
    tls = ssl.create_default_context() if parts.scheme == "mqtts" else None
    port = parts.port or (1883 if tls is None else 8883)
    if key:
        return _Server(parts.hostname, port, USER, key.hex(), tls)
    username = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return _Server(parts.hostname, port, username, password, tls)
